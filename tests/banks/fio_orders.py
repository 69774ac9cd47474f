"""The import of payment orders at the pretend Fio bank (manual 6): what it takes, and how it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from email import message_from_bytes
from functools import cache
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree
from stdnum import iban
from stdnum.cz import bankaccount

SCHEMA: Final = Path(__file__).resolve().parents[1] / "plugins" / "fio_import.xsd"
LARGEST_BYTES: Final = 2 * 1024 * 1024
PAIN_001: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"

type Complaint = tuple[str, int, str]
"""What is wrong with one order: `error` or `warning`, the bank's code and words."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One request to the import."""

    token: str
    type: str
    language: str
    file: bytes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Orders that the bank has taken; each as its fields by the bank's names, and `kind`."""

    id: int
    account: str
    """The IBAN that pays."""
    type: str
    orders: list[dict[str, str]]
    sha256: str
    """Of the file."""


def upload_of(content_type: str, body: bytes) -> Upload | None:
    """Read multipart/form-data (RFC 7578); None where the file is not sent as a file."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        return None
    texts: dict[str, str] = {}
    file = None
    for part in message.get_payload():
        assert not isinstance(part, str)
        name = part.get_param("name", header="Content-Disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename() is None:
            texts[str(name)] = content.decode()
        elif name == "file":
            file = content
    if file is None:
        return None
    return Upload(token=texts["token"], type=texts["type"], language=texts.get("lng", "cs"), file=file)


def imported(
    upload: Upload, account: str, account_iban: str, today: date, id: int
) -> tuple[bytes, Batch | None]:
    """Return the answer to an upload, and the batch where it was taken."""
    if not upload.file:
        return answered(14, "fatal", message="Soubor je prázdný."), None
    if len(upload.file) > LARGEST_BYTES:
        return answered(13, "fatal", message="Soubor je příliš velký."), None
    try:
        orders = _ORDERS[upload.type](upload.file)
    except (etree.XMLSyntaxError, etree.DocumentInvalid, KeyError, ValueError) as error:
        return answered(11, "error", message=f"Soubor má chyby ve struktuře: {error}"), None
    if not orders:
        return answered(12, "error", message="Import neobsahuje žádný příkaz."), None
    complaints = [list(_complaints(order, account, account_iban, today)) for order in orders]
    found = {status for listed in complaints for status, _, _ in listed}
    if "error" in found:
        return answered(1, "error", orders=orders, complaints=complaints), None
    batch = Batch(
        id=id,
        account=account_iban,
        type=upload.type,
        orders=orders,
        sha256=hashlib.sha256(upload.file).hexdigest(),
    )
    code, status = (2, "warning") if found else (0, "ok")
    return answered(code, status, batch=id, orders=orders, complaints=complaints), batch


def answered(
    code: int,
    status: str,
    *,
    batch: int | None = None,
    message: str = "",
    orders: Iterable[Mapping[str, str]] = (),
    complaints: Iterable[list[Complaint]] = (),
) -> bytes:
    """Write the bank's answer, with a line about each order."""
    sums: dict[str, Decimal] = {}
    for order in orders:
        sums[order["currency"]] = sums.get(order["currency"], Decimal(0)) + Decimal(order["amount"])
    told = "".join(
        f'<sum id="{currency}"><sumCredit>0</sumCredit><sumDebet>{total}</sumDebet></sum>'
        for currency, total in sums.items()
    )
    details = "".join(
        f'<detail id="{number}"><messages>{_messages(listed)}</messages></detail>'
        for number, listed in enumerate(complaints, 1)
    )
    return "".join(
        (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><responseImport>',
            f"<result><errorCode>{code}</errorCode>",
            f"<idInstruction>{batch}</idInstruction>" if batch is not None else "",
            f"<status>{status}</status>",
            f"<message>{escape(message)}</message>" if message else "",
            f"<sums>{told}</sums>" if told else "",
            "</result>",
            f"<ordersDetails>{details}</ordersDetails>" if details else "",
            "</responseImport>",
        )
    ).encode()


