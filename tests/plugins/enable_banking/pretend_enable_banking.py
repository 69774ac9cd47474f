"""A pretend Enable Banking with one pretend bank behind it, after the provider's public API reference."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kvit.plugin import Grant
from kvit.plugins.enable_banking.accounts import accounts_of, as_secrets
from kvit.testing import Movement, PretendAccount, PretendBank

APPLICATION: Final = "0f6c1a52-8d7e-4b39-9c11-5a2d3e4f6071"
KEY: Final = generate_private_key(public_exponent=65537, key_size=1024)
"""Short, for speed: it is made anew for each run of the tests and opens nothing."""
PEM: Final = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
CODE: Final = "code-of-the-bank-41d9"
REDIRECT: Final = "https://kvit.example/consents/answer/"
HALF_A_YEAR: Final = 180 * 24 * 3600


@dataclass
class Session:
    """One consent; `uids` are what its accounts are called while it lasts."""

    id: str
    valid_until: str
    uids: Mapping[str, str]
    """uid -> `PretendAccount.id`."""
    status: str = "AUTHORIZED"


@dataclass
class Asked:
    """What `POST /auth` was asked for."""

    body: Mapping[str, Any] = field(default_factory=dict)


class EnableBankingServer(PretendBank):
    """Knows the application by its signature, keeps sessions, and counts readings as banks do."""

    tells_pending = True
    aspsps: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"name": "Česká spořitelna", "country": "CZ", "maximum_consent_validity": HALF_A_YEAR},
        {"name": "ČSOB", "country": "CZ", "maximum_consent_validity": 90 * 24 * 3600},
        {"name": "Komerční banka", "country": "CZ"},
        {"name": "mBank", "country": "CZ", "maximum_consent_validity": HALF_A_YEAR},
    )

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Session] = {}
        self.asked = Asked()
        self.told: dict[str, Mapping[str, Any]] = {}
        """What the bank says otherwise of a movement, by its id."""
        self.extra: list[Mapping[str, Any]] = []
        """Records that are told as they are, after the others, on the last page."""
        self.hidden: set[str] = set()
        """Ids of movements that the bank does not tell at the moment."""
        self.newest_first = False
        self.most_readings: int | None = None
        """How often a day one account may be read, each kind of reading by itself."""
        self.readings: Counter[tuple[date, str, str]] = Counter()
        self.oldest: date | None = None
        """Before this day nothing is given."""
        self.balance: Mapping[str, str] = {"currency": "CZK", "amount": "1250.50"}
        self.currencies: dict[str, str] = {}
        """What the session says of an account's currency, where it is another one."""

    def consent(self, number: int = 1, valid_until: str = "2026-09-29T10:00:00+00:00") -> Session:
        """Open a session as a person's consent does; earlier ones stay as they are."""
        uids = {f"0000000{number}-uid-of-{each.id}": each.id for each in self.accounts}
        session = Session(f"5e5510{number:02}-aaaa-bbbb-cccc-1234567890ab", valid_until, uids)
        self.sessions[session.id] = session
        return session

    def session_answer(self, session: Session) -> dict[str, Any]:
        """What `POST /sessions` answers."""
        return {
            "session_id": session.id,
            "accounts": [self._account(uid, account) for uid, account in session.uids.items()],
            "aspsp": {"name": "Česká spořitelna", "country": "CZ"},
            "psu_type": "business",
            "access": {"valid_until": session.valid_until, "balances": True, "transactions": True},
        }

    def refused(self, request: httpx.Request) -> httpx.Response:
        return problem(401, "EXPIRED_SESSION")

    def slowed(self, request: httpx.Request) -> httpx.Response:
        return problem(429, "ASPSP_RATE_LIMIT_EXCEEDED")

    def failed(self, request: httpx.Request) -> httpx.Response:
        return problem(500, "ASPSP_ERROR")

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not _is_signed(request):
            return problem(401, "UNAUTHORIZED_ACCESS")
        match request.method, request.url.path.strip("/").split("/"):
            case "GET", ["aspsps"]:
                return self._banks(request)
            case "POST", ["auth"]:
                return self._start(json.loads(request.content))
            case "POST", ["sessions"]:
                return self._open(json.loads(request.content))
            case "GET", ["sessions", id]:
                return self._session(id)
            case "DELETE", ["sessions", id]:
                return self._close(id)
            case "GET", ["accounts", uid, kind]:
                return self._of_account(request, uid, kind)
        return problem(404, "WRONG_REQUEST_PARAMETERS")

    def _banks(self, request: httpx.Request) -> httpx.Response:
        country = request.url.params.get("country")
        found = [
            {**bank, "logo": "", "psu_types": ["business", "personal"], "auth_methods": [], "beta": False}
            for bank in self.aspsps
            if bank["country"] == country
        ]
        return httpx.Response(200, json={"aspsps": found})

    def _start(self, asked: Mapping[str, Any]) -> httpx.Response:
        self.asked = Asked(asked)
        bank = next((each for each in self.aspsps if each["name"] == asked["aspsp"]["name"]), None)
        if bank is None:
            return problem(422, "WRONG_ASPSP_PROVIDED")
        if asked["redirect_url"] != REDIRECT:
            return problem(422, "REDIRECT_URI_NOT_ALLOWED")
        until = datetime.fromisoformat(asked["access"]["valid_until"])
        longest = bank.get("maximum_consent_validity", 90 * 24 * 3600)
        if (until - datetime.now(until.tzinfo)).total_seconds() >= longest:
            return problem(422, "WRONG_REQUEST_PARAMETERS")
        query = urlencode({"sessionid": "start-1"})
        return httpx.Response(200, json={"url": f"https://auth.bank.example/start?{query}"})

    def _open(self, asked: Mapping[str, Any]) -> httpx.Response:
        if asked.get("code") != CODE:
            return problem(422, "WRONG_AUTHORIZATION_CODE")
        if not self.accounts:
            return problem(401, "NO_ACCOUNTS_ADDED")
        until = self.asked.body.get("access", {}).get("valid_until", "2026-09-29T10:00:00+00:00")
        session = self.consent(len(self.sessions) + 1, until)
        return httpx.Response(200, json=self.session_answer(session))

    def _session(self, id: str) -> httpx.Response:
        session = self.sessions.get(id)
        if session is None:
            return problem(404, "SESSION_DOES_NOT_EXIST")
        answer = self.session_answer(session)
        return httpx.Response(200, json={**answer, "status": session.status, "accounts": list(session.uids)})

    def _close(self, id: str) -> httpx.Response:
        self.sessions[id].status = "CLOSED"
        return httpx.Response(200, json={"message": "OK"})

    def _of_account(self, request: httpx.Request, uid: str, kind: str) -> httpx.Response:
        session = next((each for each in self.sessions.values() if uid in each.uids), None)
        if session is None:
            return problem(404, "ACCOUNT_DOES_NOT_EXIST")
        if session.status != "AUTHORIZED":
            return problem(401, f"{session.status}_SESSION")
        account = session.uids[uid]
        params = request.url.params
        if "continuation_key" not in params:
            self.readings[self.today, account, kind] += 1
            if (
                self.most_readings is not None
                and self.readings[self.today, account, kind] > self.most_readings
            ):
                return problem(429, "ASPSP_RATE_LIMIT_EXCEEDED")
        if kind == "details":
            return httpx.Response(200, json=self._account(uid, account))
        if kind == "balances":
            return httpx.Response(200, json={"balances": [self._balance("ITAV"), self._balance("ITBD")]})
        return self._transactions(params, account)

    def _transactions(self, params: httpx.QueryParams, id: str) -> httpx.Response:
        since = date.fromisoformat(params["date_from"]) if "date_from" in params else self.oldest
        if self.oldest is not None and since is not None and since < self.oldest:
            if params.get("strategy") != "longest":
                return problem(422, "WRONG_TRANSACTIONS_PERIOD")
            since = self.oldest
        listed = self.listed(account=id, since=since, newest_first=self.newest_first)
        rows = [row for row in listed if row.id not in self.hidden]
        key = params.get("continuation_key", "")
        try:
            found, more = self.part(rows, int(key)) if key.isdigit() and key != "" else self.part(rows, 0)
        except LookupError:
            return problem(422, "WRONG_CONTINUATION_KEY")
        records: list[Mapping[str, Any]] = [self.record(row) for row in found]
        if not more:
            records += self.extra
        following = str((int(key) if key else 0) + self.page_size) if more else None
        return httpx.Response(200, json={"transactions": records, "continuation_key": following})

    def record(self, movement: Movement) -> dict[str, Any]:
        """Tell a movement as the provider does."""
        is_credit = movement.amount >= 0
        symbol = f"VS:{movement.variable_symbol}" if movement.variable_symbol else ""
        side = "debtor" if is_credit else "creditor"
        return {
            "entry_reference": movement.id or None,
            "transaction_id": None,
            "transaction_amount": {"currency": movement.currency, "amount": str(abs(movement.amount))},
            "credit_debit_indicator": "CRDT" if is_credit else "DBIT",
            "status": "PDNG" if movement.pending else "BOOK",
            "booking_date": None if movement.pending else movement.booked_on.isoformat(),
            "value_date": None,
            "transaction_date": movement.booked_on.isoformat(),
            side: {"name": movement.counterparty or None},
            f"{side}_account": _identified(movement.counterparty_account),
            "remittance_information": [text for text in (movement.message, symbol) if text],
            **self.told.get(movement.id, {}),
        }

    def _account(self, uid: str, id: str) -> dict[str, Any]:
        account = next(each for each in self.accounts if each.id == id)
        return {
            "uid": uid,
            "identification_hash": f"hash-of-{account.iban}.E8GzhnnsFC7K+4e3YMYYKpyM83Zx6toXrjgcvPP=",
            "identification_hashes": [],
            "account_id": {"iban": account.iban, "other": None},
            "name": "Eva Nová",
            "details": account.name,
            "cash_account_type": "CACC",
            "currency": self.currencies.get(account.id, account.currency),
        }

    def _balance(self, kind: str) -> dict[str, Any]:
        amount = self.balance if kind == "ITBD" else {**self.balance, "amount": "99999.00"}
        return {"name": kind, "balance_amount": amount, "balance_type": kind}


