"""A pretend source with an OAuth 2.0 server of its own: a page to authorize, tokens, revocation, movements.

As RFC 9700 asks: PKCE is required and the verifier counts (2.1.1), the return address must be the registered
one to the letter (4.1.3), a code counts once and used twice ends what it gave (4.5), and refresh tokens are
replaced at every use, so that one used twice ends the access of everybody (4.14.2).
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, urlencode

import httpx

from kvit.testing import PretendBank, serving

CLIENT_ID: Final = "kvit-of-the-tests"
CLIENT_SECRET: Final = "cl13nt/secret+of the tests"  # changes its look in a URL
RETURN_URL: Final = "http://127.0.0.1:8000/consents/return/"


@dataclass
class Family:
    """Everything that one consent gave."""

    account: str
    is_over: bool = False
    access_tokens: dict[str, float] = field(default_factory=dict)
    """With the moment when each ends, by the monotonic clock."""
    refresh_token: str = ""
    spent: set[str] = field(default_factory=set)


@dataclass
class Code:
    challenge: str
    return_url: str
    family: Family
    is_used: bool = False


class OAuthSource(PretendBank):
    """`answer` speaks HTTP; the other methods are what people do there."""

    def __init__(self) -> None:
        super().__init__()
        self.account = "CZ6508000000192000145399"
        """Whose access is granted."""
        self.lifetime = timedelta(hours=1)
        """Of access tokens."""
        self.says_lifetime: timedelta | None = None
        """What it says of it, where that is something else."""
        self.token_seconds = 0.0
        """How long the token endpoint takes."""
        self.loses_answers = False
        """Whether the answers of the token endpoint are lost on the way."""
        self.families: list[Family] = []
        self.codes: dict[str, Code] = {}
        self.exchanges: list[str] = []
        """The grant type of every request for a token."""
        self.reuses = 0
        """Refresh tokens that came a second time."""
        self.issued: list[str] = []
        """Every code and token that was ever given out."""
        self.rows = [("m1", "100.00")]
        self._numbers = itertools.count(1)

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path:
            case "GET", "/authorize":
                return httpx.Response(200, html="<form method=post>Allow?</form>")
            case "POST", "/authorize":
                return self._decided(request)
            case "POST", "/token":
                return self._token(request)
            case "GET", "/me" | "/movements":
                return self._resource(request)
        return httpx.Response(404)

    def revoke(self) -> None:
        """The person takes the access back at the source."""
        for family in self.families:
            family.is_over = True

    def steal(self) -> None:
        """Somebody else uses the refresh tokens that were given out last."""
        for family in self.families:
            assert self._by_refresh_token(family.refresh_token) is not None

    def expire(self) -> None:
        """All access tokens end now; refresh tokens go on."""
        for family in self.families:
            family.access_tokens = dict.fromkeys(family.access_tokens, 0.0)

    @property
    def refreshes(self) -> int:
        return self.exchanges.count("refresh_token")

    def _decided(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        right = (
            asked.get("response_type") == "code"
            and asked.get("client_id") == CLIENT_ID
            and asked.get("redirect_uri") == RETURN_URL
            and asked.get("code_challenge_method") == "S256"
            and asked.get("code_challenge")
        )
        if not right:
            return httpx.Response(400, text="wrong request")
        if request.read() != b"decision=allow":
            return self._back(error="access_denied", state=asked["state"])
        family = Family(account=self.account)
        self.families.append(family)
        code = self._new("code")
        self.codes[code] = Code(asked["code_challenge"], asked["redirect_uri"], family)
        return self._back(code=code, state=asked["state"])

    def _back(self, **params: str) -> httpx.Response:
        return httpx.Response(302, headers={"Location": f"{RETURN_URL}?{urlencode(params)}"})

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.read().decode()).items()}
        self.exchanges.append(form.get("grant_type", ""))
        time.sleep(self.token_seconds)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return httpx.Response(401, json={"error": "invalid_client"})
        match form.get("grant_type"):
            case "authorization_code":
                family = self._by_code(form)
            case "refresh_token":
                family = self._by_refresh_token(form.get("refresh_token", ""))
            case _:
                family = None
        if family is None:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": str(form)})
        response = httpx.Response(200, json=self._given(family), headers={"Cache-Control": "no-store"})
        if self.loses_answers:
            raise httpx.ReadError("lost on the way")
        return response

    def _by_code(self, form: dict[str, str]) -> Family | None:
        code = self.codes.get(form.get("code", ""))
        if code is None:
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            return None
        if form.get("redirect_uri") != code.return_url:
            return None
        if code.is_used:
            code.family.is_over = True
            return None
        code.is_used = True
        return code.family

    def _by_refresh_token(self, token: str) -> Family | None:
        for family in self.families:
            if token in family.spent:
                self.reuses += 1
                family.is_over = True
            if token == family.refresh_token and not family.is_over:
                family.spent.add(token)
                return family
        return None

    def _given(self, family: Family) -> dict[str, str | int]:
        access, refresh = self._new("access"), self._new("refresh")
        family.access_tokens[access] = time.monotonic() + self.lifetime.total_seconds()
        family.refresh_token = refresh
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(
                (self.lifetime if self.says_lifetime is None else self.says_lifetime).total_seconds()
            ),
            "refresh_token": refresh,
        }

    def _resource(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        family = next((found for found in self.families if token in found.access_tokens), None)
        if family is None or family.is_over or family.access_tokens[token] < time.monotonic():
            return httpx.Response(401, json={"error": "invalid_token", "token": token})
        if request.url.path == "/me":
            return httpx.Response(200, json={"iban": family.account, "name": f"Account {family.account}"})
        rows = [{"id": number, "amount": amount} for number, amount in self.rows]
        return httpx.Response(200, json={"iban": family.account, "movements": rows})

    def _new(self, kind: str) -> str:
        value = f"{kind}/{next(self._numbers)}+{secrets.token_urlsafe(18)}"
        self.issued.append(value)
        return value


@contextmanager
def running_oauth_source() -> Iterator[tuple[OAuthSource, str]]:
    """Serve the source by HTTP and give it with its address."""
    source = OAuthSource()
    with serving(source) as address:
        yield source, address


def decide(url: str, *, allow: bool = True) -> str:
    """Visit the page as a person and decide; return the address that the browser is sent back to."""
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(url).status_code == httpx.codes.OK
        answer = browser.post(url, content=b"decision=allow" if allow else b"decision=deny")
    assert answer.status_code == httpx.codes.FOUND, answer.text
    return answer.headers["Location"]
