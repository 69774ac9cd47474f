"""One question to Enable Banking's API; every refusal becomes the error that says what to do.

Codes and statuses are those of the provider's API reference (“ErrorResponse”). A message names the code only:
what the provider says in `detail` is not meant for people and may hold the bank's own answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import httpx

from kvit.plugin import AuthExpired, Http, Json, Misconfigured, RateLimited, Temporary

DAILY_LIMIT_WAIT: Final = timedelta(hours=6)
"""How long to wait after a bank refused a reading as one too many of the day (the provider's FAQ)."""
SHORT_WAIT: Final = timedelta(minutes=5)
"""How long to wait where the provider itself is asked too often and does not say for how long."""
LONGEST_WAIT: Final = timedelta(days=1)
MOST_PAGES: Final = 500

ENDED: Final = frozenset(
    {
        "ACCESS_DENIED",
        "ASPSP_PSU_ACTION_REQUIRED",
        "CLOSED_SESSION",
        "EXPIRED_SESSION",
        "NO_ACCOUNTS_ADDED",
        "REVOKED_SESSION",
        "SESSION_DOES_NOT_EXIST",
        "WRONG_SESSION_STATUS",
    }
)
"""Only another consent helps."""
SPENT_CODES: Final = frozenset(
    {
        "ALREADY_AUTHORIZED",
        "AUTHORIZATION_NOT_PROVIDED",
        "EXPIRED_AUTHORIZATION_CODE",
        "WRONG_AUTHORIZATION_CODE",
    }
)
ACCOUNT_GONE: Final = frozenset(
    {"ACCOUNT_DOES_NOT_EXIST", "ASPSP_ACCOUNT_NOT_ACCESSIBLE", "INVALID_ACCOUNT_ID"}
)
AT_THE_BANK: Final = frozenset({"ASPSP_ERROR", "ASPSP_TIMEOUT", "WRONG_CONTINUATION_KEY"})

_ACCOUNTS: Final = "/accounts/"
_GRANTED: Final = ("/sessions/", _ACCOUNTS)
"""What is there only while access lasts."""


class DailyLimit(RateLimited):
    """The bank gives this account no more readings today."""


class AccountGone(AuthExpired):
    """The bank no longer gives this account."""


class PeriodRefused(Misconfigured):
    """The bank does not give movements of days that far back."""


class EnableBankingClient:
    """Asks as one application. All methods raise AuthExpired, RateLimited, Temporary or Misconfigured."""

    def __init__(self, http: Http, *, base_url: str, application: httpx.Auth) -> None:
        self._http = http
        self._base_url = base_url.strip().rstrip("/")
        self._application = application

    def banks(self, country: str, psu_type: str) -> list[Mapping[str, Any]]:
        """Return the banks of a country that give accounts of that kind."""
        params = {"country": country, "psu_type": psu_type, "service": "AIS"}
        return _objects(self._ask("GET", "/aspsps", params=params), "aspsps")

    def start(self, asked: Mapping[str, Json], return_url: str) -> str:
        """Begin a consent and return the address of the page where the person goes on."""
        response = self._send("POST", "/auth", json=asked)
        if _code(response) == "REDIRECT_URI_NOT_ALLOWED":
            raise Misconfigured(
                "Enable Banking does not know the address of this Kvit. In its control panel add {url} to "
                "the redirect URLs of the application.",
                field="application_id",
                url=return_url,
            )
        url = _answer(response).get("url")
        if not isinstance(url, str) or not url:
            raise Temporary("Enable Banking gave no page where access can be granted.")
        return url

    def open_session(self, code: str) -> Mapping[str, Any]:
        """Exchange the code that the person came back with for a session and its accounts."""
        return self._ask("POST", "/sessions", json={"code": code})

    def session(self, id: str) -> Mapping[str, Any]:
        """Return what the provider knows of a session; the bank is not asked."""
        return self._ask("GET", f"/sessions/{id}")

    def balances(self, uid: str) -> list[Mapping[str, Any]]:
        """Return the balances of an account. Raises DailyLimit and AccountGone besides."""
        return _objects(self._ask("GET", f"/accounts/{uid}/balances"), "balances")

    def transactions(self, uid: str, params: Mapping[str, str]) -> Iterator[list[Mapping[str, Any]]]:
        """Yield the pages of an account's movements, also empty ones: more may come after those.

        Raises DailyLimit, AccountGone and PeriodRefused besides.
        """
        key = ""
        seen: set[str] = set()
        for _ in range(MOST_PAGES):
            asked = {**params, "continuation_key": key} if key else params
            answer = self._ask("GET", f"/accounts/{uid}/transactions", params=asked)
            yield _objects(answer, "transactions")
            key = answer.get("continuation_key") or ""
            if not isinstance(key, str) or key in seen:
                break
            if not key:
                return
            seen.add(key)
        raise Temporary("The bank's pages do not come to an end. It will be tried again.")

    def _ask(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Json = None
    ) -> Mapping[str, Any]:
        return _answer(self._send(method, path, params=params, json=json), path)

    def _send(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Json = None
    ) -> httpx.Response:
        return self._http.request(
            method, self._base_url + path, params=params, json=json, auth=self._application
        )


def _answer(response: httpx.Response, path: str = "") -> Mapping[str, Any]:
    if not response.is_success:
        raise _refusal(response, path)
    told = _object(response)
    if told is None:
        raise Temporary("The answer of Enable Banking cannot be read. It will be tried again.")
    return told


def _refusal(response: httpx.Response, path: str) -> Exception:
    """Return the error behind an unsuccessful answer, by its code and else by its status."""
    status, code = response.status_code, _code(response)
    if code in ENDED:
        return _ended(code)
    if code in SPENT_CODES:
        return AuthExpired(
            "The bank's answer was used already or is too old ({code}). Grant access again.", code=code
        )
    if code in ACCOUNT_GONE:
        return _account_gone(code)
    if code == "WRONG_TRANSACTIONS_PERIOD":
        return PeriodRefused("The bank gives no movements that old.", field="days_back")
    if code == "WRONG_ASPSP_PROVIDED":
        return Misconfigured("Enable Banking does not know this bank.", field="bank")
    if status == 429:
        return _limit(response, code)
    if code in AT_THE_BANK:
        return Temporary("The bank cannot answer Enable Banking at the moment ({code}).", code=code)
    if not code and _object(response) is not None and path.startswith(_GRANTED):
        # Only the message is promised of a refusal. Granting again tells whether the application is good.
        if status in (401, 403):
            return _ended(str(status))
        if status in (404, 410):
            return _gone(path, str(status))
    return _by_status(status, code)


def _gone(path: str, said: str) -> Exception:
    return _account_gone(said) if path.startswith(_ACCOUNTS) else _ended(said)


def _ended(code: str) -> AuthExpired:
    return AuthExpired(
        "The access to the bank has ended or was revoked ({code}). Grant access again: history stays, "
        "and the missed days are read then.",
        code=code,
    )


def _account_gone(code: str) -> AccountGone:
    return AccountGone(
        "The bank no longer gives one of the accounts ({code}). Grant access again.", code=code
    )


def _by_status(status: int, code: str) -> Exception:
    said = code or str(status)
    if status in (401, 403):
        return AuthExpired(
            "Enable Banking does not accept the application ({said}). Check in its control panel that the "
            "application is active, and enter its id and private key again.",
            said=said,
        )
    if status == 408 or status >= 500 or 300 <= status < 400:
        return Temporary("Enable Banking cannot answer at the moment ({said}).", said=said)
    return Misconfigured("Enable Banking refused the request ({said}).", said=said)


def _limit(response: httpx.Response, code: str) -> RateLimited:
    told = response.headers.get("Retry-After", "").strip()
    wait = min(timedelta(seconds=int(told[:7])), LONGEST_WAIT) if told.isascii() and told.isdigit() else None
    if code == "ASPSP_RATE_LIMIT_EXCEEDED":
        return DailyLimit(
            wait or DAILY_LIMIT_WAIT,
            "The bank lets an account be read about four times a day and that is used up. "
            "Kvit goes on by itself.",
        )
    return RateLimited(wait or SHORT_WAIT, "Enable Banking asks Kvit to wait.")


def _code(response: httpx.Response) -> str:
    told = None if response.is_success else _object(response)
    code = (told or {}).get("error")
    return code if isinstance(code, str) and code.isascii() and len(code) <= 60 else ""


def _object(response: httpx.Response) -> Mapping[str, Any] | None:
    """Read a JSON object, its numbers exactly; None where it is none."""
    try:
        told = json.loads(response.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _objects(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of the answer; one that is missing is no empty one."""
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Temporary("The answer of Enable Banking cannot be read. It will be tried again.")
    return found
