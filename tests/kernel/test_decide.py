from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.matching import Index, Invoice, Payment, Port, Reason, Verdict, decide
from kvit.kernel.matching.explain import sentence
from kvit.kernel.money import Money

DAY = date(2026, 11, 22)


def invoice(
    number: int, symbol: str = "", minor: int = 1000, client: int = 1, currency: str = "CZK"
) -> Invoice:
    amount = Money(minor, currency)
    return Invoice(
        id=number,
        number=f"2026-{number:03d}",
        variable_symbol=symbol or f"2026{number:03d}",
        client_id=client,
        open=amount,
        total=amount,
        due_on=DAY,
    )


def payment(symbol: str = "2026001", minor: int = 1000, account: str = "", currency: str = "CZK") -> Payment:
    return Payment(
        id=1,
        amount=Money(minor, currency),
        booked_on=DAY,
        variable_symbol=symbol,
        counterparty_account=account,
    )


invoices = st.lists(
    st.builds(
        invoice,
        st.integers(1, 6),
        st.sampled_from(["1", "2", "01", "3"]),
        st.sampled_from([1000, 2000]),
        st.integers(1, 3),
        st.sampled_from(["CZK", "EUR"]),
    ),
    max_size=6,
    unique_by=lambda row: row.id,
)
payments = st.builds(
    payment,
    st.sampled_from(["", "1", "2", "001", "9"]),
    st.sampled_from([1000, 2000, 1500]),
    st.sampled_from(["", "A", "B"]),
    st.sampled_from(["CZK", "EUR"]),
)
payers = st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 3)), max_size=3)


def test_one_open_invoice_of_symbol_amount_and_currency_is_settled() -> None:
    verdict = decide(payment("0002026001"), Index([invoice(1), invoice(2)]))
    assert verdict.port is Port.AUTO
    assert [(line.invoice_id, line.amount) for line in verdict.settle] == [(1, Money(1000, "CZK"))]


def test_a_settled_invoice_no_longer_takes_money() -> None:
    index = Index([invoice(1)])
    index.settle(decide(payment(), index).settle[0])
    assert decide(payment(), index).port is Port.DUPLICATE


def test_a_pending_payment_settles_nothing() -> None:
    assert decide(replace(payment(), is_pending=True), Index([invoice(1)])).port is Port.NONE


def test_the_invoice_named_in_the_message_is_offered_first_but_not_settled() -> None:
    index = Index([invoice(1), invoice(2), invoice(3)])
    verdict = decide(replace(payment(""), message="Platba faktury 2026-003, děkuji"), index)
    assert verdict.port is Port.NONE
    assert [candidate.invoice_id for candidate in verdict.candidates] == [3, 1, 2]
    assert "number.in_message" in [reason.code for reason in verdict.candidates[0].for_]


def test_a_number_inside_another_word_names_nothing() -> None:
    verdict = decide(replace(payment("", minor=1), message="obj. 12026-0031"), Index([invoice(3)]))
    assert verdict.candidates == ()


@given(invoices, payers, payments)
def test_settling_is_a_conjunction_of_equalities(
    rows: list[Invoice], known: list[tuple[str, int]], paid: Payment
) -> None:
    verdict = decide(paid, Index(rows, known))
    named = [row for row in rows if row.variable_symbol.lstrip("0") == paid.variable_symbol.lstrip("0") != ""]
    clients = {client for account, client in known if account == paid.counterparty_account}
    certain = (
        len(named) == 1 and named[0].open == paid.amount and (not clients or named[0].client_id in clients)
    )
    assert (verdict.port is Port.AUTO) == certain
    assert bool(verdict.settle) == certain


@given(invoices, payers, payments, invoices)
def test_adding_invoices_never_makes_a_match(
    rows: list[Invoice], known: list[tuple[str, int]], paid: Payment, more: list[Invoice]
) -> None:
    others = [
        replace(row, id=row.id + 100)
        for row in more
        if row.variable_symbol.lstrip("0") != paid.variable_symbol.lstrip("0")
    ]
    assert decide(paid, Index([*rows, *others], known)).settle == decide(paid, Index(rows, known)).settle


@given(invoices, payers, payments)
def test_removing_the_symbol_never_makes_a_match(
    rows: list[Invoice], known: list[tuple[str, int]], paid: Payment
) -> None:
    assert not decide(replace(paid, variable_symbol=""), Index(rows, known)).settle


@given(invoices, payers, payments)
def test_a_rejected_pair_is_neither_settled_nor_offered(
    rows: list[Invoice], known: list[tuple[str, int]], paid: Payment
) -> None:
    verdict = decide(paid, Index(rows, known, [(paid.id, row.id) for row in rows]))
    assert not verdict.settle
    assert not verdict.candidates


@given(invoices, payers, payments)
def test_every_reason_can_be_said_in_words(
    rows: list[Invoice], known: list[tuple[str, int]], paid: Payment
) -> None:
    for reason in reasons_of(decide(paid, Index(rows, known))):
        assert sentence(reason)


def reasons_of(verdict: Verdict) -> list[Reason]:
    of_candidates = [reason for one in verdict.candidates for reason in (*one.for_, *one.against)]
    return [*verdict.because, *of_candidates]
