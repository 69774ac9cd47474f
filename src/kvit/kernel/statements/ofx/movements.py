"""One movement of OFX (`STMTTRN`, or `STMTTRNP` while it is pending), element by element."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.facts import with_facts
from kvit.kernel.statements.fields import Symbols, find_symbols, shortened
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.ofx.elements import (
    account_of,
    is_usual_amount,
    plain,
    read_amount,
    read_currency,
    read_ofx_day,
)
from kvit.kernel.statements.ofx.text import MOVEMENTS
from kvit.kernel.statements.values import Entry

BOOKED, PENDING = MOVEMENTS
_DAYS: Final = {BOOKED: "DTPOSTED", PENDING: "DTTRAN"}
_KVIT: Final = "KVIT."
_PARTS: Final = frozenset({"PAYEE", "BANKACCTTO", "CCACCTTO", "CURRENCY", "ORIGCURRENCY", "IMAGEDATA"})
_ONCE: Final = frozenset({"TRNAMT", *_DAYS.values()})
"""What decides about the money: where it stands twice, two movements have run into one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the movements of a statement have in common."""

    account: str
    currency: str
    """`NO_CURRENCY` where the file does not say."""
    is_of_fio: bool = False
    """Whether the bank is Fio, whose `FITID` is its API's id and whose `NAME` is the kind of movement."""


@dataclass(slots=True)
class Movement:
    """The elements of one movement while its tags go by."""

    tag: str
    line: int
    offset: int
    begin: int
    """Where it begins in its chunk."""
    elements: dict[str, str] = field(default_factory=dict)
    """Values by name; within a part of the movement the name is like `PAYEE/NAME`."""
    twice: str = ""
    last: str = ""
    """The name of the element that was read last."""
    part: str = ""

    def take(self, name: str, value: str, *, is_end: bool) -> None:
        """Take a start tag with the text behind it, or an end tag."""
        if is_end:
            if name == self.part:
                self.part = ""
        elif name in _PARTS and not value.strip():
            self.part = name
        else:
            self.last = name = f"{self.part}/{name}" if self.part else name
            if name in _ONCE and name in self.elements:
                self.twice = name
            self.elements.setdefault(name, value.strip())

    @property
    def may_be_cut(self) -> bool:
        """Whether its last element is one that must be whole, and the next tag is not its own end."""
        return self.last in _ONCE

    @property
    def has_unusual_amount(self) -> bool:
        return not is_usual_amount(self.elements.get("TRNAMT", ""))

    def entry(self, account: Account, raw: str) -> Entry:
        """Make the entry; raises RecordError for an amount, a day or a currency that cannot be read."""
        if self.twice:
            raise RecordError("{name} stands twice in the movement.", field=self.twice, name=self.twice)
        if corrected := self.elements.get("CORRECTFITID"):
            # Booked movements are never changed unseen, and one more would count the money twice.
            raise RecordError(
                "The bank corrects its movement {id}: look at it and correct it by hand.",
                field="CORRECTFITID",
                id=shortened(corrected),
            )
        booked_on = read_ofx_day(self._required(_DAYS[self.tag]), _DAYS[self.tag])
        minor = read_amount(self._required("TRNAMT"), account.currency, "TRNAMT").minor
        is_pending = self.tag == PENDING
        name, message = self._texts(account)
        symbols = find_symbols((message, name))[0] if "S" in message or "S" in name else Symbols()
        external_id = "" if is_pending else self._reference(account)
        entry = Entry(
            booked_on,
            minor,
            self._currency(account),
            external_id,
            account.is_of_fio and bool(external_id),
            self._day_or_none("DTAVAIL"),
            name,
            self._other_account(account),
            symbols.variable,
            symbols.constant,
            symbols.specific,
            message,
            bank_reference(self.elements.get("REFNUM") or self.elements.get("CHECKNUM", "")),
            is_pending,
            self.line,
            self.offset,
            raw,
        )
        added = self._additions()
        return with_facts(entry, added) if added else entry

    def _additions(self) -> dict[str, str]:
        """Return the facts that Kvit adds where OFX has no place for them (see `facts`)."""
        return {
            name.removeprefix(_KVIT).lower(): plain(text)
            for name, text in self.elements.items()
            if name.startswith(_KVIT)
        }

    def _required(self, name: str) -> str:
        text = self.elements.get(name, "")
        if not text:
            raise RecordError("The movement has no {name}.", field=name, name=name)
        return text

    def _currency(self, account: Account) -> str:
        """Return the currency of the amount; `ORIGCURRENCY` is what it was before the bank converted it."""
        text = self.elements.get("CURRENCY/CURSYM") or self.elements.get("CURRENCY", "")
        return read_currency(text, "CURRENCY/CURSYM") if text else account.currency

    def _reference(self, account: Account) -> str:
        return bank_reference(plain(self.elements.get("FITID", "")), counts=not account.is_of_fio)

    def _texts(self, account: Account) -> tuple[str, str]:
        """Return the other party's name and the message."""
        name = self.elements.get("NAME") or self.elements.get("PAYEE/NAME", "")
        message = plain(self.elements.get("MEMO", ""))
        if account.is_of_fio:
            return "", message or plain(name)
        return plain(name), message

    def _other_account(self, account: Account) -> str:
        texts = self.elements
        account_id = texts.get("BANKACCTTO/ACCTID") or texts.get("CCACCTTO/ACCTID", "")
        return account_of(texts.get("BANKACCTTO/BANKID", ""), plain(account_id), is_fio=account.is_of_fio)

    def _day_or_none(self, name: str) -> date | None:
        text = self.elements.get(name, "")
        try:
            return read_ofx_day(text, name) if text else None
        except RecordError:
            return None