def movements_of(batch: Batch) -> list[dict[str, Any]]:
    """Return the facts of the movements that execute a batch, by the names of `tests.banks.fio.Movement`."""
    return [
        {
            "amount": -Decimal(order["amount"]),
            "currency": order["currency"],
            "counter_account": order["accountTo"],
            "counter_bank": order.get("bankCode", ""),
            "counter_name": order.get("benefName", ""),
            "constant_symbol": order.get("ks", ""),
            "variable_symbol": order.get("vs", ""),
            "specific_symbol": order.get("ss", ""),
            "message": order.get("messageForRecipient") or _lines(order),
            "comment": order.get("comment", ""),
            "bic": order.get("bic", ""),
            "reference": order.get("reference", ""),
            "kind": "Platba převodem" if order["kind"] == "DomesticTransaction" else "Platba v jiné měně",
            "order_id": batch.id,
        }
        for order in batch.orders
    ]


def _lines(order: Mapping[str, str]) -> str:
    return " ".join(order.get(f"remittanceInfo{number}", "") for number in range(1, 5)).strip()


def _messages(listed: Iterable[Complaint]) -> str:
    told = list(listed) or [("ok", 0, "OK")]
    return "".join(
        f'<message status="{status}" errorCode="{code}">{escape(words)}</message>'
        for status, code, words in told
    )


def _complaints(
    order: Mapping[str, str], account: str, account_iban: str, today: date
) -> Iterable[Complaint]:
    """Yield what the bank has against an order; of its codes only 303 and 323 are known, 9xx are invented."""
    if order["accountFrom"] not in (account, account_iban):
        yield "error", 901, "Účet plátce nepatří k tokenu."
    if Decimal(order["amount"]) <= 0:
        yield "error", 902, "Částka musí být kladná."
    if order["kind"] == "DomesticTransaction":
        if not bankaccount.is_valid(f"{order['accountTo']}/{order['bankCode']}"):
            yield "error", 903, "Chybné číslo protiúčtu."
    elif order["accountTo"][:2].isalpha() and not iban.is_valid(order["accountTo"]):
        yield "error", 303, "Chybný formát zadaného IBAN."
    if bool(order.get("benefStreet")) != bool(order.get("benefCity")):
        yield "error", 323, "Adresa majitele účtu není kompletní"
    if date.fromisoformat(order["date"]) < today:
        yield "warning", 904, "Datum splatnosti je v minulosti, příkaz bude proveden dnes."


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


def _fio_orders(file: bytes) -> list[dict[str, str]]:
    root = etree.fromstring(file)
    _schema().assertValid(root)
    return [
        {"kind": str(order.tag), **{str(each.tag): " ".join((each.text or "").split()) for each in order}}
        for orders in root
        for order in orders
    ]


def _pain_orders(file: bytes) -> list[dict[str, str]]:
    """Read the parts of pain.001 that the bank needs, and prove its totals."""
    root = etree.fromstring(file)
    if etree.QName(root).namespace != PAIN_001:
        raise ValueError("pain.001.001.03 is expected")
    names = {"p": PAIN_001}
    orders = []
    for block in root.iterfind(".//p:PmtInf", names):
        for transfer in block.iterfind("p:CdtTrfTxInf", names):
            amount = transfer.find("p:Amt/p:InstdAmt", names)
            assert amount is not None
            if amount.get("Ccy") != "EUR":
                raise ValueError("pain.001 is for EUR only")
            orders.append(
                {
                    "kind": "T2Transaction",
                    "accountFrom": block.findtext("p:DbtrAcct/p:Id/p:IBAN", "", names),
                    "currency": "EUR",
                    "amount": amount.text or "",
                    "accountTo": transfer.findtext("p:CdtrAcct/p:Id/p:IBAN", "", names),
                    "date": block.findtext("p:ReqdExctnDt", "", names),
                    "benefName": transfer.findtext("p:Cdtr/p:Nm", "", names),
                    "remittanceInfo1": transfer.findtext("p:RmtInf/p:Ustrd", "", names),
                    "reference": transfer.findtext("p:PmtId/p:EndToEndId", "", names),
                }
            )
    total = sum((Decimal(order["amount"]) for order in orders), Decimal(0))
    told = (
        root.findtext(".//p:GrpHdr/p:NbOfTxs", "", names),
        root.findtext(".//p:GrpHdr/p:CtrlSum", "", names),
    )
    if (int(told[0]), Decimal(told[1])) != (len(orders), total):
        raise ValueError("the totals of the file are not those of its payments")
    return orders


_ORDERS: Final = {"xml": _fio_orders, "pain001_xml": _pain_orders}
