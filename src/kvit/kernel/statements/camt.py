"""camt.053, the XML statement of ISO 20022, in any version; camt.052 and camt.054 have the same entries.

Elements are known by their local names, so versions and banks differ only where this module says so. The
entries are read while the XML is parsed and freed at once: the tree of a long statement is never in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple, cast

from lxml import etree

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import find_symbols, is_symbol, one_line, read_day, read_money, shortened
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.values import Detection, Entry, Problem, Statement, StatementFile

_FORMATS = {
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
}
_STATEMENT_TAGS = frozenset({"Stmt", "Rpt", "Ntfctn"})
_HEAD_BYTES = 16_384
_MESSAGE = re.compile(rb"<(?:[\w.-]+:)?(BkToCstmrStmt|BkToCstmrAcctRpt|BkToCstmrDbtCdtNtfctn)[\s/>]")
_XML = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*<")
_DOCTYPE = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL
)
_OPENING_BALANCES = ("OPBD", "PRCD")
"""Opening booked, else previously closed booked, in this order."""
_SYMBOL_NAMES = {"VS": "variable symbols", "KS": "constant symbols", "SS": "specific symbols"}
_TURNED_REVERSALS = "Reversals were turned round, because only so the balances agree."
_PENDING_STATES = frozenset({"PDNG", "FUTR"})


def identify(x):  # type: ignore
    return tuple(x), ()

def balance_doubt(*a):  # type: ignore
    return None

def read(source, hints):  # type: ignore[no-untyped-def]
    file = _read(source.content(), source=source.name)
    for statement in file.statements:
        yield replace(statement, entries=(), format=file.format)
        yield list(statement.entries)
    yield from file.warnings
    for each in file.errors:
        yield replace(each, is_error=True)

def _made(*, amount, **rest):  # type: ignore[no-untyped-def]
    return Entry(minor=amount.minor, currency=amount.currency, **rest)


def detect(data: bytes) -> Detection | None:
    """Return `camt.053`, `camt.052` or `camt.054` where the XML begins such a message, else None."""
    head = data[:_HEAD_BYTES].replace(b"\0", b"")
    message = _MESSAGE.search(head) if _XML.match(head) else None
    return Detection(format=_FORMATS[message[1].decode("ascii")]) if message else None


def _read(data: bytes, *, source: str = "") -> StatementFile:
    """Read a camt message.

    Raises StatementUnreadable for XML that is damaged, has a DOCTYPE or holds no statement.
    """
    if _DOCTYPE.match(data.replace(b"\0", b"") if b"\0" in data[:_HEAD_BYTES] else data):
        raise _refused_doctype(source)
    reader = _Reader()
    try:
        for element in _elements(data):
            if element.getroottree().docinfo.internalDTD is not None:
                raise _refused_doctype(source)
            reader.read_element(element)
    except etree.XMLSyntaxError as error:
        raise StatementUnreadable(
            "The XML is damaged: {reason}. Export the statement from the bank again.",
            source=source,
            line=error.lineno,
            reason=error.msg,
        ) from None
    if not reader.sections:
        raise StatementUnreadable("The file holds no statement.", source=source, field="Stmt")
    return _file(detect(data).format, reader)


def _elements(data: bytes) -> Iterator[etree._Element]:
    """Yield each entry and each statement when its end tag has been read, and free the entries."""
    events = etree.iterparse(
        BytesIO(data),
        events=("end",),
        tag=("{*}Ntry", *(f"{{*}}{name}" for name in sorted(_STATEMENT_TAGS))),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    read_before = None
    for _, element in events:
        yield element
        if _local(element.tag) == "Ntry":
            # The parser may still hold on to the current element, so it is taken out one step later.
            element.clear()
            _detach(read_before)
            read_before = element


def _detach(element: etree._Element | None) -> None:
    parent = None if element is None else element.getparent()
    if element is not None and parent is not None:
        parent.remove(element)


@dataclass(slots=True)
class _Section:
    """A statement while its entries are being read."""

    element: etree._Element
    account: str
    day: date | None
    """The one day the whole statement is about, where it is about one day."""
    line: int | None
    entries: list[Entry] = field(default_factory=list)
    reversals: list[bool] = field(default_factory=list)
    """For each entry whether it reverses another (`RvslInd`)."""
    unreadable: int = 0
    statement: Statement | None = None


class _Details(NamedTuple):
    """What the details of an entry (`TxDtls`) say for matching."""

    counterparty_name: str = ""
    counterparty_account: str = ""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""


@dataclass(slots=True)
class _Reader:
    """What has been read so far."""

    sections: list[_Section] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)

    def read_element(self, element: etree._Element) -> None:
        if _local(element.tag) == "Ntry":
            parent = element.getparent()
            if parent is not None and _local(parent.tag) in _STATEMENT_TAGS:
                self._read_entry(element, self._section(parent))
        else:
            self._finish(self._section(element))

    def _section(self, element: etree._Element) -> _Section:
        if not self.sections or self.sections[-1].element is not element:
            account, day = _account(element), _single_day(element)
            self.sections.append(_Section(element, account, day, _line(element)))
        return self.sections[-1]

    def _read_entry(self, element: etree._Element, section: _Section) -> None:
        try:
            entry = self._entry(element, section)
        except RecordError as error:
            section.unreadable += 1
            self.errors.append(Problem(message=str(error), line=_line(element), field=error.field))
            return
        if entry is not None:
            section.entries.append(entry)
            section.reversals.append(_text(element, "RvslInd") in {"true", "1"})

    def _entry(self, element: etree._Element, section: _Section) -> Entry | None:
        """Read one `Ntry`; information that is no movement (`INFO`) is None. Raises RecordError."""
        parts = _parts(element)
        state = _state(parts.get("Sts"))
        if state == "INFO":
            self._warn(element, "The entry is for information only (INFO) and was left out.", "Sts")
            return None
        amount = self._amount(element, parts)
        value_on = _day(parts.get("ValDt"), "ValDt")
        transactions = [each for part in _each(element, "NtryDtls") for each in _each(part, "TxDtls")]
        details = self._details(element, transactions, amount, section.account)
        is_pending = state in _PENDING_STATES
        return _made(
            external_id=_reference(parts, transactions),
            is_bank_id=not is_pending and _is_servicer_reference(parts),
            amount=amount,
            booked_on=self._booked_on(element, parts, value_on, section),
            value_on=value_on,
            counterparty_name=details.counterparty_name,
            counterparty_account=details.counterparty_account,
            variable_symbol=details.variable_symbol,
            constant_symbol=details.constant_symbol,
            specific_symbol=details.specific_symbol,
            message=details.message or one_line(_own_text(parts.get("AddtlNtryInf"))),
            pending=is_pending,
            line=_line(element),
            raw=etree.tostring(element, encoding="unicode", with_tail=False),
        )

    def _amount(self, element: etree._Element, parts: dict[str, etree._Element]) -> Money:
        """Read the amount; the sign is `CdtDbtInd` alone, also of a reversal (ISO 20022, `RvslInd`)."""
        amount = _money(parts.get("Amt"), "Amt")
        if amount.minor < 0:
            self._warn(element, "The amount has a minus sign besides CdtDbtInd; both were applied.", "Amt")
        return _signed(amount, parts.get("CdtDbtInd"))

    def _booked_on(
        self,
        element: etree._Element,
        parts: dict[str, etree._Element],
        value_on: date | None,
        section: _Section,
    ) -> date:
        booked_on = _day(parts.get("BookgDt"), "BookgDt")
        if booked_on is not None:
            return booked_on
        if value_on is not None:
            self._warn(element, "The entry has no booking date; the value date was taken.", "BookgDt")
            return value_on
        if section.day is not None:
            self._warn(element, "The entry has no date; the statement's only day was taken.", "BookgDt")
            return section.day
        raise RecordError("The entry has no date.", field="BookgDt")

    def _details(
        self, element: etree._Element, transactions: list[etree._Element], amount: Money, account: str
    ) -> _Details:
        """Return what all details agree on; an entry of many payments belongs to none of them."""
        if not transactions:
            return self._symbols_of_entry(element)
        each = [self._detail(transaction, amount, account) for transaction in transactions]
        if len(each) == 1:
            return each[0]
        return _Details(*(values[0] if len(set(values)) == 1 else "" for values in zip(*each, strict=True)))

    def _symbols_of_entry(self, element: etree._Element) -> _Details:
        variable, constant, specific = self._symbols(element, [_text(element, "AddtlNtryInf")])
        return _Details(variable_symbol=variable, constant_symbol=constant, specific_symbol=specific)

    def _detail(self, transaction: etree._Element, amount: Money, account: str) -> _Details:
        parts = _parts(transaction)
        texts, references = _remittance(parts.get("RmtInf"))
        payer_reference = _text(parts.get("Refs"), "EndToEndId")
        variable, constant, specific = self._symbols(transaction, [payer_reference, *references, *texts])
        name, other_account = _counterparty(parts, amount, account)
        message = one_line(*texts, *(each for each in references if not is_symbol(each)))
        return _Details(
            counterparty_name=name,
            counterparty_account=other_account,
            variable_symbol=variable,
            constant_symbol=constant,
            specific_symbol=specific,
            message=message or one_line(_own_text(parts.get("AddtlTxInf"))),
        )

    def _symbols(self, element: etree._Element, texts: list[str]) -> tuple[str, str, str]:
        symbols, doubtful = find_symbols(texts)
        for name in doubtful:
            self._warn(
                element,
                f"The payment names two different {_SYMBOL_NAMES[name]}; neither was taken.",
                "RmtInf",
            )
        return symbols

    def _finish(self, section: _Section) -> None:
        """Read the head of a statement whose entries are all read."""
        element = section.element
        if not section.account:
            self._warn(element, "The statement does not say its account.", "Acct")
        opening = self._balance(element, _OPENING_BALANCES)
        closing = self._balance(element, ("CLBD",))
        statement = Statement(
            account=section.account,
            currency=_text(element, "Acct", "Ccy") or _only_currency(section.entries, opening),
            entries=tuple(section.entries),
            opening_balance=opening,
            closing_balance=closing,
            from_date=_period_day(element, "FrDtTm", "FrDt"),
            to_date=_period_day(element, "ToDtTm", "ToDt"),
            number=_text(element, "LglSeqNb") or _text(element, "ElctrncSeqNb"),
        )
        section.statement = self._with_reversals(section, statement)
        doubt = balance_doubt(section.statement, section.line)
        if doubt is not None:
            self.warnings.append(doubt)

    def _balance(self, element: etree._Element, codes: tuple[str, ...]) -> Money | None:
        """Read the first balance of the first code there is."""
        balances = {
            _text(each, "Tp", "CdOrPrtry", "Cd"): each for each in reversed(list(_each(element, "Bal")))
        }
        found = next((balances[code] for code in codes if code in balances), None)
        if found is None:
            return None
        try:
            amount = _money(_child(found, "Amt"), "Bal/Amt")
            mark = _child(found, "CdtDbtInd")
            if mark is None:
                self._warn(found, "The balance has no CdtDbtInd; it was read as credit.", "Bal/CdtDbtInd")
                return amount
            return _signed(amount, mark)
        except RecordError as error:
            self.errors.append(Problem(message=str(error), line=_line(found), field=error.field))
            return None

    def _with_reversals(self, section: _Section, statement: Statement) -> Statement:
        """Turn the sign of reversals where only that makes the balances agree.

        CdtDbtInd says how the money moved, but some German banks leave the mark of the reversed entry
        (OCA/bank-statement-import issue 375), so the balances decide.
        """
        if section.unreadable or not any(section.reversals) or balance_doubt(statement) is None:
            return statement
        entries = tuple(
            __import__("msgspec").structs.replace(entry, minor=-entry.minor) if reverses else entry
            for entry, reverses in zip(statement.entries, section.reversals, strict=True)
        )
        turned = replace(statement, entries=entries)
        if balance_doubt(turned) is not None:
            return statement
        self._warn(section.element, _TURNED_REVERSALS, "RvslInd")
        return turned

    def _warn(self, element: etree._Element, message: str, place: str) -> None:
        self.warnings.append(Problem(message=message, line=_line(element), field=place))


def _refused_doctype(source: str) -> StatementUnreadable:
    """A statement needs no DOCTYPE, and its entities can be made to fill the memory."""
    return StatementUnreadable(
        "The XML has a DOCTYPE, which no statement has; it was not read.", source=source, field="DOCTYPE"
    )


def _file(name: str, reader: _Reader) -> StatementFile:
    statements, warnings = identify(
        [each.statement for each in reader.sections if each.statement is not None]
    )
    return StatementFile(
        format=name,
        statements=statements,
        warnings=(*reader.warnings, *warnings),
        errors=tuple(reader.errors),
    )


def _account(statement: etree._Element) -> str:
    identification = _child(_child(statement, "Acct"), "Id")
    return account_of_text(_text(identification, "IBAN") or _text(identification, "Othr", "Id"))


def _single_day(statement: etree._Element) -> date | None:
    """Return the day that both booked balances carry, where it is one day."""
    days = {
        _text(balance, "Dt", "Dt") or _text(balance, "Dt", "DtTm")[:10]
        for balance in _each(statement, "Bal")
        if _text(balance, "Tp", "CdOrPrtry", "Cd") in {"OPBD", "CLBD"}
    }
    try:
        return read_day(days.pop(), "Bal/Dt") if len(days) == 1 else None
    except RecordError:
        return None


def _period_day(statement: etree._Element, *names: str) -> date | None:
    """The period is told to people only, so a day that cannot be read is no problem."""
    period = _child(statement, "FrToDt")
    try:
        return next((read_day(text, "FrToDt") for name in names if (text := _text(period, name))), None)
    except RecordError:
        return None


def _only_currency(entries: list[Entry], opening: Money | None) -> str:
    currencies = {entry.amount.currency for entry in entries} or (
        {opening.currency} if opening is not None else set()
    )
    return currencies.pop() if len(currencies) == 1 else ""


def _state(element: etree._Element | None) -> str:
    """Return the state of an entry; an absent one is booked. Raises RecordError for an unknown one."""
    state = "BOOK" if element is None else _own_text(element) or _text(element, "Cd")
    if state not in {"BOOK", "INFO", *_PENDING_STATES}:
        raise RecordError("“{state}” is not a known state of an entry.", field="Sts", state=shortened(state))
    return state


def _money(element: etree._Element | None, place: str) -> Money:
    if element is None:
        raise RecordError("There is no amount.", field=place)
    return read_money(_own_text(element), str(element.get("Ccy", "")), place)


def _signed(amount: Money, mark: etree._Element | None) -> Money:
    match _own_text(mark):
        case "CRDT":
            return amount
        case "DBIT":
            return -amount
        case other:
            raise RecordError(
                "“{mark}” does not say whether the money came or went.",
                field="CdtDbtInd",
                mark=shortened(other),
            )


def _day(element: etree._Element | None, place: str) -> date | None:
    """Read `Dt` or `DtTm` below the element; None where there is neither."""
    text = _text(element, "Dt") or _text(element, "DtTm")
    return read_day(text, place) if text else None


def _reference(parts: dict[str, etree._Element], transactions: list[etree._Element]) -> str:
    """Return the bank's reference of the entry, else the entry's own, else that of its only payment."""
    only = _child(transactions[0], "Refs") if len(transactions) == 1 else None
    return (
        bank_reference(_own_text(parts.get("AcctSvcrRef")))
        or bank_reference(_own_text(parts.get("NtryRef")), counts=True)
        or bank_reference(_text(only, "AcctSvcrRef"))
    )


def _is_servicer_reference(parts: dict[str, etree._Element]) -> bool:
    """Whether the id is the bank's for the entry itself (ISO 20022, `AcctSvcrRef`), and no mere number."""
    return bool(bank_reference(_own_text(parts.get("AcctSvcrRef")), counts=True))


