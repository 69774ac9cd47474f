"""Rows of a report as values: amounts, days, currencies and the number of the document that was paid."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from enum import Enum, auto
from typing import Final, NamedTuple

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.payout_reports.profile import Role
from kvit.kernel.payout_reports.table import Cells, Place, Table
from kvit.kernel.statements.csv.amounts import Amounts, decimal_mark
from kvit.kernel.statements.csv.days import Days, is_open, order_of
from kvit.kernel.statements.csv.words import CODES, normalized

_AMOUNTS: Final = (Role.GROSS, Role.FEE, Role.NET)
_NUMBER: Final = re.compile(
    r"(?<!\w)(?:order|invoice|inv|obj|objedn[aá]vk\w*|faktur\w*|doklad\w*|rechnung\w*|bestellung\w*|vs)"
    r"(?:[ .:#-]+(?:no|nr|number|id|č|c|číslo|cislo))?[ .:#-]*"
    r"([A-Z]{0,8}[/-]?[0-9](?:[A-Z0-9/-]*[A-Z0-9])?)(?!\w)",
    re.IGNORECASE,
)
"""A document's number behind a word that announces it, in Czech, English, German or Slovak."""
_LONGEST_REFERENCE: Final = 200


class Kind(Enum):
    """What a row is."""

    SALE = auto()
    """A sale or a refund, by the sign of its gross amount."""
    FEE = auto()
    PAYOUT = auto()
    TOTAL = auto()


class Told(NamedTuple):
    """What a person said of a report that does not say it."""

    currency: str = ""
    paid_on: date | None = None


class Row(NamedTuple):
    """One row that counts; amounts are hundredths."""

    line: int
    kind: Kind
    payout: str
    paid_on: date | None
    currency: str
    account: str
    id: str
    reference: str
    gross_minor: int
    fee_minor: int
    """What the provider keeps; below zero where it gives a fee back."""
    net_minor: int
    """What the row adds to the payout: as told, else gross without fee."""


def rows_of(table: Table, told: Told) -> list[Row]:
    """Return the rows that moved money and those that sum others up, in the order of the file.

    Raises StatementUnreadable for what `read` names.
    """
    cells = list(table.cells())
    reading = _Reading(table, told, cells)
    rows = [row for each in cells if (row := reading.row(each)) is not None]
    named = {row.id: row.reference for row in reversed(rows) if row.id and row.reference}
    return [row._replace(reference=row.reference or named.get(row.id, "")) for row in rows]


class _Reading:
    """What is decided once for all rows of a file."""

    def __init__(self, table: Table, told: Told, cells: list[Cells]) -> None:
        self._table = table
        self._profile = table.profile
        self._told = told
        self._amounts = Amounts(_decimal(cells))
        self._days = Days(table.profile.date_order or order_of(each.text(Role.PAID_ON) for each in cells))
        self._paid_on = _day_in_name(table) or told.paid_on

    def row(self, cells: Cells) -> Row | None:
        """Return a row; None for one that moved no money."""
        id_ = cells.text(Role.ID)
        kind = _kind(cells, id_)
        if kind is None:
            return None
        amounts, currencies = self._cells_of_amounts(cells)
        if not amounts and kind is Kind.TOTAL:
            return None
        gross, fee, net = self._settled(cells, amounts)
        return Row(
            line=cells.line,
            kind=kind,
            payout=cells.text(Role.PAYOUT),
            paid_on=self._day(cells, kind),
            currency=self._currency(cells, currencies),
            account=cells.text(Role.ACCOUNT),
            id=id_,
            reference=_reference(cells),
            gross_minor=gross,
            fee_minor=fee,
            net_minor=net,
        )

    def _cells_of_amounts(self, cells: Cells) -> tuple[dict[Role, int], set[str]]:
        """Read the amounts that are there, and the currencies written beside them."""
        amounts: dict[Role, int] = {}
        currencies: set[str] = set()
        for role in _AMOUNTS:
            if text := cells.text(role):
                amounts[role], currency = self._amount(text, cells, role)
                currencies |= {currency} - {""}
        return amounts, currencies

    def _amount(self, text: str, cells: Cells, role: Role) -> tuple[int, str]:
        try:
            return self._amounts.cell(text)
        except RecordError:
            raise cells.place(role).at(
                StatementUnreadable(
                    "Line {line}, {field}: “{text}” is not an amount to hundredths. "
                    "Download the report again, or correct the cell.",
                    text=text[:40],
                )
            ) from None

    def _settled(self, cells: Cells, amounts: dict[Role, int]) -> tuple[int, int, int]:
        """Return gross, fee and net.

        A provider may write what it keeps with either sign; where it tells the net, that says which.
        """
        gross, fee, net = map(amounts.get, _AMOUNTS)
        if gross is None and net is None and fee is None:
            role = Role.GROSS if self._table.has(Role.GROSS) else Role.NET
            raise cells.place(role).at(
                StatementUnreadable(
                    "Line {line}, {field}: the amount is missing. "
                    "Download the report again, or correct the cell."
                )
            )
        if gross is None:
            gross = 0 if net is None else net + (fee or 0)
        if net is None:
            return gross, fee or 0, gross - (fee or 0)
        if fee is None or abs(fee) == abs(gross - net):
            return gross, gross - net, net
        if not self._profile.is_withheld:
            raise cells.place(Role.NET).at(
                StatementUnreadable(
                    "Line {line}: {field} and the other amounts contradict each other. "
                    "Download the report again."
                )
            )
        return gross, abs(fee), net

    def _day(self, cells: Cells, kind: Kind) -> date | None:
        text = cells.text(Role.PAID_ON)
        if not text or kind is Kind.TOTAL:
            return self._paid_on
        try:
            return self._days[text]
        except RecordError:
            raise _no_day(text, cells.place(Role.PAID_ON)) from None

    def _currency(self, cells: Cells, beside: set[str]) -> str:
        """Return the currency that the row says, or else a person; never two."""
        column = cells.text(Role.CURRENCY).upper()
        said = (beside | {column}) - {""} or {self._told.currency} - {""}
        if len(said) > 1 or not said <= CODES:
            raise cells.place(Role.CURRENCY).at(
                StatementUnreadable(
                    "Line {line}, {field}: “{text}” is not one currency. "
                    "Download the report again, or correct the cell.",
                    text=" ".join(sorted(said))[:40],
                )
            )
        if not said:
            raise Place(cells.table.source.name, None, Role.CURRENCY).at(
                StatementUnreadable(
                    "The report does not say its currency. Say it when you upload the report."
                )
            )
        return said.pop()


