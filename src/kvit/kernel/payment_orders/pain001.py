"""pain.001.001.03 of ISO 20022: SEPA credit transfers, as a file that any bank of the area takes.

It is written as the implementation guidelines of the European Payments Council want it (EPC132-08): euro,
IBAN to IBAN, shared charges, one payment information block for each day and speed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

from kvit.kernel.errors import Misconfigured
from kvit.kernel.money import Money
from kvit.kernel.payment_orders.accounts import is_iban
from kvit.kernel.payment_orders.fields import OrderLabel, bic_of, needed, text_of

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"
LONGEST_ID: Final = 35
"""`Max35Text`."""
LONGEST_NAME: Final = 70
"""The guidelines allow half of `Max140Text`."""
LONGEST_STREET: Final = 70
LONGEST_CITY: Final = 35
LONGEST_MESSAGE: Final = 140

_ID: Final = re.compile(r"[A-Za-z0-9/?:().,'+ -]{1,35}")
"""The characters of identifications that every bank passes on (EPC230-15)."""
_COUNTRY: Final = re.compile("[A-Z]{2}")
_CURRENCY: Final = "EUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTransfer:
    """One SEPA credit transfer; absent text is empty."""

    id: str
    """For ourselves and our bank, at most 35 characters; unique in the file."""
    end_to_end_id: str
    """What the payee's bank tells the payee, at most 35 characters."""
    amount: Money
    """In euro, more than zero."""
    execute_on: date
    name: str
    """The payee's."""
    iban: str
    bic: str = ""
    street: str = ""
    city: str = ""
    country: str = ""
    """Two letters (ISO 3166-1)."""
    message: str = ""
    is_instant: bool = False

    @property
    def label(self) -> OrderLabel:
        return OrderLabel(self.id, self.name or self.iban)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTransfers:
    """A file of transfers from one account."""

    id: str
    """Of the message, at most 30 letters and digits, never used again."""
    created_at: datetime
    payer_name: str
    payer_iban: str
    payer_bic: str = ""
    transfers: Sequence[CreditTransfer]


def grouped(transfers: Iterable[CreditTransfer]) -> list[list[CreditTransfer]]:
    """Return the transfers in the order of the file: by day and speed, and within those as they came."""
    groups: dict[tuple[date, bool], list[CreditTransfer]] = {}
    for transfer in transfers:
        groups.setdefault((transfer.execute_on, transfer.is_instant), []).append(transfer)
    return [groups[key] for key in sorted(groups)]


def written(file: CreditTransfers) -> bytes:
    """Write the file in UTF-8; equal values give equal bytes.

    Raises Misconfigured, naming a transfer's field as `id.field`, where one cannot be written, and naming the
    field alone where it is the file's.
    """
    _require_file(file)
    for transfer in file.transfers:
        _require_transfer(transfer)
    groups = grouped(file.transfers)
    blocks = "".join(_block(file, number, group) for number, group in enumerate(groups, 1))
    name = text_of(file.payer_name, OrderLabel(file.id, ""), "payer_name", longest=LONGEST_NAME)
    header = (
        f"<GrpHdr><MsgId>{escape(file.id)}</MsgId>"
        f"<CreDtTm>{file.created_at.isoformat(timespec='seconds')}</CreDtTm>{_totals(file.transfers)}"
        f"<InitgPty>{_element('Nm', name)}</InitgPty></GrpHdr>\n"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="{NAMESPACE}"><CstmrCdtTrfInitn>\n{header}{blocks}</CstmrCdtTrfInitn></Document>\n'
    ).encode()


def _require_file(file: CreditTransfers) -> None:
    if not file.transfers:
        raise Misconfigured("There is no payment to write.")
    if not re.fullmatch("[A-Za-z0-9]{1,30}", file.id):
        raise Misconfigured("The file needs an id of at most 30 letters and digits.", field="id")
    if not is_iban(file.payer_iban):
        raise Misconfigured("The account that pays is no IBAN.", field="payer_iban")
    if len({transfer.id for transfer in file.transfers}) < len(file.transfers):
        raise Misconfigured("Two payments of the file have one id.", field="id")


