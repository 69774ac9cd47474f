"""Payment orders as Fio takes them: its own XML for any payment, or pain.001 for euro payments (manual 6).

Texts are counted in characters, on one line, as the bank's schema counts them, and nothing is cut: what is
too long, or does not go with the kind of payment, is refused by the name of the order and the field.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from xml.sax.saxutils import escape

from kvit.kernel.money import Money
from kvit.kernel.payment_orders import pain001
from kvit.kernel.payment_orders.accounts import (
    DomesticAccount,
    DomesticCountry,
    Target,
    domestic_of,
    target_of,
)
from kvit.kernel.payment_orders.fields import OrderLabel, amount_of, bic_of, needed, symbol_of, text_of
from kvit.plugin import Misconfigured, PaymentBatch, PaymentFile, PaymentOrder
from kvit.plugins.fio.order_codes import CHARGES, COUNTRIES, DOMESTIC_TYPES, EURO_TYPES, REASONS

FIO_XML: Final = "fio-xml"
PAIN_001: Final = "pain.001"
EURO_FORMATS: Final = (FIO_XML, PAIN_001)

LARGEST_FILE_BYTES: Final = 2_000_000
"""Fio takes 2 MB."""
LONGEST_MESSAGE: Final = 140
LONGEST_COMMENT: Final = 140
LONGEST_NAME: Final = 35
"""Of a payee, a street and a city: the manual says 35 where the schema would let 50 pass."""
LONGEST_LINE: Final = 35
EURO_LINES: Final = 3
FOREIGN_LINES: Final = 4
REASON_NEEDED_FROM: Final = Decimal(50_000)
"""Above this, a euro payment from a Slovak account needs the code of its purpose."""

type Kind = Literal["DomesticTransaction", "T2Transaction", "ForeignTransaction"]
type Fields = Iterable[tuple[str, str]]

SECTIONS: Final[tuple[Kind, ...]] = ("DomesticTransaction", "T2Transaction", "ForeignTransaction")
"""The order that the bank wants; another one makes it refuse the file."""

_BANKS: Final[dict[str, DomesticCountry]] = {"2010": "CZ", "8330": "SK"}
_BICS: Final = {"CZ": "FIOBCZPP", "SK": "FIOZSKBA"}
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Import xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:noNamespaceSchemaLocation="http://www.fio.cz/schema/importIB.xsd"><Orders>\n'
)
_FOOT: Final = "</Orders></Import>\n"
_ORDER_ID: Final = re.compile("[A-Za-z0-9]{1,35}")


def file_of(batch: PaymentBatch, *, euro_format: str = FIO_XML, payer_name: str = "") -> PaymentFile:
    """Write a batch as Fio's XML, or as pain.001 where `euro_format` says so and all of it is plain euro.

    Raises Misconfigured where an order is none that Fio takes; `field` names it as `id.field`.
    """
    checked = _checked(batch)
    is_pain = euro_format == PAIN_001 and all(each.fits_pain_001 for each in checked)
    data = _pain_001(batch, checked, payer_name) if is_pain else _fio_xml(checked)
    if len(data) > LARGEST_FILE_BYTES:
        raise Misconfigured(
            "The file of this batch has {bytes} bytes, and Fio takes 2 MB. Make two batches of it.",
            bytes=len(data),
        )
    return PaymentFile(
        name=f"kvit-{_file_id(batch)}.xml",
        format=PAIN_001 if is_pain else FIO_XML,
        media_type="application/xml",
        data=data,
    )


def ids_in_file(batch: PaymentBatch, format: str) -> list[str]:
    """Return the ids of the orders in the order of the file, by which Fio counts them in its answer."""
    checked = _checked(batch)
    if format == PAIN_001:
        transfers = [_transfer(each) for each in checked]
        return [transfer.id for group in pain001.grouped(transfers) for transfer in group]
    return [each.order.id for each in _by_section(checked)]


def totals(orders: Iterable[PaymentOrder]) -> dict[str, Decimal]:
    """Return what the orders pay together, by currency."""
    sums: dict[str, Decimal] = {}
    for order in orders:
        sums[order.currency] = sums.get(order.currency, Decimal(0)) + order.amount
    return sums


def payer_of(account: str) -> DomesticAccount:
    """Read the own account that pays; raises Misconfigured where it is none at Fio."""
    code = account.rpartition("/")[2].strip()
    found = domestic_of(account, _BANKS.get(code, "CZ"))
    if found is None or _BANKS.get(found.bank_code) != found.country or found.prefix:
        raise Misconfigured("{account} is not an account at Fio.", field="account", account=account)
    return found


@dataclass(frozen=True, slots=True)
class _Checked:
    """An order, and what its account and currency make of it."""

    order: PaymentOrder
    payer: DomesticAccount
    target: Target
    amount: Money

    @property
    def kind(self) -> Kind:
        """Within one country by number, in euro by IBAN, or abroad.

        A Czech number takes crowns from any Czech account, and any currency within Fio (manual 6).
        """
        domestic = self.target.domestic
        is_czech = domestic is not None and self.payer.country == domestic.country == "CZ"
        is_within_fio = domestic is not None and domestic.bank_code == self.payer.bank_code
        if is_czech and (is_within_fio or self.amount.currency == "CZK"):
            return "DomesticTransaction"
        if self.amount.currency == "EUR" and self.target.is_in_sepa:
            return "T2Transaction"
        return "ForeignTransaction"

    @property
    def fits_pain_001(self) -> bool:
        """Fio takes pain.001 for euro only (manual 6.4.1), and other speeds and purposes in its own XML."""
        return self.kind == "T2Transaction" and self.order.speed == "standard" and not self.order.reason

    @property
    def comment(self) -> str:
        """What we say to ourselves, with the order's id: it comes back with the movement that executes it."""
        order = self.order
        room = LONGEST_COMMENT - len(order.id) - 1
        own = text_of(order.comment, self.label, "comment", longest=room)
        return f"{own} {order.id}".lstrip()

    def symbols(self) -> Fields:
        order = self.order
        return (
            ("ks", symbol_of(order.constant_symbol, self.label, "constant_symbol", longest=4)),
            ("vs", symbol_of(order.variable_symbol, self.label, "variable_symbol", longest=10)),
            ("ss", symbol_of(order.specific_symbol, self.label, "specific_symbol", longest=10)),
        )

    def text(self, field: str, longest: int = LONGEST_NAME, *, is_needed: bool = False) -> str:
        """Return the order's text of that name, checked."""
        read = needed if is_needed else text_of
        return read(getattr(self.order, field), self.label, field, longest=longest)

    @property
    def label(self) -> OrderLabel:
        return _label(self.order)


