"""The accounts of a session: what the grant remembers of them, since the provider tells it only once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from kvit.plugin import Secret

MANY_CURRENCIES: Final = "XXX"
"""What the provider tells as the currency of an account that holds several (ISO 4217: no currency)."""
CURRENCY: Final = re.compile(r"[A-Z]{3}")
ACCOUNT_SCHEMES: Final = ("BBAN", "IBAN")
_SESSION, _ACCOUNTS, _UID = "session_id", "accounts", "uid_"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccount:
    """An account that the person let Kvit read."""

    uid: str
    """What the account is called within this session; the next consent gives another one."""
    key: str
    """What it is called for ever: a digest of the provider's hash of its number, else the number."""
    currency: str
    number: str = ""
    name: str = ""

    def external_id(self, currency: str) -> str:
        """Return the id of the account in one currency: some banks give one number to several currencies."""
        return f"{self.key}:{currency}"


def accounts_of(session: Mapping[str, Any]) -> list[OwnAccount]:
    """Read the accounts that can be read: a blocked one has no `uid`, one without any number no identity."""
    told = session.get("accounts")
    named: dict[str, OwnAccount] = {}
    for item in told if isinstance(told, list) else []:
        account = _account(item) if isinstance(item, dict) else None
        if account is not None and account.uid and account.key:
            named.setdefault(account.external_id(account.currency), account)
    return list(named.values())


def as_secrets(session_id: str, accounts: Sequence[OwnAccount]) -> dict[str, Secret]:
    """Return what the grant keeps; each `uid` is a secret by itself, so that it is masked anywhere."""
    facts = [{name: value for name, value in asdict(item).items() if name != "uid"} for item in accounts]
    return {
        _SESSION: Secret(session_id),
        _ACCOUNTS: Secret(json.dumps(facts)),
        **{f"{_UID}{number}": Secret(item.uid) for number, item in enumerate(accounts)},
    }


def from_secrets(secrets: Mapping[str, Secret]) -> tuple[str, list[OwnAccount]]:
    """Return the session's id and its accounts, as `as_secrets` kept them."""
    facts = json.loads(secrets[_ACCOUNTS].reveal())
    accounts = [
        OwnAccount(uid=secrets[f"{_UID}{number}"].reveal(), **item) for number, item in enumerate(facts)
    ]
    return secrets[_SESSION].reveal(), accounts


def number_of(identification: object) -> str:
    """Return an IBAN, or another account number where there is none; the mask of a card is no number."""
    if not isinstance(identification, dict):
        return ""
    if isinstance(identification.get("iban"), str) and identification["iban"].strip():
        return "".join(identification["iban"].split()).upper()
    other = identification.get("other")
    if isinstance(other, dict) and other.get("scheme_name") in ACCOUNT_SCHEMES:
        return str(other.get("identification") or "").strip()
    return ""


def _account(told: Mapping[str, Any]) -> OwnAccount:
    number = number_of(told.get("account_id"))
    currency = str(told.get("currency") or "").upper()
    names = (told.get(name) for name in ("details", "product", "name"))
    return OwnAccount(
        uid=str(told.get("uid") or ""),
        key=_short(str(told.get("identification_hash") or "")) or number,
        currency=currency if CURRENCY.fullmatch(currency) else MANY_CURRENCIES,
        number=number,
        name=next((str(name).strip() for name in names if name and str(name).strip()), number),
    )


def _short(identification_hash: str) -> str:
    """Return a digest that fits where an account's number stands: a card has no other number to show."""
    return hashlib.sha256(identification_hash.encode()).hexdigest()[:32] if identification_hash else ""