def _kind(cells: Cells, id_: str) -> Kind | None:
    profile = cells.table.profile
    kinds, states = cells.texts(Role.KIND), cells.texts(Role.STATE)
    if _is_any(states, profile.skipped_states) or _is_any(kinds, profile.skipped_kinds):
        return None
    if not id_ and _is_any(kinds, profile.total_kinds):
        return Kind.TOTAL
    if _is_any(kinds, profile.payout_kinds):
        return Kind.PAYOUT
    return Kind.FEE if _is_any(kinds, profile.fee_kinds) else Kind.SALE


def _is_any(texts: Iterable[str], words: Iterable[str]) -> bool:
    """Whether a cell is one of the words, or begins with one that ends with a star."""
    names = [normalized(text) for text in texts]
    for word in words:
        begin = normalized(word.removesuffix("*"))
        if any(name.startswith(begin) if word.endswith("*") else name == begin for name in names):
            return True
    return False


def _reference(cells: Cells) -> str:
    """Return the number of what was paid: from its column, else the only one that the text announces."""
    reference = cells.text(Role.REFERENCE)
    if reference:
        return reference[:_LONGEST_REFERENCE]
    text = cells.text(Role.TEXT)
    numbers = set(_NUMBER.findall(text))
    return numbers.pop() if len(numbers) == 1 else text[:_LONGEST_REFERENCE]


def _decimal(rows: list[Cells]) -> str:
    """Return the decimal mark that the amounts prove; a point where none has decimals.

    Raises StatementUnreadable where an amount can be two, or one amount proves a point and another a comma.
    """
    texts = [(cells, role, text) for cells in rows for role in _AMOUNTS if (text := cells.text(role))]
    mark = decimal_mark(text for _, _, text in texts)
    if mark != "?":
        return mark or "."
    marks = [decimal_mark([text]) for _, _, text in texts]
    first = next(each for each in marks if each)
    doubtful = next(at for at, each in enumerate(marks) if each == "?" or each not in ("", first))
    cells, role, text = texts[doubtful]
    raise cells.place(role).at(
        StatementUnreadable(
            "Line {line}, {field}: the mark in “{text}” may stand before decimals or between thousands. "
            "Download the report with two decimals in every amount.",
            text=text[:40],
        )
    )


def _no_day(text: str, place: Place) -> StatementUnreadable:
    if is_open(text):
        return place.at(
            StatementUnreadable(
                "Line {line}, {field}: the day {text} can be read in two ways. Download the report for a "
                "longer time, so that it holds a day after the twelfth.",
                text=text,
            )
        )
    return place.at(
        StatementUnreadable(
            "Line {line}, {field}: “{text}” is not a day. Download the report again.", text=text[:40]
        )
    )


def _day_in_name(table: Table) -> date | None:
    pattern = table.profile.paid_on_in_name
    match = re.search(pattern, table.source.name) if pattern else None
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None
