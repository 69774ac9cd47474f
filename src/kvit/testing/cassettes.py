"""Recorded answers of a real source, without its secrets, and a transport that answers a test from them.

A cassette is a JSON file:

    {"format": 1, "today": "2026-04-02", "answers": [
        {"method": "GET", "url": "https://api.acme.example/accounts", "status": 200,
         "headers": [["content-type", "application/json"]], "text": "{…}"}]}

A body that is no UTF-8 text stands in `base64` instead of `text`. Credentials are masked wherever they were
sent back, in any usual form. What is private besides, such as names and account numbers, stays: change it
before a cassette is published.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import httpx

from kvit.kernel.errors import NotRecorded, Refused
from kvit.plugin import Secret
from kvit.sync.recording import KEPT_HEADERS
from kvit.sync.redaction import MASK, SHORTEST_MASKED, Redactor

FORMAT: Final = 1
_MINTED: Final = re.compile(
    r'("(?:access_token|refresh_token|id_token|client_secret|password|session_id|api_key)"\s*:\s*")[^"]+(")'
)
"""Credentials that the source itself makes and nobody has told us of."""


_SHORTEST_ENCODED: Final = 6
"""Fewer letters stand in any text by chance."""


class SecretLeft(Refused):
    """The answer of {url} holds a credential that cannot be masked, so nothing was recorded."""


class Recording:
    """Keeps what a source answers; give it to the engine's HTTP client as its `recorder`."""

    def __init__(self, secrets: Iterable[Secret], *, today: date, redactor: Redactor | None = None) -> None:
        """Take the credentials to mask; a `redactor` may know more, such as tokens granted meanwhile."""
        self._secrets = [secret.reveal() for secret in secrets if secret]
        self._own = Redactor(map(Secret, self._secrets))
        self._redactors = [self._own] if redactor is None else [self._own, redactor]
        self._today = today
        self._answers: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._answers)

    def keep(self, request: httpx.Request, response: httpx.Response) -> None:
        """Keep one answer, masked. Raises SecretLeft where a credential would remain in some form."""
        answer = {
            "method": request.method,
            "url": self._masked(str(request.url)),
            "status": response.status_code,
            "headers": [
                [name, self._masked(value)]
                for name, value in response.headers.multi_items()
                if name.lower() in KEPT_HEADERS
            ],
            **self._body(response.content),
        }
        for text in _texts(answer, response.content):
            if any(form in text for secret in self._secrets for form in _hidden_forms(secret)):
                raise SecretLeft(url=request.url.host)
        self._answers.append(answer)

    def save(self, path: Path) -> None:
        """Write the cassette."""
        told = {"format": FORMAT, "today": self._today.isoformat(), "answers": self._answers}
        path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def _body(self, content: bytes) -> dict[str, str]:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(content).decode()}
        return {"text": _MINTED.sub(rf"\g<1>{MASK}\g<2>", self._masked(text))}

    def _masked(self, text: str) -> str:
        for redactor in self._redactors:
            text = redactor.mask(text)
        return text


class Cassette(httpx.BaseTransport):
    """Answers from a cassette and sends nothing: `transport=Cassette(Path("acme.json"))`.

    A request is known by its method and its URL, in which the test's own `secrets` are masked. Its answers
    come in the order in which they were recorded, each once, the last one again and again.
    """

    def __init__(self, path: Path, secrets: Iterable[Secret] = ()) -> None:
        """Raises OSError where there is no such file, and ValueError where it is no cassette."""
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise ValueError(f"{path.name} is not a cassette of format {FORMAT}.")
        self.today: date = date.fromisoformat(told["today"])
        """The day of the recording, for the `today` of the context."""
        self._name = path.name
        self._redactor = Redactor(secrets)
        self._left: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for answer in told["answers"]:
            self._left.setdefault((answer["method"], answer["url"]), []).append(answer)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises NotRecorded where the cassette holds no answer to the request."""
        url = self._redactor.mask(str(request.url))
        answers = self._left.get((request.method, url))
        if not answers:
            raise NotRecorded(
                "The cassette {name} holds no answer to {method} {url}. Record it again.",
                name=self._name,
                method=request.method,
                url=url,
            )
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return httpx.Response(
            answer["status"],
            headers=[(name, value) for name, value in answer["headers"]],
            content=base64.b64decode(answer["base64"]) if "base64" in answer else answer["text"].encode(),
            request=request,
        )


def _texts(answer: Mapping[str, Any], content: bytes) -> Iterator[str]:
    """Everything that would be written, and the bytes of a body that is no text."""
    yield answer["url"]
    yield from (value for _, value in answer["headers"])
    yield answer.get("text", "") or content.decode("latin-1")


def _hidden_forms(secret: str) -> Iterator[str]:
    """Forms that are not masked but would give the credential away; a short one is looked for as it is."""
    data = secret.encode()
    yield secret
    if len(secret) < SHORTEST_MASKED:
        return
    yield data.hex()
    yield data.hex().upper()
    yield html.escape(secret)
    yield secret[::-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            encoded = encode(b"\x00" * shift + data).decode().rstrip("=")
            # The first letters hold the shift, the last may hold what follows.
            sure = encoded[(0, 2, 3)[shift] : -1]
            if len(sure) >= _SHORTEST_ENCODED:
                yield sure