def _require_transfer(transfer: CreditTransfer) -> None:
    for field, value in (("id", transfer.id), ("end_to_end_id", transfer.end_to_end_id)):
        if not _ID.fullmatch(value) or value != value.strip():
            raise Misconfigured(
                "“{name}” of the payment to {payee} has a character banks do not pass on.",
                **transfer.label.at(field),
            )
    if transfer.amount.currency != _CURRENCY:
        raise Misconfigured(
            "The payment to {payee} is not in euro, which pain.001 is for.", **transfer.label.at("currency")
        )
    if transfer.amount.minor <= 0:
        raise Misconfigured(
            "The amount of the payment to {payee} must be more than zero.", **transfer.label.at("amount")
        )
    if not is_iban(transfer.iban):
        raise Misconfigured(
            "The payment to {payee} goes to an account that is no IBAN.", **transfer.label.at("iban")
        )
    if transfer.country and not _COUNTRY.fullmatch(transfer.country):
        raise Misconfigured(
            "“{name}” of the payment to {payee} must be two capital letters.", **transfer.label.at("country")
        )


def _block(file: CreditTransfers, number: int, transfers: Sequence[CreditTransfer]) -> str:
    """Write the payments of one day; each is booked on its own, so that each can be recognised."""
    first = transfers[0]
    name = text_of(file.payer_name, OrderLabel(file.id, ""), "payer_name", longest=LONGEST_NAME)
    instant = "<LclInstrm><Cd>INST</Cd></LclInstrm>" if first.is_instant else ""
    return "".join(
        (
            f"<PmtInf><PmtInfId>{escape(file.id)}-{number}</PmtInfId><PmtMtd>TRF</PmtMtd>",
            f"<BtchBookg>false</BtchBookg>{_totals(transfers)}",
            f"<PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl>{instant}</PmtTpInf>",
            f"<ReqdExctnDt>{first.execute_on.isoformat()}</ReqdExctnDt>",
            f"<Dbtr>{_element('Nm', name)}</Dbtr>",
            f"<DbtrAcct><Id><IBAN>{file.payer_iban}</IBAN></Id><Ccy>{_CURRENCY}</Ccy></DbtrAcct>",
            f"<DbtrAgt><FinInstnId>{_payer_bank(file)}</FinInstnId></DbtrAgt>",
            "<ChrgBr>SLEV</ChrgBr>\n",
            *(_transfer(transfer) for transfer in transfers),
            "</PmtInf>\n",
        )
    )


def _payer_bank(file: CreditTransfers) -> str:
    bic = bic_of(file.payer_bic, OrderLabel(file.id, ""), "payer_bic")
    return f"<BIC>{bic}</BIC>" if bic else "<Othr><Id>NOTPROVIDED</Id></Othr>"


def _transfer(transfer: CreditTransfer) -> str:
    bic = bic_of(transfer.bic, transfer.label, "bic")
    name = needed(transfer.name, transfer.label, "name", longest=LONGEST_NAME)
    message = text_of(transfer.message, transfer.label, "message", longest=LONGEST_MESSAGE)
    return "".join(
        (
            f"<CdtTrfTxInf><PmtId><InstrId>{escape(transfer.id)}</InstrId>",
            f"<EndToEndId>{escape(transfer.end_to_end_id)}</EndToEndId></PmtId>",
            f'<Amt><InstdAmt Ccy="{_CURRENCY}">{transfer.amount.amount}</InstdAmt></Amt>',
            f"<CdtrAgt><FinInstnId><BIC>{bic}</BIC></FinInstnId></CdtrAgt>" if bic else "",
            f"<Cdtr>{_element('Nm', name)}{_address(transfer)}</Cdtr>",
            f"<CdtrAcct><Id><IBAN>{transfer.iban}</IBAN></Id></CdtrAcct>",
            f"<RmtInf>{_element('Ustrd', message)}</RmtInf>" if message else "",
            "</CdtTrfTxInf>\n",
        )
    )


def _address(transfer: CreditTransfer) -> str:
    street = text_of(transfer.street, transfer.label, "street", longest=LONGEST_STREET)
    city = text_of(transfer.city, transfer.label, "city", longest=LONGEST_CITY)
    lines = f"{_element('StrtNm', street)}{_element('TwnNm', city)}{_element('Ctry', transfer.country)}"
    return f"<PstlAdr>{lines}</PstlAdr>" if lines else ""


def _totals(transfers: Sequence[CreditTransfer]) -> str:
    total = sum((transfer.amount.amount for transfer in transfers), Decimal(0))
    return f"<NbOfTxs>{len(transfers)}</NbOfTxs><CtrlSum>{total}</CtrlSum>"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""
