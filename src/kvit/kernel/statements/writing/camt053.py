"""camt.053.001.08 of ISO 20022, with the Czech symbols as the Czech Banking Association writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final
from xml.sax.saxutils import quoteattr

from kvit.kernel.money import Money
from kvit.kernel.statements import camt
from kvit.kernel.statements.facts import XML_NAMESPACE, all_facts, missing_facts
from kvit.kernel.statements.parsing import Event
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import (
    Detail,
    Entry,
    Hints,
    Statement,
)
from kvit.kernel.statements.writing.outline import Outline, StatementOutline, with_entries
from kvit.kernel.statements.writing.texts import amount, element

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
)
_FOOT: Final = "</BkToCstmrStmt></Document>\n"
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Za-z0-9]{11,30}")
_DOMESTIC: Final = re.compile(r"((?:[0-9]{1,6}-)?[0-9]{2,16})/([0-9]{4})")
_LONGEST_REFERENCE: Final = 35
"""`Max35Text`."""
_LONGEST_TEXT: Final = 140
"""`Max140Text`."""
_NO_REFERENCE: Final = "NOTPROVIDED"


def written(outline: Outline, events: Iterable[Event]) -> Iterator[str]:
    yield f"{_HEAD}{_group_header(outline)}\n"
    for number, (statement, chunks) in enumerate(with_entries(outline, events), 1):
        yield _opening(statement, number)
        for chunk in chunks:
            added = _missing(statement.head, chunk)
            yield "".join(_entry(entry, facts) for entry, facts in zip(chunk, added, strict=True))
        yield "</Stmt>\n"
    yield _FOOT


def _group_header(outline: Outline) -> str:
    """Write the head of the message; its moment is the last day it tells of: equal files come out equal."""
    days = [day for each in outline.statements for day in (each.head.to_date, each.last) if day is not None]
    moment = f"{max(days, default=date(1970, 1, 1))}T00:00:00"
    return f"<GrpHdr><MsgId>KVIT</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>"


def _opening(statement: StatementOutline, number: int) -> str:
    """Write all of a statement that stands before its entries."""
    head = statement.head
    begins, ends = head.from_date or statement.first, head.to_date or statement.last
    digits = head.number if re.fullmatch(r"[0-9]{1,18}", head.number) else ""
    return "".join(
        (
            f"<Stmt><Id>{number}</Id>",
            element("ElctrncSeqNb", digits),
            _period(head.from_date, head.to_date),
            f"<Acct>{_account_id(head.account)}{element('Ccy', head.currency)}</Acct>",
            _balance("OPBD", head.opening_balance, begins),
            _balance("CLBD", head.closing_balance, ends),
            "\n",
        )
    )


def _period(begins: date | None, ends: date | None) -> str:
    if begins is None or ends is None:
        return ""
    return f"<FrToDt><FrDtTm>{begins}T00:00:00</FrDtTm><ToDtTm>{ends}T23:59:59</ToDtTm></FrToDt>"


def _balance(code: str, balance: Money | None, day: date | None) -> str:
    if balance is None:
        return ""
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(balance.minor, balance.currency)}"
        f"<Dt><Dt>{day or date(1970, 1, 1)}</Dt></Dt></Bal>"
    )


def _missing(head: Statement, entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Read the entries back, and return for each what the standard elements alone do not tell."""
    document = "".join(
        (
            _HEAD,
            _opening(StatementOutline(head), 1),
            *(_entry(entry, {}) for entry in entries),
            "</Stmt>",
            _FOOT,
        )
    )
    parts = camt.read(Source(document.encode()), Hints())
    read_back = [entry for part in parts if isinstance(part, list) for entry in part]
    if len(read_back) != len(entries):
        return [all_facts(entry) for entry in entries]
    return [missing_facts(*pair) for pair in zip(entries, read_back, strict=True)]


def _entry(entry: Entry, added: Mapping[str, str]) -> str:
    is_short = len(entry.external_id) <= _LONGEST_REFERENCE
    own, banks = ("", entry.external_id) if entry.is_bank_id else (entry.external_id, "")
    state = "PDNG" if entry.pending else "BOOK"
    return "".join(
        (
            "<Ntry>",
            element("NtryRef", own if is_short else ""),
            _amount(entry.minor, entry.currency),
            f"<Sts><Cd>{state}</Cd></Sts>",
            f"<BookgDt><Dt>{entry.booked_on}</Dt></BookgDt>",
            f"<ValDt><Dt>{entry.value_on}</Dt></ValDt>" if entry.value_on else "",
            element("AcctSvcrRef", banks if is_short else ""),
            "<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>",
            f"<NtryDtls>{_payments(entry, _addition(added))}</NtryDtls>",
            "</Ntry>\n",
        )
    )