def _checked(batch: PaymentBatch) -> list[_Checked]:
    """Read the accounts and amounts of all orders, in the order they came."""
    payer = payer_of(batch.account)
    if not batch.orders:
        raise Misconfigured("There is no payment in the batch.", field="orders")
    seen: set[str] = set()
    checked: list[_Checked] = []
    for order in batch.orders:
        if not _ORDER_ID.fullmatch(order.id) or order.id in seen:
            raise Misconfigured(
                "“{order}” is not an id of one payment only, of at most 35 letters and digits.",
                field=f"{order.id}.id",
                order=order.id,
            )
        seen.add(order.id)
        checked.append(_checked_order(order, payer))
    return checked


def _checked_order(order: PaymentOrder, payer: DomesticAccount) -> _Checked:
    target = target_of(order.counterparty_account, payer.country)
    if target is None:
        raise Misconfigured(
            "“{account}” is no account that could be paid to: a digit is wrong or missing.",
            **_label(order).at("counterparty_account"),
            account=order.counterparty_account,
        )
    if target.iban == payer.iban:
        raise Misconfigured(
            "The payment to {payee} goes to the account that it comes from.",
            **_label(order).at("counterparty_account"),
        )
    return _Checked(order, payer, target, amount_of(order.amount, order.currency, _label(order)))


def _label(order: PaymentOrder) -> OrderLabel:
    return OrderLabel(order.id, order.counterparty_name or order.counterparty_account)


def _by_section(checked: Sequence[_Checked]) -> list[_Checked]:
    return sorted(checked, key=lambda each: SECTIONS.index(each.kind))


