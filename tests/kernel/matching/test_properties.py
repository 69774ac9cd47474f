"""What holds for every set of documents and payments, tried on invented ones whose values collide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.matching import Index, Invoice, Line, Payment, Port, Provenance, Verdict, decide, walk
from tests.kernel.matching.cases import DAY, invoice, payment

SYMBOLS = ["20261", "20262", "020262", "20263", "20253", "9"]
AMOUNTS = [1000, 2000, 3000]
ACCOUNTS = ["", "CZ9401000000006056126547", "CZ6508000000192000145399"]
NAMES = ["", "Alfa Stavby", "Beta Reklama", "Stavby"]
DAYS = st.integers(-3, 3).map(lambda days: DAY + timedelta(days=days))

documents = st.lists(
    st.builds(
        lambda key, symbol, minor, client, day, **more: invoice(
            key, f"F{symbol}", minor, client, variable_symbol=symbol, issued_on=day, **more
        ),
        st.integers(1, 7),
        st.sampled_from(SYMBOLS),
        st.sampled_from([*AMOUNTS, 0]),
        st.integers(1, 3),
        DAYS,
        currency=st.sampled_from(["CZK", "CZK", "CZK", "EUR"]),
        is_void=st.sampled_from([False, False, False, True]),
        is_credit_note=st.sampled_from([False, False, False, True]),
    ),
    max_size=7,
    unique_by=lambda each: each.id,
)
payments = st.builds(
    lambda symbol, text, **more: payment(symbol, text, **more),
    st.sampled_from(["", *SYMBOLS, "0020261"]),
    st.sampled_from(["", "faktura F20261", "F20262 F20263", "VS:20263", "tel 602123456", "smlouva 88888"]),
    minor=st.sampled_from([*AMOUNTS, 1500, 4000, 5000, -1000]),
    counterparty_account=st.sampled_from(ACCOUNTS),
    counterparty_name=st.sampled_from(NAMES),
    booked_on=DAYS,
)
many_payments = st.lists(payments, max_size=8).map(
    lambda found: [msgspec.structs.replace(each, id=at) for at, each in enumerate(found, start=1)]
)
accounts = st.lists(
    st.tuples(st.sampled_from(ACCOUNTS[1:]), st.integers(1, 3), st.sampled_from(list(Provenance))), max_size=4
)
type Knowledge = Sequence[tuple[str, int, Provenance]]


def books(of: Sequence[Invoice], known: Knowledge, **more: Any) -> Index:
    made = Index(**more)
    for client, name in enumerate(["Alfa Stavby", "Beta Reklama", "Alfa Reklama"], start=1):
        made.add_client(client, name)
    for account, client, provenance in known:
        made.learn(account, client, provenance)
    for each in of:
        made.add(each)
    return made


def walked(index: Index, of: Sequence[Invoice], paid: Sequence[Payment]) -> dict[int, Verdict]:
    in_time = sorted(paid, key=lambda each: each.booked_on)
    decided = list(walk(index, of, in_time))
    verdicts = {payment.id: verdict for payment, verdict in decided}
    assert len(verdicts) == len(decided) == len(paid)
    return verdicts


@given(documents, accounts, payments)
def test_a_verdict_holds_together(of: list[Invoice], known: Knowledge, paid: Payment) -> None:
    index = books(of, known)
    verdict = decide(paid, index)
    assert verdict == decide(paid, index)
    assert (verdict.port is Port.AUTO) == bool(verdict.settle) == (verdict.tier is not None)
    assert len(verdict.candidates) <= 3
    assert verdict.because
    if verdict.port is Port.AUTO:
        settled = [index.invoices[line.invoice_id] for line in verdict.settle]
        assert {each.client_id for each in settled} == {verdict.client_id}
        assert all(each.currency == paid.currency and not each.is_void for each in settled)
        assert all(each.is_credit_note is (paid.minor < 0) for each in settled)
        assert len({each.id for each in settled}) == len(settled)
        assert all(0 < line.minor <= index.owed(line.invoice_id) for line in verdict.settle)
        assert sum(line.minor for line in verdict.settle) <= abs(paid.minor)


@given(documents, accounts, many_payments)
def test_twice_gives_the_same_and_what_waits_still_waits(
    of: list[Invoice], known: Knowledge, paid: list[Payment]
) -> None:
    first = walked(books([], known), of, paid)
    assert first == walked(books([], known), of, paid)


@given(documents, accounts, many_payments, st.randoms(use_true_random=False))
def test_the_order_within_a_day_changes_nothing(
    of: list[Invoice], known: Knowledge, paid: list[Payment], random: Any
) -> None:
    shuffled = []
    for _, day in groupby(sorted(paid, key=lambda each: each.booked_on), key=lambda each: each.booked_on):
        of_day = list(day)
        random.shuffle(of_day)
        shuffled += of_day
    documents_shuffled = random.sample(of, len(of))
    assert walked(books([], known), of, paid) == walked(books([], known), documents_shuffled, shuffled)


@given(documents, accounts, many_payments)
def test_nothing_is_settled_beyond_the_debt_or_the_money(
    of: list[Invoice], known: Knowledge, paid: list[Payment]
) -> None:
    verdicts = walked(books([], known), of, paid)
    lines = [line for verdict in verdicts.values() for line in verdict.settle]
    for each in of:
        assert sum(line.minor for line in lines if line.invoice_id == each.id) <= each.open_minor


@given(documents, accounts, payments, st.data())
def test_incremental_is_batch(
    of: list[Invoice], known: Knowledge, paid: Payment, data: st.DataObject
) -> None:
    """An index that went through every kind of change and back is the one built at once."""
    grown = books([], [])
    grown.add_client(1, "Somebody else", payer_symbols=["20261"])
    for account in ACCOUNTS[1:]:
        grown.learn(account, 3)
    for each in data.draw(st.permutations(of)):
        grown.add(msgspec.structs.replace(each, open_minor=777, is_void=False, number="other"))
        grown.settle([Line(each.id, 77)])
        grown.settle([Line(each.id, 700)])
        grown.unsettle([Line(each.id, 777)])
    grown.add(invoice(99, "F20261", variable_symbol="20261"))
    grown.reject(paid.id, 99)
    for each in data.draw(st.permutations(of)):
        grown.add(each)
    grown.add_client(1, "Alfa Stavby")
    grown.withdraw(99)
    grown.allow(paid.id, 99)
    for account in ACCOUNTS[1:]:
        grown.forget(account, 3)
    for account, client, provenance in known:
        grown.learn(account, client, provenance)
    assert decide(paid, grown) == decide(paid, books(of, known))


@given(documents, accounts, payments, st.integers(1, 4), st.sampled_from(AMOUNTS))
def test_a_document_that_is_not_named_creates_no_automatic_match(
    of: list[Invoice], known: Knowledge, paid: Payment, client: int, minor: int
) -> None:
    before = decide(paid, books(of, known))
    after = decide(paid, books([*of, invoice(99, "Z7777777", minor, client)], known))
    if after.port is Port.AUTO:
        assert after.settle == before.settle


WITHOUT: dict[str, Callable[[Payment], Payment]] = {
    "symbol": lambda paid: msgspec.structs.replace(paid, variable_symbol=""),
    "name": lambda paid: msgspec.structs.replace(paid, counterparty_name=""),
    "all": lambda paid: msgspec.structs.replace(
        paid, variable_symbol="", texts=(), counterparty_account="", counterparty_name=""
    ),
}


@pytest.mark.parametrize("what", WITHOUT)
@given(of=documents, known=accounts, paid=payments)
def test_removing_evidence_makes_no_wrong_match(
    what: str, of: list[Invoice], known: Knowledge, paid: Payment
) -> None:
    """Without it the payment waits, or something else that it says names the documents alone."""
    index = books(of, known)
    less = decide(WITHOUT[what](paid), index)
    if less.port is Port.AUTO:
        before = decide(paid, index)
        if what == "name":
            assert before.settle == less.settle
        else:
            assert what == "symbol"
            assert before.settle == less.settle or before.because[0].code in CONTRADICTED


CONTRADICTED = {
    "reference.several",
    "reference.disagree",
    "reference.ambiguous",
    "amount.second_reading",
    "amount.of_sum_differs",
}
"""The symbol named other documents than the text."""


@given(documents, accounts, payments)
def test_forgetting_an_account_that_speaks_for_the_client_creates_no_match(
    of: list[Invoice], known: Knowledge, paid: Payment
) -> None:
    before = decide(paid, books(of, known))
    for each in of:
        forgotten = books(of, known)
        if set(forgotten.payers(paid.counterparty_account)) == {each.client_id}:
            forgotten.forget(paid.counterparty_account, each.client_id)
            after = decide(paid, forgotten)
            if after.client_id == each.client_id:
                assert before.settle == after.settle
