"""Defects a to l of other products, as they were read in their sources: each must not happen here."""

from __future__ import annotations

from typing import Any

import pytest

from kvit.kernel.matching import Index, Line, Port, decide, walk
from tests.kernel.matching.cases import (
    ALFA,
    ALFA_ACCOUNT,
    DAY,
    code,
    decided,
    index,
    invoice,
    offered,
    payment,
    settled,
)

KNOWN = [(ALFA_ACCOUNT, ALFA)]
BY_ALFA: dict[str, Any] = {"counterparty_account": ALFA_ACCOUNT}


@pytest.mark.parametrize("minor", [1, 999, 1001, 500_000])
def test_a_one_code_in_the_text_does_not_book_any_amount(minor: int) -> None:
    assert decided(payment("", "objednavka 2026-001", minor=minor), invoice()).port is not Port.AUTO


def test_a_a_code_is_not_found_at_the_start_of_a_longer_one() -> None:
    assert decided(payment("", "INV-10"), invoice(number="INV-1")).port is not Port.AUTO
    assert decided(payment("", "INV-10001"), invoice(number="INV-1000")).port is not Port.AUTO
    assert decided(payment("", "INV-1000"), invoice(number="INV-10001")).port is not Port.AUTO


def test_b_a_payer_alone_books_nothing_and_fills_nothing_oldest_first() -> None:
    verdict = decided(payment("", minor=2500, **BY_ALFA), invoice(1), invoice(2, minor=5000), known=KNOWN)
    assert verdict.port is not Port.AUTO
    assert decided(payment("", "2026", **BY_ALFA), invoice(), known=KNOWN).port is Port.SUGGEST


def test_c_an_equal_reference_does_not_outweigh_the_amount() -> None:
    assert code(decided(payment(minor=5000), invoice())) == "amount.differs"


def test_c_documents_of_one_reference_are_not_filled_in_turn() -> None:
    twin = invoice(2, "X", variable_symbol="2026001")
    assert code(decided(payment(minor=2000), invoice(), twin)) == "reference.ambiguous"


def test_d_a_number_is_no_substring_and_an_empty_one_names_nothing() -> None:
    assert decided(payment("", "tel 607777123"), invoice(number="7")).port is not Port.AUTO
    assert decided(payment("", "faktura 77777"), invoice(number="777")).port is not Port.AUTO
    nameless = invoice(number="-", variable_symbol="")
    assert offered(decided(payment("", "platba - dekuji", minor=5), nameless)) == []
    assert decided(payment("", "platba - dekuji"), nameless).port is not Port.AUTO


def test_e_a_clients_own_number_pays_no_invoice_whatever_the_multiple() -> None:
    books = index(invoice(), invoice(2))
    books.add_client(ALFA, "Alfa", payer_symbols=["4711"])
    for minor in (1000, 2000, 3000):
        assert code(decide(payment("4711", minor=minor), books)) == "reference.of_payer"


def test_f_an_empty_key_finds_nothing_two_hits_raise_nothing_and_near_is_not_equal() -> None:
    unnamed = invoice(number="", variable_symbol="")
    assert code(decided(payment("", ""), unnamed)) == "symbol.none"
    twins = [invoice(1, "A", variable_symbol="77"), invoice(2, "B", variable_symbol="077")]
    assert code(decided(payment("77"), *twins)) == "reference.ambiguous"
    assert code(decided(payment(minor=1100), invoice())) == "amount.rounding"


def test_f_a_paid_document_is_asked_for_its_state() -> None:
    assert decided(payment(), invoice(minor=0)).port is Port.DUPLICATE


def test_g_less_than_owed_from_a_stranger_is_no_part_payment() -> None:
    assert code(decided(payment(minor=400), invoice())) == "amount.differs"
    assert settled(decided(payment("", "faktura 2026-00001"), invoice(number="2026-00001"))) == {1: 1000}


def test_h_payer_and_amount_without_a_reference_only_suggest() -> None:
    verdict = decided(payment("", **BY_ALFA), invoice(), known=KNOWN)
    assert (verdict.port, offered(verdict)) == (Port.SUGGEST, [{1: 1000}])


def test_i_the_books_refuse_more_than_is_open() -> None:
    books = index(invoice())
    books.settle([Line(1, 600)])
    with pytest.raises(ValueError, match="400 is open"):
        books.settle([Line(1, 401)])
    assert books.owed(1) == 400


def test_j_a_client_of_whom_nothing_is_known_is_settled_like_any_other() -> None:
    books = Index()
    books.add(invoice(client=99))
    assert settled(decide(payment(), books)) == {1: 1000}


def test_k_two_equal_payments_of_a_day_are_two() -> None:
    twins = [payment(id=1), payment(id=2)]
    verdicts = {paid.id: verdict.port for paid, verdict in walk(index(), [invoice()], twins)}
    assert verdicts == {1: Port.AUTO, 2: Port.DUPLICATE}


def test_k_equal_amounts_of_two_currencies_are_not_equal() -> None:
    verdict = decided(payment(currency="EUR"), invoice())
    assert code(verdict) == "currency.differs"


def test_l_no_payment_is_lost_however_odd_it_is() -> None:
    odd = [
        payment("12345678901234567890", "\x00\n" * 50, id=1),
        payment("٣٤٥", "RF", id=2, counterparty_account="/", counterparty_name="\u0301"),
        payment("VS1", "2026-" * 300, id=3, minor=-5),
        payment("", "𝟚𝟘𝟚𝟞𝟘𝟘𝟙 ²026 ½", id=4, currency="XXX", booked_on=DAY),
    ]
    assert sorted(paid.id for paid, _ in walk(index(), [invoice()], odd)) == [1, 2, 3, 4]
