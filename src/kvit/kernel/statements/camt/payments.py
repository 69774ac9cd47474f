"""The payments of an entry (`TxDtls`): who the other party is, and what the payment is known by."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import Symbols, find_symbols, is_symbol, one_line, read_money
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.shapes import Element
from kvit.kernel.statements.values import Detail

type Warn = Callable[[str, str], None]
"""Takes a doubt and the name of the field it is about."""

_SYMBOL_NAMES: Final = {"VS": "variable symbols", "KS": "constant symbols", "SS": "specific symbols"}
_BANK_CODE: Final = re.compile(r"[0-9]{4}")
_AMOUNT_PLACES: Final = ("Amt", "AmtDtls/TxAmt/Amt")
"""Where a payment's amount in the currency of the account may stand; `InstdAmt` is what the payer ordered."""
_CREDITOR_REFERENCE: Final = "RmtInf/Strd/CdtrRefInf/Ref"
_DOCUMENT_NUMBER: Final = "RmtInf/Strd/RfrdDocInf/Nb"


def _paths_of(role: str) -> tuple[str, ...]:
    return (
        f"RltdPties/{role}/Nm",
        f"RltdPties/{role}/Pty/Nm",
        f"RltdPties/Ultmt{role}/Nm",
        f"RltdPties/Ultmt{role}/Pty/Nm",
        f"RltdPties/{role}Acct/Id/IBAN",
        f"RltdPties/{role}Acct/Id/Othr/Id",
        f"RltdAgts/{role}Agt/FinInstnId/Othr/Id",
        f"RltdAgts/{role}Agt/FinInstnId/ClrSysMmbId/MmbId",
    )


_DEBTOR: Final = _paths_of("Dbtr")
_CREDITOR: Final = _paths_of("Cdtr")


class Facts(NamedTuple):
    """What a payment says for matching, in the order of an entry's fields."""

    counterparty_name: str = ""
    counterparty_account: str = ""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    reference: str = ""


def facts_of(payment: Element, is_incoming: bool, own_account: str, warn: Warn) -> Facts:
    """Read a payment (`TxDtls`) of an entry that came (or went)."""
    payer_reference = payment.text("Refs/EndToEndId")
    texts = payment.all_texts("RmtInf/Ustrd")
    references = payment.all_texts(_CREDITOR_REFERENCE) + payment.all_texts(_DOCUMENT_NUMBER)
    variable, constant, specific = symbols_of([payer_reference, *references, *texts], warn)
    name, account = _counterparty(payment, is_incoming, own_account)
    message = one_line(*texts, *[each for each in references if not is_symbol(each)])
    return Facts(
        name,
        account,
        variable,
        constant,
        specific,
        message or one_line(payment.text("AddtlTxInf")),
        "" if payer_reference == "NOTPROVIDED" else payer_reference,
    )


def common_facts(payments: Sequence[Facts]) -> Facts:
    """Return what all payments agree on; an entry of many payments belongs to none of them."""
    return Facts(*(values[0] if len(set(values)) == 1 else "" for values in zip(*payments, strict=True)))


def symbols_of(texts: list[str], warn: Warn) -> Symbols:
    """Find the Czech symbols; where one has two values neither is taken."""
    symbols, doubtful = find_symbols(texts)
    for name in doubtful:
        warn(f"The payment names two different {_SYMBOL_NAMES[name]}; neither was taken.", "RmtInf")
    return symbols


def amounts_of(payments: Sequence[Element], total_minor: int, currency: str) -> list[int] | None:
    """Return the payments' amounts in hundredths, with the sign of the entry's total.

    None where they are not all in the currency of the account or do not add up to exactly the total.
    """
    for place in _AMOUNT_PLACES:
        try:
            amounts = [_amount(payment, place, total_minor < 0, currency) for payment in payments]
        except RecordError:
            continue
        if sum(amounts) == total_minor:
            return amounts
    return None


def details_of(
    payments: Sequence[Element], amounts: Sequence[int], facts: Sequence[Facts]
) -> tuple[Detail, ...]:
    """Make the details; they have ids of their own only where the bank gave each payment another one."""
    references = [bank_reference(payment.text("Refs/AcctSvcrRef"), counts=True) for payment in payments]
    if not all(references) or len(set(references)) < len(references):
        references = [""] * len(payments)
    return tuple(
        Detail(amount, *each, reference)
        for amount, each, reference in zip(amounts, facts, references, strict=True)
    )


def _amount(payment: Element, place: str, is_outgoing: bool, currency: str) -> int:
    """Read an amount; raises RecordError where it is none or in another currency than the entry's."""
    money = read_money(payment.text(place), payment.attribute(place, "Ccy"), place)
    if money.currency != currency:
        raise RecordError("The payment is in another currency.", field=place)
    mark = payment.text("CdtDbtInd")
    return -money.minor if mark == "DBIT" or (not mark and is_outgoing) else money.minor


def _counterparty(payment: Element, is_incoming: bool, own_account: str) -> tuple[str, str]:
    """Return name and account of the other party: the debtor of incoming money, the creditor of outgoing.

    In a return the roles are those of the payment returned, so a party with the own account is never the
    other one; the second role is taken only where its account proves that it is somebody else.
    """
    likely, unlikely = (_DEBTOR, _CREDITOR) if is_incoming else (_CREDITOR, _DEBTOR)
    name, account = _party(payment, likely)
    if (name or account) and not (account and account == own_account):
        return name, account
    name, account = _party(payment, unlikely)
    return (name, account) if account and own_account and account != own_account else ("", "")


def _party(payment: Element, paths: tuple[str, ...]) -> tuple[str, str]:
    """Return name and account; a Czech bank code (four digits) may stand beside a domestic number."""
    own, inner, ultimate, ultimate_inner, iban, other, code, clearing_code = payment.texts(paths)
    name = one_line(own or inner or ultimate or ultimate_inner)
    if iban or not other:
        return name, account_of_text(iban) if iban else ""
    bank_code = code or clearing_code
    return name, account_of_text(other, bank_code if _BANK_CODE.fullmatch(bank_code) else "")