def _fio_xml(checked: Sequence[_Checked]) -> bytes:
    return "".join((_HEAD, *map(_order, _by_section(checked)), _FOOT)).encode()


def _order(checked: _Checked) -> str:
    """Write an order; an empty field is left out."""
    fields = "".join(
        f"<{name}>{escape(text)}</{name}>" for name, text in _FIELDS[checked.kind](checked) if text
    )
    return f"<{checked.kind}>{fields}</{checked.kind}>\n"


def _domestic(checked: _Checked) -> Fields:
    domestic = checked.target.domestic
    assert domestic is not None
    _require_shared_charges(checked)
    return (
        *_money(checked),
        ("accountTo", domestic.without_bank),
        ("bankCode", domestic.bank_code),
        *checked.symbols(),
        ("date", checked.order.due_on.isoformat()),
        ("messageForRecipient", checked.text("message", LONGEST_MESSAGE)),
        ("comment", checked.comment),
        ("paymentReason", _reason(checked)),
        ("paymentType", _type(checked, DOMESTIC_TYPES)),
    )


def _euro(checked: _Checked) -> Fields:
    order = checked.order
    _require_shared_charges(checked)
    return (
        *_money(checked),
        ("accountTo", checked.target.iban),
        *checked.symbols(),
        ("bic", bic_of(order.counterparty_bic, checked.label, "counterparty_bic")),
        ("date", order.due_on.isoformat()),
        ("comment", checked.comment),
        ("benefName", checked.text("counterparty_name", is_needed=True)),
        ("benefStreet", checked.text("counterparty_street")),
        ("benefCity", checked.text("counterparty_city")),
        ("benefCountry", _country(checked)),
        *_lines(checked, EURO_LINES),
        ("paymentReason", _euro_reason(checked)),
        ("paymentType", _type(checked, EURO_TYPES)),
    )


def _foreign(checked: _Checked) -> Fields:
    order = checked.order
    for name, symbol in (
        ("variable_symbol", order.variable_symbol),
        ("constant_symbol", order.constant_symbol),
        ("specific_symbol", order.specific_symbol),
    ):
        if symbol:
            raise Misconfigured(
                "The payment to {payee} goes abroad, where no symbols are: write them into its message.",
                **checked.label.at(name),
            )
    if order.speed != "standard":
        raise Misconfigured(
            "The payment to {payee} goes abroad, which Fio takes at its standard speed only.",
            **checked.label.at("speed"),
        )
    checked.text("message", LONGEST_LINE * FOREIGN_LINES, is_needed=True)
    checked.text("counterparty_bic", is_needed=True)
    checked.text("counterparty_country", is_needed=True)
    checked.text("reason", is_needed=True)
    return (
        *_money(checked),
        ("accountTo", checked.target.number),
        ("bic", bic_of(order.counterparty_bic, checked.label, "counterparty_bic")),
        ("date", order.due_on.isoformat()),
        ("comment", checked.comment),
        ("benefName", checked.text("counterparty_name", is_needed=True)),
        ("benefStreet", checked.text("counterparty_street", is_needed=True)),
        ("benefCity", checked.text("counterparty_city", is_needed=True)),
        ("benefCountry", _country(checked)),
        *_lines(checked, FOREIGN_LINES),
        ("detailsOfCharges", CHARGES[order.charges]),
        ("paymentReason", _reason(checked)),
    )


_FIELDS: Final[dict[Kind, Callable[[_Checked], Fields]]] = {
    "DomesticTransaction": _domestic,
    "T2Transaction": _euro,
    "ForeignTransaction": _foreign,
}


def _money(checked: _Checked) -> Fields:
    """Write what every order begins with; the own account is written without its bank."""
    return (
        ("accountFrom", checked.payer.number),
        ("currency", checked.amount.currency),
        ("amount", str(checked.amount.amount)),
    )