def _remittance(element: etree._Element | None) -> tuple[list[str], list[str]]:
    """Return the free texts, and the structured references: the creditor's and the paid document's."""
    texts: list[str] = []
    references: list[str] = []
    for part in () if element is None else element:
        if _local(part.tag) == "Ustrd":
            texts.append(_own_text(part))
        elif _local(part.tag) == "Strd":
            references.extend(_text(each, "Ref") for each in _each(part, "CdtrRefInf"))
            references.extend(_text(each, "Nb") for each in _each(part, "RfrdDocInf"))
    return texts, [reference for reference in references if reference]


def _counterparty(parts: dict[str, etree._Element], amount: Money, own_account: str) -> tuple[str, str]:
    """Return name and account of the other party: the debtor of incoming money, the creditor of outgoing.

    In a return the roles are those of the payment returned, so a party with the own account is never the
    other one; the second role is taken only where its account proves that it is somebody else.
    """
    parties, agents = _parts(parts.get("RltdPties")), parts.get("RltdAgts")
    likely, unlikely = ("Dbtr", "Cdtr") if amount.minor >= 0 else ("Cdtr", "Dbtr")
    name, account = _party(parties, agents, likely)
    if (name or account) and not (account and account == own_account):
        return name, account
    name, account = _party(parties, agents, unlikely)
    return (name, account) if account and own_account and account != own_account else ("", "")


