"""The single payments of an entry that the bank booked as a batch."""

from __future__ import annotations

import pytest

from kvit.kernel.statements import Entry, StatementFile, read
from tests.kernel.statements.writers import OTHER_IBAN, camt, camt_balance, camt_entry

REFERENCE = "<AcctSvcrRef>BANK-1</AcctSvcrRef>"


def payment(
    amount: str = "50.00", more: str = "", *, currency: str = "CZK", mark: str = "", symbol: str = "7"
) -> str:
    sign = f"<CdtDbtInd>{mark}</CdtDbtInd>" if mark else ""
    return (
        f'<Refs><EndToEndId>E-{symbol}</EndToEndId></Refs><Amt Ccy="{currency}">{amount}</Amt>{sign}'
        f"<RmtInf><Ustrd>VS:{symbol}</Ustrd></RmtInf>{more}"
    )


def only_entry(file: StatementFile) -> Entry:
    (entry,) = file.statements[0].entries
    return entry


def doubts(file: StatementFile) -> list[str | None]:
    return [problem.field for problem in file.warnings]


def test_payments_that_add_up_to_the_entry_are_told_one_by_one() -> None:
    entry = only_entry(read(camt(camt_entry("80.00", details=[payment(), payment("30.00", symbol="8")]))))
    assert entry.minor == 8000
    assert [(each.minor, each.variable_symbol, each.reference) for each in entry.details] == [
        (5000, "7", "E-7"),
        (3000, "8", "E-8"),
    ]


def test_payments_have_the_sign_of_the_entry() -> None:
    entry = only_entry(read(camt(camt_entry("100.00", "DBIT", details=[payment(), payment()]))))
    assert [each.minor for each in entry.details] == [-5000, -5000]


def test_a_payment_of_the_other_direction_counts_with_its_own_mark() -> None:
    details = [payment("120.00", mark="CRDT"), payment("20.00", mark="DBIT")]
    entry = only_entry(read(camt(camt_entry("100.00", details=details))))
    assert [each.minor for each in entry.details] == [12000, -2000]


def test_the_amount_may_stand_below_the_transaction_amount() -> None:
    details = ['<AmtDtls><TxAmt><Amt Ccy="CZK">50.00</Amt></TxAmt></AmtDtls>'] * 2
    assert len(only_entry(read(camt(camt_entry(details=details)))).details) == 2


@pytest.mark.parametrize(
    "details",
    [
        [payment("50.00"), payment("49.99")],
        [payment("50.00"), payment("50.00", currency="EUR")],
        [payment("50.00"), "<Refs/>"],
        [payment("50.00"), payment("50.001")],
        ['<AmtDtls><InstdAmt><Amt Ccy="CZK">50.00</Amt></InstdAmt></AmtDtls>'] * 2,
    ],
)
def test_payments_that_do_not_add_up_exactly_leave_the_entry_whole(details: list[str]) -> None:
    file = read(camt(camt_entry("100.00", details=details)))
    assert only_entry(file).details == ()
    assert only_entry(file).minor == 10000
    assert doubts(file) == ["NtryDtls/TxDtls"]


def test_one_payment_is_the_entry_itself_whatever_its_amount() -> None:
    file = read(camt(camt_entry("100.00", details=[payment("4.00", currency="EUR")])))
    assert only_entry(file).details == ()
    assert only_entry(file).reference == "E-7"
    assert file.warnings == ()


def test_payments_are_counted_behind_the_id_of_the_entry() -> None:
    entry = only_entry(read(camt(camt_entry(more=REFERENCE, details=[payment(), payment()]))))
    assert entry.detail_ids == ("BANK-1/1", "BANK-1/2")


def test_payments_of_an_entry_without_a_reference_have_ids_too() -> None:
    entry = only_entry(read(camt(camt_entry(details=[payment(), payment()]))))
    assert entry.detail_ids == (f"{entry.external_id}/1", f"{entry.external_id}/2")


@pytest.mark.parametrize(("second", "own"), [("PAY-2", True), ("PAY-1", False), ("", False)])
def test_the_bank_names_payments_only_where_it_names_each_otherwise(second: str, own: bool) -> None:
    details = [
        f"<Refs><AcctSvcrRef>{reference}</AcctSvcrRef></Refs>"
        '<AmtDtls><TxAmt><Amt Ccy="CZK">50.00</Amt></TxAmt></AmtDtls>'
        for reference in ("PAY-1", second)
    ]
    entry = only_entry(read(camt(camt_entry(more=REFERENCE, details=details))))
    assert entry.detail_ids == (("PAY-1", "PAY-2") if own else ("BANK-1/1", "BANK-1/2"))


def test_payments_of_a_reversal_that_is_turned_round_turn_with_it() -> None:
    head = camt_balance("OPBD", "500.00") + camt_balance("CLBD", "400.00")
    entry = camt_entry(more="<RvslInd>true</RvslInd>", details=[payment(), payment()])
    assert [each.minor for each in only_entry(read(camt(entry, head=head))).details] == [-5000, -5000]


def test_a_batch_of_many_payments_loses_none() -> None:
    other = f"<RltdPties><DbtrAcct><Id><IBAN>{OTHER_IBAN}</IBAN></Id></DbtrAcct></RltdPties>"
    details = [payment("1.00", other, symbol=str(number)) for number in range(1, 2001)]
    entry = only_entry(read(camt(camt_entry("2000.00", details=details))))
    assert [each.variable_symbol for each in entry.details] == [str(number) for number in range(1, 2001)]
    assert entry.counterparty_account == OTHER_IBAN
