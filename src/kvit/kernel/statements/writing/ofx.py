"""OFX 2.1.1 (XML); what it has no place for stands in elements of Kvit's own, such as `KVIT.VARIABLE_SYMBOL`.

The specification (2.4.4) lets anybody add elements whose name begins with the owner's and a point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from kvit.kernel.statements import ofx
from kvit.kernel.statements.facts import all_facts, missing_facts
from kvit.kernel.statements.ofx.elements import account_of
from kvit.kernel.statements.parsing import Event
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import (
    NO_CURRENCY,
    Entry,
    Hints,
    Statement,
)
from kvit.kernel.statements.writing.outline import Outline, StatementOutline, with_entries
from kvit.kernel.statements.writing.texts import amount, element

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
)
_STATUS: Final = "<STATUS><CODE>0</CODE><SEVERITY>INFO</SEVERITY></STATUS>"
_FOOT: Final = "</BANKMSGSRSV1></OFX>\n"
_DOMESTIC: Final = re.compile(r"((?:[0-9]{1,6}-)?[0-9]{2,16})/([0-9]{4})")
_LONGEST_NAME: Final = 32
_LONGEST_TEXT: Final = 255
_NOBODY: Final = date(1970, 1, 1)
"""Where a file must have a day and none is known."""


def written(outline: Outline, events: Iterable[Event]) -> Iterator[str]:
    yield _opening(outline)
    for number, (statement, chunks) in enumerate(with_entries(outline, events), 1):
        yield _beginning(statement, number)
        pending: list[Entry] = []
        for chunk in chunks:
            pending += (entry for entry in chunk if entry.pending)
            yield "".join(_movements(statement, [entry for entry in chunk if not entry.pending]))
        yield "</BANKTRANLIST>\n"
        if pending:
            yield "".join(_pending_list(statement, pending))
        yield _ending(statement)
    yield _FOOT


def _opening(outline: Outline) -> str:
    """Write the sign-on; its moment is the last day it tells of: equal files come out equal."""
    days = [day for each in outline.statements for day in (each.head.to_date, each.last) if day is not None]
    server = f"<DTSERVER>{_day(max(days, default=_NOBODY))}</DTSERVER><LANGUAGE>ENG</LANGUAGE>"
    return f"{_HEAD}<OFX><SIGNONMSGSRSV1><SONRS>{_STATUS}{server}</SONRS></SIGNONMSGSRSV1>\n<BANKMSGSRSV1>\n"


def _beginning(statement: StatementOutline, number: int) -> str:
    head = statement.head
    begins = head.from_date or statement.first or _NOBODY
    ends = head.to_date or statement.last or begins
    return "".join(
        (
            f"<STMTTRNRS><TRNUID>{number}</TRNUID>{_STATUS}<STMTRS>",
            element("CURDEF", _currency(head)),
            f"<BANKACCTFROM>{_account(head.account)}<ACCTTYPE>CHECKING</ACCTTYPE></BANKACCTFROM>\n",
            f"<BANKTRANLIST><DTSTART>{_day(begins)}</DTSTART><DTEND>{_day(ends)}</DTEND>\n",
        )
    )


def _ending(statement: StatementOutline) -> str:
    closing = statement.head.closing_balance
    day = statement.head.to_date or statement.last or _NOBODY
    if closing is None:
        balance = ""
    else:
        balance = (
            f"<LEDGERBAL><BALAMT>{amount(closing.minor)}</BALAMT><DTASOF>{_day(day)}</DTASOF></LEDGERBAL>"
        )
    return f"{balance}</STMTRS></STMTTRNRS>\n"


def _currency(head: Statement) -> str:
    """Return the statement's currency; where nobody knows it, the code for none."""
    return head.currency or (head.closing_balance.currency if head.closing_balance else NO_CURRENCY)


def _account(account: str) -> str:
    """Write a Czech number as number and bank code; the bank of any other is not told apart."""
    domestic = _DOMESTIC.fullmatch(account)
    if domestic and account_of(domestic[2], domestic[1]) == account:
        number, bank = domestic[1], domestic[2]
    else:
        number, bank = account, "0"
    return f"<BANKID>{bank}</BANKID>{element('ACCTID', number) or '<ACCTID></ACCTID>'}"


def _pending_list(statement: StatementOutline, entries: Sequence[Entry]) -> Iterator[str]:
    yield f"<BANKTRANLISTP><DTASOF>{_day(max(entry.booked_on for entry in entries))}</DTASOF>\n"
    yield from _movements(statement, entries)
    yield "</BANKTRANLISTP>\n"


def _movements(statement: StatementOutline, entries: Sequence[Entry]) -> Iterator[str]:
    """Write entries that are all booked or all pending, with what the elements of OFX do not tell."""
    if not entries:
        return
    plain = "".join(_movement(entry, statement.head, {}) for entry in entries)
    document = f"{_HEAD}<OFX>{_beginning(statement, 1)}{plain}</BANKTRANLIST></STMTRS></STMTTRNRS>{_FOOT}"
    parts = ofx.read(Source(document.encode()), Hints())
    read_back = [entry for part in parts if isinstance(part, list) for entry in part]
    for number, entry in enumerate(entries):
        is_sure = len(read_back) == len(entries)
        facts = missing_facts(entry, read_back[number]) if is_sure else all_facts(entry)
        yield _movement(entry, statement.head, facts)


def _movement(entry: Entry, head: Statement, added: Mapping[str, str]) -> str:
    tag, day = ("STMTTRNP", "DTTRAN") if entry.pending else ("STMTTRN", "DTPOSTED")
    is_other = entry.currency != _currency(head)
    return "".join(
        (
            f"<{tag}><TRNTYPE>{'CREDIT' if entry.minor >= 0 else 'DEBIT'}</TRNTYPE>",
            f"<{day}>{_day(entry.booked_on)}</{day}>",
            f"<DTAVAIL>{_day(entry.value_on)}</DTAVAIL>" if entry.value_on else "",
            f"<TRNAMT>{amount(entry.minor)}</TRNAMT>",
            "" if entry.pending else element("FITID", entry.external_id[:_LONGEST_TEXT]),
            element("REFNUM", entry.reference[:_LONGEST_NAME]),
            element("NAME", entry.counterparty_name[:_LONGEST_NAME]),
            _counterparty(entry.counterparty_account),
            element("MEMO", entry.message[:_LONGEST_TEXT]),
            f"<CURRENCY><CURSYM>{entry.currency}</CURSYM></CURRENCY>" if is_other else "",
            *(_addition(name, text) for name, text in added.items()),
            f"</{tag}>\n",
        )
    )


def _counterparty(account: str) -> str:
    return f"<BANKACCTTO>{_account(account)}<ACCTTYPE>CHECKING</ACCTTYPE></BANKACCTTO>" if account else ""


def _addition(name: str, text: str) -> str:
    tag = f"KVIT.{name.upper()}"
    return element(tag, text) or f"<{tag}></{tag}>"


def _day(day: date) -> str:
    return f"{day.year:04}{day:%m%d}"
