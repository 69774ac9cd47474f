"""pain.002 of ISO 20022, in any version: what the bank says of payment orders that it was given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import xml
from kvit.kernel.statements.fields import one_line, read_money
from kvit.kernel.statements.fragments import Fragment, fragments
from kvit.kernel.statements.shapes import Element
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Hints, OrderStatus, Part, Problem

_HEAD_BYTES: Final = 16_384
_MESSAGE: Final = re.compile(rb"<(?:[\w.-]{1,40}:)?CstmrPmtStsRpt[\s/>]")
_REPORTS: Final = frozenset({"CstmrPmtStsRpt"})
_REASON_CODES: Final = (
    "StsRsnInf/Rsn/Cd",
    "StsRsnInf/Rsn/Prtry",
    "StsRsnInf/StsRsn/Cd",
    "StsRsnInf/StsRsn/Prtry",
)
_REASON_TEXTS: Final = ("StsRsnInf/AddtlInf", "StsRsnInf/AddtlStsRsnInf")
"""The second names are those of version 2."""
_AMOUNTS: Final = ("OrgnlTxRef/Amt/InstdAmt", "OrgnlTxRef/Amt/EqvtAmt/Amt", "OrgnlTxRef/IntrBkSttlmAmt")


def detect(head: bytes) -> Detection | None:
    """Know the customer payment status report by its message element."""
    head = head[:_HEAD_BYTES].replace(b"\0", b"")
    return Detection(format="pain.002") if xml.is_xml(head) and _MESSAGE.search(head) else None


def read(source: Source, _hints: Hints) -> Iterator[Part]:
    """Yield the states of the message, its batches and its payments, as far as the bank gives each.

    Raises StatementUnreadable for XML that is damaged, has a DOCTYPE or holds no report.
    """
    message_id = ""
    has_report = False
    for part in fragments(source, _REPORTS):
        has_report = True
        if not isinstance(part, Fragment):
            continue
        if part.name == "OrgnlGrpInfAndSts":
            message_id = part.element.text("OrgnlMsgId")
            yield from _status(part, part.element, "group", "GrpSts", message_id)
        elif part.name == "OrgnlPmtInfAndSts":
            yield from _batch(part, message_id)
        elif part.name == "TxInfAndSts":
            yield from _status(part, part.element, "transaction", "TxSts", message_id)
    if not has_report:
        raise StatementUnreadable("The file holds no report.", source=source.name, field="CstmrPmtStsRpt")


def _batch(fragment: Fragment, message_id: str) -> Iterator[Part]:
    batch = fragment.element
    payment_id = batch.text("OrgnlPmtInfId")
    yield from _status(fragment, batch, "payment", "PmtInfSts", message_id, payment_id)
    for transaction in batch.all("TxInfAndSts"):
        yield from _status(fragment, transaction, "transaction", "TxSts", message_id, payment_id)


def _status(
    fragment: Fragment, element: Element, level: str, name: str, message_id: str, payment_id: str = ""
) -> Iterator[Part]:
    """Yield the state of one level; where the bank gives neither a state nor a reason there is none."""
    status = element.text(name)
    reasons = [code for path in _REASON_CODES for code in element.all_texts(path)]
    text = one_line(*(text for path in _REASON_TEXTS for text in element.all_texts(path)))
    if not (status or reasons or text):
        return
    amount = None
    try:
        amount = _amount(element)
    except RecordError as error:
        yield Problem(message=str(error), line=fragment.line, field=error.field, offset=fragment.offset)
    end_to_end_id = element.text("OrgnlEndToEndId")
    yield OrderStatus(
        message_id=message_id,
        status=status,
        level=level,
        payment_id=payment_id,
        end_to_end_id="" if end_to_end_id == "NOTPROVIDED" else end_to_end_id,
        amount=amount,
        reason=", ".join(dict.fromkeys(filter(None, reasons))),
        text=text,
        line=fragment.line,
    )


def _amount(element: Element) -> Money | None:
    """Read what was ordered; raises RecordError."""
    for path in _AMOUNTS:
        if amount := element.text(path):
            return read_money(amount, element.attribute(path, "Ccy"), path)
    return None