class TwoAccounts(EnableBankingServer):
    accounts = (
        PretendAccount(id="1", iban="CZ6508000000192000145399", name="Provozní účet", currency="CZK"),
        PretendAccount(id="2", iban="CZ9455000000001011038930", name="Spořicí účet", currency="CZK"),
    )


def settings_for(address: str, **more: str) -> dict[str, str]:
    """Settings as a person writes them into the form."""
    return {
        "application_id": APPLICATION,
        "private_key": PEM,
        "country": "CZ",
        "bank": "Česká spořitelna",
        "base_url": address,
        **more,
    }


def grant_of(bank: EnableBankingServer, session: Session) -> Grant:
    """What the plugin keeps of a session."""
    return Grant(secrets=as_secrets(session.id, accounts_of(bank.session_answer(session))))


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """A refusal as the provider writes it."""
    body = {"message": code.capitalize(), "code": status, "error": code, "detail": {"bank": "inner words"}}
    return httpx.Response(status, json=body, headers=headers)


def for_account(
    uid: str, kind: str, answer: Callable[[httpx.Request], httpx.Response]
) -> Callable[[httpx.Request], httpx.Response | None]:
    """A fault of one account: answers its readings of one kind, and no other request."""
    path = f"/accounts/{uid}/{kind}"
    return lambda request: answer(request) if request.url.path == path else None


def _identified(number: str) -> dict[str, Any] | None:
    if not number:
        return None
    if number[:2].isalpha():
        return {"iban": number, "other": None}
    return {"iban": None, "other": {"identification": number, "scheme_name": "BBAN"}}


def _is_signed(request: httpx.Request) -> bool:
    """Whether the request carries this application's token (RFC 7515, RS256) and it is good now."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        header, claims, signature = token.split(".")
        KEY.public_key().verify(_decoded(signature), f"{header}.{claims}".encode(), PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):
        return False
    told_header, told = json.loads(_decoded(header)), json.loads(_decoded(claims))
    now = datetime.now().timestamp()  # noqa: DTZ005  # seconds since 1970 have no zone
    return (
        told_header == {"typ": "JWT", "alg": "RS256", "kid": APPLICATION}
        and (told["iss"], told["aud"]) == ("enablebanking.com", "api.enablebanking.com")
        and told["iat"] <= now < told["exp"] <= told["iat"] + 24 * 3600
    )


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