def _amount(minor: int, currency: str) -> str:
    """Write an amount and its direction."""
    return (
        f'<Amt Ccy="{currency}">{amount(abs(minor))}</Amt>'
        f"<CdtDbtInd>{'CRDT' if minor >= 0 else 'DBIT'}</CdtDbtInd>"
    )


def _addition(facts: Mapping[str, str]) -> str:
    """Write the facts as supplementary data, which a reader that does not know them passes over."""
    if not facts:
        return ""
    told = "".join(element(name, text) or f"<{name}/>" for name, text in facts.items())
    namespace = quoteattr(XML_NAMESPACE)
    return f"<SplmtryData><Envlp><Entry xmlns={namespace}>{told}</Entry></Envlp></SplmtryData>"


def _payments(entry: Entry, addition: str) -> str:
    """Write the payments of a batch, else the one payment that the entry is; the first holds the addition."""
    if not entry.details:
        return _payment(entry, _amount(entry.minor, entry.currency), addition)
    return "".join(
        _payment(
            detail,
            _amount(detail.minor, entry.currency),
            "" if number else addition,
            element(
                "AcctSvcrRef", detail.external_id if len(detail.external_id) <= _LONGEST_REFERENCE else ""
            ),
        )
        for number, detail in enumerate(entry.details)
    )


def _payment(payment: Entry | Detail, money: str, addition: str, reference: str = "") -> str:
    return "".join(
        (
            f"<TxDtls><Refs>{reference}{_end_to_end(payment.reference)}</Refs>",
            money,
            _party(payment),
            _agent(payment),
            _remittance(payment),
            addition,
            "</TxDtls>",
        )
    )


def _end_to_end(reference: str) -> str:
    fits = reference and len(reference) <= _LONGEST_REFERENCE
    return element("EndToEndId", reference if fits else _NO_REFERENCE)


def _role(payment: Entry | Detail) -> str:
    """The other party is the debtor of incoming money and the creditor of outgoing."""
    return "Dbtr" if payment.minor >= 0 else "Cdtr"


def _party(payment: Entry | Detail) -> str:
    role, name, account = _role(payment), payment.counterparty_name, payment.counterparty_account
    if not name and not account:
        return ""
    party = f"<{role}><Pty>{element('Nm', name[:_LONGEST_TEXT])}</Pty></{role}>" if name else ""
    own = f"<{role}Acct>{_account_id(account)}</{role}Acct>" if account else ""
    return f"<RltdPties>{party}{own}</RltdPties>"


def _agent(payment: Entry | Detail) -> str:
    """Write the bank of a domestic account."""
    domestic = _DOMESTIC.fullmatch(payment.counterparty_account)
    if domestic is None:
        return ""
    agent = f"{_role(payment)}Agt"
    bank = f"<FinInstnId><ClrSysMmbId><MmbId>{domestic[2]}</MmbId></ClrSysMmbId></FinInstnId>"
    return f"<RltdAgts><{agent}>{bank}</{agent}></RltdAgts>"


def _account_id(account: str) -> str:
    if _IBAN.fullmatch(account):
        return f"<Id><IBAN>{account}</IBAN></Id>"
    return f"<Id><Othr>{element('Id', account or _NO_REFERENCE)}</Othr></Id>"


def _remittance(payment: Entry | Detail) -> str:
    """Write the message in pieces that the standard allows, and each symbol as a reference of its own."""
    symbols = (
        ("VS", payment.variable_symbol),
        ("KS", payment.constant_symbol),
        ("SS", payment.specific_symbol),
    )
    texts = "".join(element("Ustrd", piece) for piece in _pieces(payment.message))
    structured = "".join(
        f"<Strd><CdtrRefInf>{element('Ref', f'{name}:{value}')}</CdtrRefInf></Strd>"
        for name, value in symbols
        if value and len(value) <= _LONGEST_REFERENCE - 3
    )
    return f"<RmtInf>{texts}{structured}</RmtInf>" if texts or structured else ""


def _pieces(text: str) -> Iterator[str]:
    """Cut a text between words into pieces of at most 140 characters; a longer word is cut anywhere."""
    while len(text) > _LONGEST_TEXT:
        end = text.rfind(" ", 1, _LONGEST_TEXT + 1)
        end = _LONGEST_TEXT if end < 0 else end
        yield text[:end]
        text = text[end:].lstrip(" ")
    if text:
        yield text
