"""Questions to the Stripe API; every refusal becomes the error that says what to do.

No message made here repeats Stripe's own words: those about a key hold parts of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from kvit.plugin import AuthExpired, Bearer, Http, Misconfigured, RateLimited, Secret, Temporary

VERSION: Final = "2025-03-31.basil"
"""The version of the API whose answers the plugin reads, whatever is the account's own."""
KEY: Final = r"[rs]k_(?:live|test)_[0-9A-Za-z_]+"
ROWS: Final = 100
"""The most that one answer may hold (docs.stripe.com/api/pagination)."""
DEFAULT_WAIT: Final = timedelta(minutes=1)
"""Stripe limits requests by the second and promises no Retry-After (docs.stripe.com/rate-limits)."""

type Params = Mapping[str, str | Sequence[str]]
"""What is asked; a parameter that stands several times has all its values."""

_RIGHT: Final = re.compile(r"\brak_[a-z_]+")
_ACCOUNT: Final = re.compile(r"\bacct_[0-9A-Za-z]+")
_LONGEST_WAIT_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose key it is."""

    id: str
    name: str
    zone: str
    """The time zone in which the owner sees Stripe, by its name in the tz database; empty where not told."""


class StripeClient:
    def __init__(self, http: Http, *, base_url: str, api_key: Secret) -> None:
        self._http = http
        self._base_url = base_url.strip().rstrip("/")
        self._auth = Bearer(api_key)
        self._key = api_key

    def owner(self) -> Owner:
        """Ask whose key it is; a key that may not read the account is told its id all the same.

        Raises what `get` raises.
        """
        response = self._ask("/v1/account", {})
        if response.status_code == httpx.codes.FORBIDDEN and (found := _ACCOUNT.search(response.text)):
            return Owner(found[0], found[0], "")
        account = _answer(response)
        id_ = account.get("id")
        if not isinstance(id_, str) or not _ACCOUNT.fullmatch(id_):
            raise Temporary("Stripe did not say whose key this is.")
        dashboard = _mapping(_mapping(account.get("settings")).get("dashboard"))
        name = dashboard.get("display_name") or _mapping(account.get("business_profile")).get("name") or id_
        return Owner(id_, str(name), str(dashboard.get("timezone") or ""))

    def get(self, path: str, params: Params | None = None) -> Mapping[str, Any]:
        """Return the object that Stripe answers with; amounts in it are whole numbers, the rest Decimal.

        Raises AuthExpired, RateLimited, Temporary or Misconfigured.
        """
        return _answer(self._ask(path, params or {}))

    def pages(self, path: str, params: Params) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield a list page by page, in the order of the API: the newest first.

        The next page is asked for by the last id, so what is new meanwhile moves nothing
        (docs.stripe.com/api/pagination). Raises what `get` raises.
        """
        after: str | None = None
        while True:
            told = self.get(
                path, {**params, "limit": str(ROWS), **({"starting_after": after} if after else {})}
            )
            rows = _rows(told)
            yield rows
            if not told.get("has_more"):
                return
            ids = [id_ for row in rows if isinstance(id_ := row.get("id"), str) and id_]
            if not ids or ids[-1] == after:
                raise Temporary("Stripe says that a list goes on, but not how.")
            after = ids[-1]

    def _ask(self, path: str, params: Params) -> httpx.Response:
        if not re.fullmatch(KEY, self._key.reveal()):
            raise Misconfigured(
                "A key of Stripe begins with rk_live_, rk_test_, sk_live_ or sk_test_.", field="api_key"
            )
        return self._http.request(
            "GET",
            self._base_url + path + (f"?{urlencode(params, doseq=True)}" if params else ""),
            headers={"Stripe-Version": VERSION},
            auth=self._auth,
        )


def _answer(response: httpx.Response) -> Mapping[str, Any]:
    _raise_for_failure(response)
    try:
        told = json.loads(response.content, parse_float=Decimal)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Temporary("Stripe did not answer with a JSON object.")
    return told


def _raise_for_failure(response: httpx.Response) -> None:
    """Raise the error behind an answer that is none, by its status (docs.stripe.com/api/errors)."""
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        raise AuthExpired(
            "Stripe does not accept the key: it has expired, was rolled or was deleted. In Stripe open "
            "Developers → API keys, make a new restricted key and enter it here."
        )
    if status == httpx.codes.FORBIDDEN:
        raise _missing_right(response)
    if status == httpx.codes.TOO_MANY_REQUESTS or (status == 503 and "Retry-After" in response.headers):
        raise RateLimited(_wait(response))
    if status >= 500 or status == httpx.codes.CONFLICT or response.is_redirect:
        raise Temporary("Stripe cannot answer at the moment (status {status}).", status=status)
    if status == httpx.codes.NOT_FOUND:
        raise Misconfigured("This is not the address of the Stripe API.", field="base_url")
    if not response.is_success:
        raise Misconfigured("Stripe refused the request (status {status}).", status=status)


def _missing_right(response: httpx.Response) -> Misconfigured:
    """Name the right that Stripe misses, in Stripe's own code for it."""
    found = _RIGHT.search(response.text)
    if found is None:
        return Misconfigured(
            "Stripe does not let this key read what Kvit needs. In Stripe open Developers → API keys, edit "
            "the key and compare its rights with the guide.",
            field="api_key",
        )
    return Misconfigured(
        "The key lacks the right “{right}”. In Stripe open Developers → API keys, edit the key and set that "
        "right to “Read”.",
        field="api_key",
        right=found[0],
    )


def _wait(response: httpx.Response) -> timedelta:
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 9:
        return timedelta(seconds=min(int(text), _LONGEST_WAIT_SECONDS))
    return DEFAULT_WAIT


def _rows(told: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows = told.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Temporary("Stripe did not answer with a list.")
    return rows


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
