"""One question to the Fio API; every refusal becomes the error that says what to do.

The token is a part of the path, so no error made here holds the URL. Sections are those of the bank's manual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import httpx

from kvit.plugin import AuthExpired, Gate, Http, Misconfigured, RateLimited, Secret, Temporary

TOKEN: Final = r"[0-9A-Za-z]{64}"  # noqa: S105 - what a token looks like
PATIENCE: Final = {409: 3, 500: 3}
"""How often these answers are accepted before they count: both may come from a passing fault."""
SHARED_TOKEN_WAIT: Final = timedelta(minutes=2)

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_FREE_FROM: Final = re.compile(r"\bod (\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")
_ERROR_CODE: Final = re.compile(r"<errorCode>\s*(\d+)\s*</errorCode>")
_ERROR_MESSAGE: Final = re.compile(r"<message[^>]*>\s*([^<]*?)\s*</message>")
_LONGEST_QUOTE: Final = 300


@dataclass(frozen=True, slots=True)
class TooMany:
    """The period holds more movements than one answer may (8.6)."""


@dataclass(frozen=True, slots=True)
class Locked:
    """The period begins before `free_from`, the first day Fio gives without an unlock (8.7)."""

    free_from: date | None
    """None where the bank did not say."""
    said: str
    """The bank's own words, in Czech."""


class FioClient:
    """Asks for the movements of the one account that the token opens."""

    def __init__(self, http: Http, *, base_url: str, token: Secret, interval_seconds: int) -> None:
        self._http = http
        self._base_url = base_url.strip().rstrip("/")
        self._token = token
        self._gate = Gate(key=token, seconds=interval_seconds)
        self._has_answered = False

    def movements(self, first: date, last: date) -> bytes | TooMany | Locked:
        """Return the JSON document about a period, both days inclusive.

        It asks again, after the gate's interval, where the refusal may be a passing one.
        Raises AuthExpired, RateLimited, Temporary or Misconfigured.
        """
        response = self._ask(first, last)
        tries = 1
        while _may_pass(response) and tries < PATIENCE[response.status_code]:
            response = self._ask(first, last)
            tries += 1
        if _blames_the_token(response) and self._has_answered:
            raise Temporary("Fio answered this token a moment ago and now refuses it (status 500).")
        answer = _answer(response)
        self._has_answered = True
        return answer

    def try_out(self, day: date) -> bytes | TooMany | Locked:
        """Ask once about one day, for a person who waits.

        Raises what `movements` raises, in the words for a token that was entered a moment ago.
        """
        response = self._ask(day, day)
        if _blames_the_token(response):
            raise AuthExpired(
                "Fio does not know this token. A new one starts to work five minutes after you authorize it "
                "in the internet banking: wait and try again. An older one has expired or was removed: "
                "make a new one there (Settings → API)."
            )
        return _answer(response)

    def _ask(self, first: date, last: date) -> httpx.Response:
        token = self._token.reveal()
        if not re.fullmatch(TOKEN, token):
            raise Misconfigured(
                "A token of Fio has 64 letters and digits and nothing else.", field="api_token"
            )
        url = f"{self._base_url}/periods/{token}/{first}/{last}/transactions.json"
        return self._http.request("GET", url, gate=self._gate)


def _may_pass(response: httpx.Response) -> bool:
    return response.status_code in PATIENCE and _error_code(response) is None


def _blames_the_token(response: httpx.Response) -> bool:
    """Whether it is how Fio refuses a token that is unknown, expired or not active yet (8.4)."""
    return response.status_code == 500 and _error_code(response) is None


def _answer(response: httpx.Response) -> bytes | TooMany | Locked:
    status = response.status_code
    if status == 413:
        return TooMany()
    if status == 422:
        return Locked(_free_from(response.text), " ".join(response.text.split())[:_LONGEST_QUOTE])
    if status in (409, 429):
        raise RateLimited(
            SHARED_TOKEN_WAIT,
            "Fio answers a token once in 30 seconds and another program is using this one. "
            "Make a token for Kvit alone.",
        )
    _raise_for_failure(response)
    return response.content


def _raise_for_failure(response: httpx.Response) -> None:
    """Raise the error behind an answer that is not a statement, by its status and by what it holds."""
    status = response.status_code
    code = _error_code(response)
    if code is not None:
        raise Temporary(
            "Fio cannot answer at the moment (its error {code}: {reason}).",
            code=code,
            reason=_error_message(response),
        )
    if status in (401, 403, 500):
        raise AuthExpired(
            "Fio does not accept the token: most likely it has expired, or it was removed. Make a new one in "
            "the internet banking of Fio (Settings → API) and enter it here; it works five minutes after you "
            "authorize it. History stays, and the missed days are read then."
        )
    if status >= 500 or response.is_redirect:
        raise Temporary("Fio cannot answer at the moment (status {status}).", status=status)
    if status == 404:
        raise Misconfigured(
            "Fio does not know this address. Check the address and the token of the connection.",
            field="base_url",
        )
    if not response.is_success:
        raise Misconfigured("Fio refused the request (status {status}).", status=status)
    if _is_markup(response):
        raise Temporary("Fio answered with a page instead of movements.")


def _is_markup(response: httpx.Response) -> bool:
    return response.content.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"<")


def _error_code(response: httpx.Response) -> int | None:
    """Read the code of a refusal in XML, which comes also where JSON was asked for (8.4)."""
    found = _ERROR_CODE.search(response.text) if _is_markup(response) else None
    return int(found[1]) if found else None


def _error_message(response: httpx.Response) -> str:
    found = _ERROR_MESSAGE.search(response.text)
    return found[1][:_LONGEST_QUOTE] if found and found[1] else "no reason given"


def _free_from(text: str) -> date | None:
    """Find the date in “… která nejsou starší jak 90 dní (od 27.04.2023) …”."""
    found = _FREE_FROM.search(text)
    if found is None:
        return None
    day, month, year = found.groups()
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
