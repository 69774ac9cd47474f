"""Every tier, and every condition without which it does not act."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kvit.kernel.matching import Port, Provenance, Tier, Veto, decide
from tests.kernel.matching.cases import (
    ALFA,
    ALFA_ACCOUNT,
    BETA,
    BETA_ACCOUNT,
    CLIENTS,
    DAY,
    code,
    decided,
    index,
    invoice,
    offered,
    payment,
    settled,
)

KNOWN = [(ALFA_ACCOUNT, ALFA), (BETA_ACCOUNT, BETA)]


def test_a1_a_symbol_and_exactly_what_is_owed() -> None:
    verdict = decided(payment("0002026001"), invoice())
    assert (verdict.tier, settled(verdict), verdict.client_id) == (Tier.A1, {1: 1000}, ALFA)
    assert [reason.code for reason in verdict.because] == ["symbol.names", "amount.equal"]
    assert [check.veto for check in verdict.checked if check.ok] == list(Veto)


@pytest.mark.parametrize(
    "text",
    [
        "/VS2026001/SS/KS0308",
        "/VS/2026001/SS//KS/0308",
        "VS:2026001",
        "vs 2026001",
        "v.s. 2026001 dekujeme",
        "variabilní symbol: 2026001",
        "var. symbol 2026001",
        '["VS:2026001","KS:0308","SS:77"]',
        "RF602026001",
        "RF60 2026 001",
    ],
)
def test_a1_a_tag_or_rf_is_as_good_as_the_symbol(text: str) -> None:
    verdict = decided(payment("", text), invoice())
    assert (verdict.tier, settled(verdict)) == (Tier.A1, {1: 1000})


@pytest.mark.parametrize("text", ["RF002026001", "KS 2026001", "SS:2026001", "/VS/0000000000/SS2026001"])
def test_wrong_check_digits_constant_and_specific_symbols_name_nothing(text: str) -> None:
    assert code(decided(payment("", text), invoice())) == "symbol.none"


@pytest.mark.parametrize(
    "text",
    [
        "faktura č. 2026-001",
        "FAKTURA 2026-\n001",
        "Úhrada fa2026001 děkujeme",
        "fa.č.2026 001",
        "za fakturu č. 2026/001 ze dne 3. 2. 2026",
        "tel 602123456 fa 2026001",
        "2026001, 10,00 Kč, ucet 19-2000145399/0800",
        "2026001 z CZ65 0800 0000 1920 0014 5399",
        "2026001 +420 602 123 456",
    ],
)
def test_a2_a_number_in_a_text(text: str) -> None:
    verdict = decided(payment("", text), invoice())
    assert (verdict.tier, settled(verdict)) == (Tier.A2, {1: 1000})


def test_a2_letters_of_a_number_may_be_left_out_or_written() -> None:
    for text in ("FV2026001", "fv 2026001", "2026001"):
        assert settled(decided(payment("", text), invoice(number="FV2026001"))) == {1: 1000}


@pytest.mark.parametrize(
    "text",
    [
        "120260012",
        "tel 202600112",
        "ucet 2026001/0100",
        "CZ65 0800 0000 2026 0010 5399",
        "faktura 2026-0012",
    ],
)
def test_a_number_is_never_a_part_of_another_run(text: str) -> None:
    assert decided(payment("", text), invoice()).port is not Port.AUTO


def test_a2_another_number_beside_it_needs_the_payer() -> None:
    texts = payment("", "smlouva 554433 faktura 2026001")
    assert code(decided(texts, invoice())) == "reference.doubtful"
    known = payment("", "smlouva 554433 faktura 2026001", counterparty_account=ALFA_ACCOUNT)
    assert decided(known, invoice(), known=KNOWN).tier is Tier.A2


def test_a3_several_references_add_up() -> None:
    verdict = decided(
        payment("", "faktury 2026-001, 2026-002", minor=3000), invoice(), invoice(2, minor=2000)
    )
    assert (verdict.tier, settled(verdict)) == (Tier.A3, {1: 1000, 2: 2000})


def test_a3_needs_every_document_open_and_the_sum_exact() -> None:
    both = "faktury 2026-001 a 2026-002"
    assert code(decided(payment("", both, minor=2500), invoice(), invoice(2))) == "amount.of_sum_differs"
    assert code(decided(payment("", both, minor=2000), invoice(), invoice(2, minor=0))) == "reference.several"
    assert (
        code(decided(payment("", f"{both} a 2026099", minor=2000), invoice(), invoice(2)))
        == "reference.several"
    )


def test_a4_a_part_from_the_client() -> None:
    verdict = decided(payment(minor=400, counterparty_account=ALFA_ACCOUNT), invoice(), known=KNOWN)
    assert (verdict.tier, settled(verdict)) == (Tier.A4, {1: 400})


def test_a4_and_a5_need_the_payer_to_be_the_client() -> None:
    assert code(decided(payment(minor=400), invoice())) == "amount.differs"
    assert code(decided(payment(minor=1400), invoice())) == "amount.differs"
    by_name = payment(minor=400, counterparty_name="ALFA STAVBY SRO")
    assert decided(by_name, invoice()).tier is Tier.A4


def test_a4_not_where_the_amount_is_right_for_another_debt() -> None:
    paid = payment(minor=400, counterparty_account=ALFA_ACCOUNT)
    verdict = decided(paid, invoice(), invoice(2, minor=400), known=KNOWN)
    assert (code(verdict), offered(verdict)[0]) == ("amount.of_another", {2: 400})


def test_a5_more_than_is_owed_leaves_the_rest() -> None:
    verdict = decided(payment(minor=1500, counterparty_account=ALFA_ACCOUNT), invoice(), known=KNOWN)
    assert (verdict.tier, settled(verdict)) == (Tier.A5, {1: 1000})


def test_a5_a_rounding_up_from_the_client_pays_the_debt_whole() -> None:
    verdict = decided(payment(minor=1001, counterparty_account=ALFA_ACCOUNT), invoice(), known=KNOWN)
    assert (verdict.tier, settled(verdict)) == (Tier.A5, {1: 1000})


def test_a5_not_where_several_debts_explain_the_amount() -> None:
    paid = payment(minor=1500, counterparty_account=ALFA_ACCOUNT)
    verdict = decided(paid, invoice(), invoice(2, minor=500), known=KNOWN)
    assert (code(verdict), offered(verdict)[0]) == ("amount.of_several", {1: 1000, 2: 500})


@pytest.mark.parametrize(("minor", "account"), [(950, ALFA_ACCOUNT), (950, ""), (1100, "")])
def test_a_rounding_is_a_persons_to_confirm(minor: int, account: str) -> None:
    paid = payment(minor=minor, counterparty_account=account)
    verdict = decided(paid, invoice(), known=KNOWN)
    assert code(verdict) == "amount.rounding"
    assert [reason.code for reason in verdict.candidates[0].against] == ["difference.rounding"]


@pytest.mark.parametrize("tier", [Tier.A1, Tier.A4])
def test_a_tier_that_is_switched_off_only_suggests(tier: Tier) -> None:
    paid = payment(minor=1000 if tier is Tier.A1 else 400, counterparty_account=ALFA_ACCOUNT)
    books = index(invoice(), known=KNOWN, enabled=frozenset(Tier) - {tier})
    verdict = decide(paid, books)
    assert (verdict.port, code(verdict)) == (Port.SUGGEST, "tier.off")
    assert offered(verdict) == [{1: paid.minor}]
    books.enabled = frozenset(Tier)
    assert decide(paid, books).tier is tier


def test_the_first_condition_that_fails_is_told() -> None:
    assert code(decided(payment("9"), invoice())) == "symbol.unknown"
    assert code(decided(payment("000"), invoice())) == "symbol.none"
    assert code(decided(payment(), invoice(is_void=True))) == "document.void"
    assert code(decided(payment(currency="EUR"), invoice())) == "currency.differs"
    assert code(decided(payment(is_pending=True), invoice())) == "payment.pending"
    assert code(decided(payment(is_possible_duplicate=True), invoice())) == "payment.possible_duplicate"
    assert code(decided(payment(is_rest=True), invoice())) == "payment.rest"
    assert code(decided(payment(minor=0), invoice())) == "payment.empty"
    assert code(decided(payment(), invoice(), rejected=[(1, 1)])) == "pair.rejected"


def test_a_rejected_pair_is_not_offered_again_until_it_is_allowed() -> None:
    books = index(invoice(), rejected=[(1, 1)])
    assert offered(decide(payment(), books)) == []
    books.allow(1, 1)
    assert settled(decide(payment(), books)) == {1: 1000}


def test_a_settled_document_makes_a_duplicate_and_the_next_one_stays_open() -> None:
    verdict = decided(payment(), invoice(minor=0), invoice(2))
    assert (verdict.port, code(verdict)) == (Port.DUPLICATE, "document.settled")


def test_money_from_an_own_account_is_a_transfer() -> None:
    verdict = decided(
        payment(counterparty_account="2000145399/0800"),
        invoice(),
        own_accounts=["CZ65 0800 0000 1920 0014 5399"],
    )
    assert verdict.port is not Port.TRANSFER
    own = payment(counterparty_account="19-2000145399/0800")
    assert decided(own, invoice(), own_accounts=["CZ65 0800 0000 1920 0014 5399"]).port is Port.TRANSFER


def test_a_gateways_net_sum_is_a_payout() -> None:
    assert decided(payment("7712345", counterparty_name="GoPay s.r.o."), invoice()).port is Port.PAYOUT


@pytest.mark.parametrize(("days", "is_settled"), [(14, True), (15, False)])
def test_a_payment_may_come_two_weeks_before_its_document(days: int, is_settled: bool) -> None:
    later = invoice(issued_on=DAY + timedelta(days=days))
    paid = payment(counterparty_account=ALFA_ACCOUNT)
    assert (decided(paid, later, known=KNOWN).port is Port.AUTO) is is_settled
    assert code(decided(payment(), later, known=KNOWN)) == "document.later"


def test_a_credit_note_is_settled_by_money_that_leaves_to_the_client() -> None:
    note = invoice(is_credit_note=True)
    out = payment(minor=-1000, counterparty_account=ALFA_ACCOUNT)
    verdict = decided(out, note, known=KNOWN)
    assert (verdict.tier, settled(verdict)) == (Tier.A1, {1: 1000})
    assert code(decided(payment(minor=-1000), note, known=KNOWN)) == "payee.unknown"
    assert code(decided(payment(), note, known=KNOWN)) == "direction.differs"
    assert code(decided(payment("77", minor=-1000), note)) == "payment.outgoing"


def test_money_back_under_a_paid_invoice_is_a_refund_for_a_person() -> None:
    out = payment(minor=-1000, counterparty_account=ALFA_ACCOUNT)
    verdict = decided(out, invoice(minor=0), known=KNOWN)
    assert (verdict.port, code(verdict)) == (Port.SUGGEST, "refund.of_invoice")
    assert code(decided(payment(minor=-1000), invoice(), known=KNOWN)) == "direction.differs"


def test_an_account_that_matching_learned_does_not_outweigh_the_payers_name() -> None:
    books = index(invoice())
    books.learn(BETA_ACCOUNT, BETA, Provenance.AUTO)
    paid = payment(counterparty_account=BETA_ACCOUNT, counterparty_name=CLIENTS[ALFA])
    assert settled(decide(paid, books)) == {1: 1000}
    books.learn(BETA_ACCOUNT, BETA, Provenance.HUMAN)
    assert code(decide(paid, books)) == "payer.other_client"
