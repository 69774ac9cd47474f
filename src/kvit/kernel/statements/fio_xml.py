"""Fio banka's XML: the answer of its API, and what Fio sends instead of one.

Instead of a statement there may be the reason why there is none, which is told, or a payment order and its
answer, which are refused by their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from lxml import etree

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.statements import xml
from kvit.kernel.statements.fields import one_line, shortened
from kvit.kernel.statements.fio_columns import COLUMNS, Columns, Head, Places, Table
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Entry, Hints, Part, Problem, StatementEnd

FORMAT: Final = "fio-xml"
ORDER_FORMAT: Final = "fio-payment-order"
CHUNK: Final = 500

_ORDER: Final = "This is a payment order for Fio, not a statement."
_ORDER_ANSWER: Final = "This is the answer of Fio to a payment order, not a statement."
_COLUMN: Final = re.compile(r"column_([0-9]{1,3})")
_FIO: Final = re.compile(rb"<Info[\s>]|<TransactionList[\s/>]|fio\.cz/schema/")
_REFUSAL: Final = re.compile(rb"<errorCode[\s>]")
_ORDERS: Final = re.compile(rb"<(?:Orders|DomesticTransaction|T2Transaction|ForeignTransaction)[\s>]")


def detect(head: bytes) -> Detection | None:
    """Know the bank's statement, its refusal (`response`) and its payment orders by the outermost element."""
    if not xml.is_xml(head):
        return None
    text = head.replace(b"\0", b"")
    match xml.root_of(head):
        case "AccountStatement" if _FIO.search(text):
            return Detection(format=FORMAT)
        case "response" if _REFUSAL.search(text):
            return Detection(format=FORMAT)
        case "responseImport":
            return Detection(format=ORDER_FORMAT)
        case "Import" if _ORDERS.search(text):
            return Detection(format=ORDER_FORMAT)
    return None


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield the statement and its movements, or the bank's reason why there is none as a warning.

    Raises StatementUnreadable for damaged XML and for what is no statement.
    """
    match xml.root_of(source.head):
        case "Import":
            raise StatementUnreadable(_ORDER, source=source.name, field="Import")
        case "responseImport":
            raise StatementUnreadable(_ORDER_ANSWER, source=source.name, field="responseImport")
        case "response":
            yield from _refusals(source)
        case _:
            yield from _statement(source, hints)


def _refusals(source: Source) -> Iterator[Problem]:
    for result in xml.elements(source, ("result",)):
        code, said = xml.text(result, "errorCode"), one_line(xml.text(result, "message"))
        yield Problem(
            message=f"There is no statement. Fio answered: {shortened(said) or 'no reason given'} "
            f"(error {shortened(code)}).",
            line=xml.line_of(result),
            field="message",
        )


class _Row(NamedTuple):
    """One `Transaction`: the column texts in the order of `Table`, and where it stands."""

    texts: tuple[str, ...]
    line: int | None
    raw: str


def _statement(source: Source, hints: Hints) -> Iterator[Part]:
    columns: Columns | None = None
    rows: list[_Row] = []
    for element in xml.elements(source, ("Info", "Transaction")):
        if xml.local(element.tag) == "Info":
            head = _head(element)
            if columns is not None:
                yield from _late(head)
                continue
            columns = Columns("column_", head.currency or hints.currency)
            yield head.statement
            yield from head.problems
            continue
        if columns is None:
            columns = Columns("column_", hints.currency)
            yield Head({}, line=xml.line_of(element)).statement
        try:
            rows.append(_row(element))
        except RecordError as error:
            yield _problem(error, xml.line_of(element))
        if len(rows) == CHUNK:
            yield from _chunk(rows, columns)
            rows = []
    if columns is None:
        raise StatementUnreadable("The file holds no statement of Fio.", source=source.name, field="Info")
    yield from _chunk(rows, columns)


def _late(head: Head) -> Iterator[Part]:
    """Add what an `Info` says that stands behind movements, or comes again."""
    statement = head.statement
    yield StatementEnd(
        opening_balance=statement.opening_balance,
        closing_balance=statement.closing_balance,
        from_date=statement.from_date,
        to_date=statement.to_date,
    )
    yield from head.problems


def _head(info: etree._Element) -> Head:
    texts = {xml.local(each.tag).lower(): (each.text or "").strip() for each in info}
    return Head(texts, line=xml.line_of(info))


def _row(transaction: etree._Element) -> _Row:
    """Read the columns by their numbers; raises RecordError where one stands there twice and differs."""
    texts: dict[int, str] = {}
    for each in transaction:
        column = _COLUMN.fullmatch(xml.local(each.tag))
        if column is None:
            continue
        text = (each.text or "").strip()
        if texts.setdefault(int(column[1]), text) != text:
            raise RecordError("The column stands there twice, with different values.", field=column[0])
    raw = etree.tostring(transaction, encoding="unicode", with_tail=False)
    return _Row(tuple(texts.get(number, "") for number in COLUMNS.values()), xml.line_of(transaction), raw)


def _chunk(rows: list[_Row], columns: Columns) -> Iterator[Part]:
    """Make entries of all rows at once, or one by one where one of them cannot be read."""
    if not rows:
        return
    problems: list[Problem] = []
    try:
        entries = _entries(rows, columns)
    except RecordError:
        entries = []
        for row in rows:
            try:
                entries.extend(_entries([row], columns))
            except RecordError as error:
                problems.append(_problem(error, row.line))
    yield entries
    yield from columns.doubts(entries)
    yield from problems


def _entries(rows: list[_Row], columns: Columns) -> list[Entry]:
    texts, lines, raws = zip(*rows, strict=True)
    return columns.entries(Table(*zip(*texts, strict=True)), Places(lines, [None] * len(rows), raws))


def _problem(error: RecordError, line: int | None) -> Problem:
    return Problem(message=str(error), line=line, field=error.field, is_error=True)