def _lines(checked: _Checked, most: int) -> Fields:
    """Break the message between words into the bank's short lines; a longer word is broken where it must be.

    Raises Misconfigured where the lines are not enough.
    """
    lines = [""]
    for word in checked.text("message", LONGEST_LINE * most).split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) <= LONGEST_LINE:
            lines[-1] += f" {word}"
        else:
            parts = [word[start : start + LONGEST_LINE] for start in range(0, len(word), LONGEST_LINE)]
            lines += parts
    lines = lines[1:]
    if len(lines) > most:
        raise Misconfigured(
            "The message to {payee} does not fit into {lines} lines of {longest} characters. Shorten it.",
            **checked.label.at("message"),
            lines=most,
            longest=LONGEST_LINE,
        )
    return tuple((f"remittanceInfo{number}", line) for number, line in enumerate(lines, 1))


def _type(checked: _Checked, types: dict[str, str]) -> str:
    code = types.get(checked.order.speed)
    if code is None:
        raise Misconfigured(
            "Fio's import takes the payment to {payee} at standard or priority speed only.",
            **checked.label.at("speed"),
        )
    return code


def _reason(checked: _Checked) -> str:
    reason = checked.text("reason")
    if reason and reason not in REASONS:
        raise Misconfigured(
            "“{reason}” is not a code of a purpose that Fio knows (payment to {payee}).",
            **checked.label.at("reason"),
            reason=reason,
        )
    return reason


def _euro_reason(checked: _Checked) -> str:
    amount = checked.amount.amount
    if checked.payer.country == "SK" and amount > REASON_NEEDED_FROM and not checked.order.reason:
        raise Misconfigured(
            "From a Slovak account more than 50 000 EUR, as to {payee}, needs the code of a purpose.",
            **checked.label.at("reason"),
        )
    return _reason(checked)


def _country(checked: _Checked) -> str:
    country = checked.text("counterparty_country").upper()
    if country and country not in COUNTRIES:
        raise Misconfigured(
            "“{country}” is not a country of two letters that Fio knows (payment to {payee}).",
            **checked.label.at("counterparty_country"),
            country=country,
        )
    return country


def _require_shared_charges(checked: _Checked) -> None:
    if checked.order.charges != "SHA":
        raise Misconfigured(
            "One side bears all charges of a payment abroad only, and the one to {payee} is none.",
            **checked.label.at("charges"),
        )


def _pain_001(batch: PaymentBatch, checked: Sequence[_Checked], payer_name: str) -> bytes:
    """Write pain.001; its moment of creation is the first day of payment: equal batches come out equal."""
    if not payer_name.strip():
        raise Misconfigured(
            "pain.001 names who pays: fill in the name of the account's holder.", field="payer_name"
        )
    payer = checked[0].payer
    return pain001.written(
        pain001.CreditTransfers(
            id=_file_id(batch),
            created_at=datetime.combine(min(order.due_on for order in batch.orders), datetime.min.time()),
            payer_name=payer_name,
            payer_iban=payer.iban,
            payer_bic=_BICS[payer.country],
            transfers=[_transfer(each) for each in checked],
        )
    )


def _transfer(checked: _Checked) -> pain001.CreditTransfer:
    """Make the standard's payment; the own comment has no place there."""
    order = checked.order
    _require_shared_charges(checked)
    _euro_reason(checked)
    return pain001.CreditTransfer(
        id=order.id,
        end_to_end_id=_end_to_end_id(checked),
        amount=checked.amount,
        execute_on=order.due_on,
        name=checked.text("counterparty_name", pain001.LONGEST_NAME, is_needed=True),
        iban=checked.target.iban,
        bic=bic_of(order.counterparty_bic, checked.label, "counterparty_bic"),
        street=checked.text("counterparty_street", pain001.LONGEST_STREET),
        city=checked.text("counterparty_city", pain001.LONGEST_CITY),
        country=_country(checked),
        message=checked.text("message", pain001.LONGEST_MESSAGE),
    )


def _end_to_end_id(checked: _Checked) -> str:
    """Return the order's id, or its symbols as Czech and Slovak banks write them there: `/VS1/SS2/KS3`."""
    given = {name: symbol for name, symbol in checked.symbols() if symbol}
    if not given:
        return checked.order.id
    return "".join(f"/{name.upper()}{given.get(name, '')}" for name in ("vs", "ss", "ks"))


def _file_id(batch: PaymentBatch) -> str:
    """Return a name for the file and the message that only this batch has, of 30 letters and digits."""
    return hashlib.sha256(batch.key.encode()).hexdigest()[:30]