def _party(parties: dict[str, etree._Element], agents: etree._Element | None, role: str) -> tuple[str, str]:
    party, ultimate = parties.get(role), parties.get(f"Ultmt{role}")
    name = (
        _text(party, "Nm")
        or _text(party, "Pty", "Nm")
        or _text(ultimate, "Nm")
        or _text(ultimate, "Pty", "Nm")
    )
    identification = _child(parties.get(f"{role}Acct"), "Id")
    if identification is None:
        return one_line(name), ""
    iban = _text(identification, "IBAN")
    if iban:
        return one_line(name), account_of_text(iban)
    return one_line(name), account_of_text(_text(identification, "Othr", "Id"), _bank_code(agents, role))


def _bank_code(agents: etree._Element | None, role: str) -> str:
    """Return the Czech bank code (four digits) that stands beside a domestic account number."""
    institution = _child(_child(agents, f"{role}Agt"), "FinInstnId")
    code = _text(institution, "Othr", "Id") or _text(institution, "ClrSysMmbId", "MmbId")
    return code if re.fullmatch(r"[0-9]{4}", code) else ""


def _line(element: etree._Element) -> int | None:
    return cast("int | None", element.sourceline)


@lru_cache(maxsize=512)
def _local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


# A statement has fifty elements for each entry, so the functions below are plain loops.


def _parts(element: etree._Element | None) -> dict[str, etree._Element]:
    """Return the children by local name, the first of each."""
    return {} if element is None else {_local(child.tag): child for child in reversed(element)}


def _child(element: etree._Element | None, name: str) -> etree._Element | None:
    if element is not None:
        for child in element:
            if _local(child.tag) == name:
                return child
    return None


def _each(element: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in element if _local(child.tag) == name]


def _text(element: etree._Element | None, *path: str) -> str:
    for name in path:
        element = _child(element, name)
    return _own_text(element)


def _own_text(element: etree._Element | None) -> str:
    if element is None:
        return ""
    text = element.text
    return text.strip() if text else ""
