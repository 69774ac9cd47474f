"""One `Ntry` becomes one entry: what was booked, when, and who paid."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.camt.payments import (
    Facts,
    Warn,
    amounts_of,
    common_facts,
    details_of,
    facts_of,
    symbols_of,
)
from kvit.kernel.statements.facts import NAMES, XML_NAMESPACE, with_facts
from kvit.kernel.statements.fields import one_line, read_day, read_money, shortened
from kvit.kernel.statements.fragments import Fragment
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.shapes import Element
from kvit.kernel.statements.values import Detail, Entry

PAYMENTS: Final = "NtryDtls/TxDtls"
_ADDITION: Final = f"{PAYMENTS}/SplmtryData/Envlp/Entry"

_TEXTS: Final = (
    "Sts",
    "Sts/Cd",
    "Amt",
    "CdtDbtInd",
    "BookgDt/Dt",
    "BookgDt/DtTm",
    "ValDt/Dt",
    "ValDt/DtTm",
    "AcctSvcrRef",
    "NtryRef",
    "AddtlNtryInf",
)
_PENDING_STATES: Final = frozenset({"PDNG", "FUTR"})
_PLAIN_AMOUNT: Final = re.compile(r"[0-9]{1,13}\.[0-9]{2}")


def read_entry(fragment: Fragment, account: str, only_day: date | None, warn: Warn) -> Entry | None:
    """Read an entry; information that is no movement (`INFO`) is None.

    `only_day` is the day the whole statement is about, where it is about one. Raises RecordError.
    """
    entry = fragment.element
    state, state_code, amount, mark, day, moment, value_day, value_moment, servicer_reference, own, more = (
        entry.texts(_TEXTS)
    )
    state = state or state_code or "BOOK"
    if state == "INFO":
        warn("The entry is for information only (INFO) and was left out.", "Sts")
        return None
    is_pending = _is_pending(state)
    currency = entry.attribute("Amt", "Ccy")
    minor = _signed(_minor(amount, currency, warn), mark)
    value_on = _day(value_day or value_moment, "ValDt")
    payments = entry.all(PAYMENTS)
    facts, details = _facts(entry, payments, minor, currency, account, warn)
    # A bank that only counts the movements here still tells those of one statement apart by it.
    lasting = bank_reference(servicer_reference, counts=True)
    read = Entry(
        _booked_on(day or moment, value_on, only_day, warn),
        minor,
        currency,
        lasting or bank_reference(servicer_reference) or _other_reference(own, payments),
        bool(lasting) and not is_pending,
        value_on,
        facts.counterparty_name,
        facts.counterparty_account,
        facts.variable_symbol,
        facts.constant_symbol,
        facts.specific_symbol,
        facts.message or one_line(more),
        facts.reference,
        is_pending,
        fragment.line,
        fragment.offset,
        fragment.raw,
        details,
    )
    return with_facts(read, _addition(entry)) if XML_NAMESPACE in fragment.raw else read


def is_reversal(fragment: Fragment) -> bool:
    """Whether the entry takes another one back (ISO 20022, `RvslInd`)."""
    return fragment.element.text("RvslInd") in {"true", "1"}


def turned(entry: Entry) -> Entry:
    """Return the entry with the opposite sign."""
    details = tuple(replace(detail, minor=-detail.minor) for detail in entry.details)
    return replace(entry, minor=-entry.minor, details=details)


def read_marked_money(element: Element, place: str) -> Money:
    """Read `Amt` with the sign of `CdtDbtInd`, which is credit where it is absent; raises RecordError."""
    money = read_money(element.text("Amt"), element.attribute("Amt", "Ccy"), place)
    return Money(_signed(money.minor, element.text("CdtDbtInd") or "CRDT"), money.currency)


def _facts(
    entry: Element, payments: list[Element], minor: int, currency: str, account: str, warn: Warn
) -> tuple[Facts, tuple[Detail, ...]]:
    """Read the payments; several are told apart where they add up to exactly the entry."""
    if not payments:
        return Facts("", "", *symbols_of([entry.text("AddtlNtryInf")], warn)), ()
    facts = [facts_of(payment, minor >= 0, account, warn) for payment in payments]
    if len(facts) == 1:
        return facts[0], ()
    amounts = amounts_of(payments, minor, currency)
    if amounts is None:
        warn(f"The {len(payments)} payments do not add up to the entry, which stays whole.", PAYMENTS)
        return common_facts(facts), ()
    return common_facts(facts), details_of(payments, amounts, facts)


def _addition(entry: Element) -> dict[str, str]:
    """Return the facts that Kvit adds where the standard has no place for them (see `facts`)."""
    added = entry.all(_ADDITION)
    found = ((name, each.all(name)) for each in added[:1] for name in NAMES)
    return {name: elements[0].own_text() for name, elements in found if elements}


def _is_pending(state: str) -> bool:
    """Whether the entry is only announced; raises RecordError for an unknown state."""
    if state == "BOOK":
        return False
    if state not in _PENDING_STATES:
        raise RecordError("“{state}” is not a known state of an entry.", field="Sts", state=shortened(state))
    return True


def _minor(amount: str, currency: str, warn: Warn) -> int:
    if _PLAIN_AMOUNT.fullmatch(amount) and _is_currency(currency):
        return int(amount.replace(".", ""))
    money = read_money(amount, currency, "Amt")
    if money.minor < 0:
        warn("The amount has a minus sign besides CdtDbtInd; both were applied.", "Amt")
    return money.minor


@lru_cache(maxsize=64)
def _is_currency(currency: str) -> bool:
    """Whether it is a currency code; raises RecordError otherwise."""
    return bool(read_money("0", currency, "Amt").currency)


def _signed(minor: int, mark: str) -> int:
    """Apply the mark alone, also of a reversal (ISO 20022, `RvslInd`); raises RecordError for another one."""
    if mark == "CRDT":
        return minor
    if mark == "DBIT":
        return -minor
    raise RecordError(
        "“{mark}” does not say whether the money came or went.", field="CdtDbtInd", mark=shortened(mark)
    )


def _booked_on(text: str, value_on: date | None, only_day: date | None, warn: Warn) -> date:
    booked_on = _day(text, "BookgDt")
    if booked_on is not None:
        return booked_on
    if value_on is not None:
        warn("The entry has no booking date; the value date was taken.", "BookgDt")
        return value_on
    if only_day is not None:
        warn("The entry has no date; the statement's only day was taken.", "BookgDt")
        return only_day
    raise RecordError("The entry has no date.", field="BookgDt")


@lru_cache(maxsize=1024)
def _day(text: str, place: str) -> date | None:
    return read_day(text, place) if text else None


def _other_reference(own: str, payments: list[Element]) -> str:
    """Return the entry's own reference, else the bank's reference of its only payment."""
    reference = bank_reference(own, counts=True)
    if reference or len(payments) != 1:
        return reference
    return bank_reference(payments[0].text("Refs/AcctSvcrRef"))
