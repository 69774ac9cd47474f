"""Every veto: the same case is settled without what the veto sees, and waits with it."""

from __future__ import annotations

import pytest

from kvit.kernel.matching import VETOES, Check, Index, Payment, Port, Provenance, Veto, decide
from tests.kernel.matching.cases import (
    ALFA,
    ALFA_ACCOUNT,
    BETA,
    BETA_ACCOUNT,
    CLIENTS,
    index,
    invoice,
    payment,
    settled,
)


def assert_vetoed(paid: Payment, books: Index, veto: Veto) -> None:
    verdict = decide(paid, books)
    assert verdict.port in (Port.SUGGEST, Port.NONE)
    assert verdict.checked == (Check(veto, ok=False),)
    assert VETOES[verdict.because[0].code] is veto


def test_v1_the_account_is_another_clients() -> None:
    paid = payment(counterparty_account=BETA_ACCOUNT)
    assert settled(decide(paid, index(invoice()))) == {1: 1000}
    assert_vetoed(paid, index(invoice(), known=[(BETA_ACCOUNT, BETA)]), Veto.V1)


def test_v1_an_accountant_pays_for_several() -> None:
    paid = payment(counterparty_account=BETA_ACCOUNT)
    books = index(invoice(), known=[(BETA_ACCOUNT, BETA), (BETA_ACCOUNT, ALFA)])
    assert settled(decide(paid, books)) == {1: 1000}


def test_v2_others_owe_the_same() -> None:
    books = index(invoice(), invoice(2, client=BETA))
    assert_vetoed(payment(), books, Veto.V2)
    by_name = payment(counterparty_name="Alfa Stavby")
    assert settled(decide(by_name, books)) == {1: 1000}
    books.learn(ALFA_ACCOUNT, ALFA)
    assert settled(decide(payment(counterparty_account=ALFA_ACCOUNT), books)) == {1: 1000}


def test_v2_a_name_that_rivals_share_tells_nobody_apart() -> None:
    books = index(invoice(), invoice(2, client=3))
    books.add_client(3, "Alfa Stavby Brno")
    assert_vetoed(payment(counterparty_name="ALFA STAVBY"), books, Veto.V2)


def test_v3_the_symbol_says_one_and_the_text_another() -> None:
    other = invoice(2, client=BETA, minor=700)
    assert_vetoed(payment("2026001", "faktura 2026002", minor=1700), index(invoice(), other), Veto.V3)


def test_v4_a_slip_away_lies_the_same_debt_of_one_the_payer_looks_like() -> None:
    paid = payment(counterparty_account=BETA_ACCOUNT, counterparty_name=CLIENTS[ALFA])
    books = index(invoice(), invoice(7, "2026-501", client=BETA))
    books.learn(BETA_ACCOUNT, BETA, Provenance.AUTO)
    assert_vetoed(paid, books, Veto.V4)
    books.add(invoice(7, "2026-999", client=BETA))
    assert settled(decide(paid, books)) == {1: 1000}


def test_v5_a_symbol_that_a_client_always_writes() -> None:
    books = index(invoice())
    books.add_client(BETA, CLIENTS[BETA], payer_symbols=["02026001"])
    assert_vetoed(payment(), books, Veto.V5)
    books.add_client(BETA, CLIENTS[BETA])
    assert settled(decide(payment(), books)) == {1: 1000}


def test_v5_a_number_beside_such_a_symbol_counts() -> None:
    books = index(invoice())
    books.add_client(ALFA, CLIENTS[ALFA], payer_symbols=["777001"])
    assert settled(decide(payment("777001", "faktura 2026001"), books)) == {1: 1000}
    [candidate, *_] = decide(payment("777001"), books).candidates
    assert candidate.lines[0].invoice_id == 1


def test_v6_the_money_was_sent_back() -> None:
    assert_vetoed(payment(is_returned=True), index(invoice()), Veto.V6)


def test_v7_one_reference_of_two_documents() -> None:
    twin = invoice(2, "XY-7", variable_symbol="2026001")
    assert_vetoed(payment(), index(invoice(), twin), Veto.V7)


def test_v7_the_symbol_with_and_without_zeros_as_two_open_documents() -> None:
    padded = invoice(2, "XY-7", variable_symbol="02026001")
    assert_vetoed(payment("02026001"), index(invoice(), padded), Veto.V7)
    assert settled(decide(payment("02026001"), index(invoice(minor=0), padded))) == {2: 1000}
    assert_vetoed(payment("002026001"), index(invoice(minor=0), padded), Veto.V7)


def test_a_void_document_gives_way_to_the_one_issued_again_under_its_symbol() -> None:
    again = invoice(2, "2026-002", variable_symbol="2026001")
    assert settled(decide(payment(), index(invoice(is_void=True), again))) == {2: 1000}


def test_v8_one_document_or_several() -> None:
    books = index(invoice(minor=3000), invoice(2, minor=1000))
    assert_vetoed(payment("", "2026001 2026002", minor=3000), books, Veto.V8)


@pytest.mark.parametrize("veto", list(Veto))
def test_every_veto_has_its_reason(veto: Veto) -> None:
    assert list(VETOES.values()).count(veto) == 1
