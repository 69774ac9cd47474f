"""Which movement is which: banks that give no ids, other ids, more words or another day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kvit.plugin import Unreadable
from kvit.plugins.enable_banking import identity, records
from kvit.plugins.enable_banking.identity import Identified, Known
from kvit.plugins.enable_banking.records import Record

ACCOUNT = "hash-1:CZK"
ALICE, BOB = "CZ6508000000192000145399", "CZ9455000000001011038930"


def told(
    amount: str = "500.00",
    *,
    day: str = "2026-03-30",
    reference: str | None = None,
    words: Sequence[str] = ("úklid",),
    party: str = ALICE,
    name: str = "Alice",
    **more: Any,
) -> Mapping[str, Any]:
    return {
        "entry_reference": reference,
        "transaction_amount": {"currency": "CZK", "amount": amount},
        "credit_debit_indicator": "CRDT",
        "status": "BOOK",
        "booking_date": day,
        "debtor": {"name": name},
        "debtor_account": {"iban": party} if party else None,
        "remittance_information": list(words),
        **more,
    }


def record(item: Mapping[str, Any], page: int = 0) -> Record:
    read = records.read(item, ACCOUNT, page=page)
    assert isinstance(read, Record)
    return read


def read(*pages: Iterable[Mapping[str, Any]], before: Identified | None = None) -> Identified:
    found = [record(item, number) for number, page in enumerate(pages) for item in page]
    return identity.booked(ACCOUNT, found, known(before))


def known(before: Identified | None) -> list[Known]:
    if before is None:
        return []
    return [*before.not_told, *(Known.of(item, named) for named, item in before.movements)]


def ids(found: Identified) -> list[str]:
    return [named for named, _ in found.movements]


def test_the_banks_reference_is_the_id() -> None:
    assert ids(read([told(reference="2026033000001234")])) == ["2026033000001234"]


def test_two_equal_payments_of_a_day_are_two_and_stay_the_same_two() -> None:
    first = read([told(), told()])
    again = read([told(), told(), told()], before=first)

    assert len(set(ids(first))) == 2
    assert set(ids(first)) < set(ids(again))
    assert len(set(ids(again))) == 3


def test_a_movement_without_an_id_is_named_the_same_without_any_memory() -> None:
    both = [told(), told("120.00"), told(party=BOB)]

    assert sorted(ids(read(both))) == sorted(ids(read(reversed(both))))


def test_more_words_change_no_id_also_where_the_memory_was_lost() -> None:
    payments = [told(), told(party=BOB), told("120.00", party="", name="")]
    more = [told(words=["úklid", "archiv"]), told(party=BOB, words=["x"]), told("120.00", party="", name="Y")]

    assert sorted(ids(read(payments))) == sorted(ids(read(more)))


def test_without_memory_payments_that_differ_in_their_words_only_are_named_in_any_order_the_same() -> None:
    payments = [told(words=["a"]), told(words=["b"]), told(words=["c"])]
    named = {item.details: external_id for external_id, item in read(payments).movements}

    assert {item.details: external_id for external_id, item in read(reversed(payments)).movements} == named
    assert len(set(named.values())) == 3


def test_more_words_after_the_booking_are_the_same_movement() -> None:
    first = read([told(words=["úklid"])])
    again = read([told(words=["úklid", "archiv 7781"])], before=first)

    assert ids(again) == ids(first)


def test_another_payer_of_the_same_amount_is_another_movement() -> None:
    first = read([told(party=ALICE)])
    again = read([told(party=BOB, name="Bob")], before=first)

    assert set(ids(again)).isdisjoint(ids(first))
    assert [row.external_id for row in again.not_told] == ids(first)


def test_a_movement_that_was_not_told_for_once_is_recognised_later() -> None:
    first = read([told(party=ALICE)])
    without = read([told(party=BOB, name="Bob")], before=first)
    both = read([told(party=BOB, name="Bob"), told(party=ALICE)], before=without)

    assert sorted(ids(both)) == sorted(ids(first) + ids(without))


def test_a_booking_that_got_another_reference_keeps_its_id() -> None:
    first = read([told(reference="A-100000001")])
    again = read([told(reference="B-200000002")], before=first)
    later = read([told(reference="B-200000002")], before=again)

    assert ids(first) == ids(again) == ids(later) == ["A-100000001"]


def test_a_reference_that_comes_later_changes_no_id() -> None:
    first = read([told(reference=None)])
    again = read([told(reference="2026033000001234")], before=first)

    assert ids(again) == ids(first)


def test_a_movement_that_changed_its_day_keeps_its_id() -> None:
    first = read([told(day="2026-03-30")])
    again = read([told(day="2026-04-01")], before=first)

    assert ids(again) == ids(first)


def test_the_same_payment_every_day_is_one_each_day_also_when_the_bank_adds_to_yesterdays() -> None:
    found: Identified | None = None
    every: list[str] = []
    for day in range(20, 28):
        yesterdays = [
            told(day=f"2026-03-{past}", words=["parkování", f"archiv {past}"]) for past in range(20, day)
        ]
        found = read([told(day=f"2026-03-{day}", words=["parkování"]), *yesterdays], before=found)
        assert set(every) < set(ids(found))
        every = ids(found)

    assert len(set(every)) == 8
    assert [item.day.day for _, item in found.movements] == list(range(20, 28)) if found else False


def test_a_later_equal_payment_is_a_movement_of_its_own() -> None:
    first = read([told(day="2026-03-20")])
    again = read([told(day="2026-03-20"), told(day="2026-03-22")], before=first)

    assert len(set(ids(again))) == 2
    assert set(ids(first)) < set(ids(again))


def test_places_within_a_day_are_no_ids() -> None:
    """Booked before the others later, a movement moves all the places of its day."""
    alice, bob = {"party": ALICE, "amount": "500.00"}, {"party": BOB, "amount": "700.00"}
    first = read([told(reference="2026-03-30-1", **alice), told(reference="2026-03-30-2", **bob)])
    again = read(
        [
            told("90.00", reference="2026-03-30-1", party=""),
            told(reference="2026-03-30-2", **alice),
            told(reference="2026-03-30-3", **bob),
        ],
        before=first,
    )

    of = {item.minor: named for named, item in again.movements}
    assert {of[50000], of[70000]} == set(ids(first))
    assert len(set(ids(again))) == 3


def test_a_placeholder_shared_by_movements_is_no_id() -> None:
    found = read(
        [told("1.00", reference="0"), told("2.00", reference="0"), told("3.00", reference="NOTPROVIDED")]
    )

    assert len(set(ids(found))) == 3
    assert not {"0", "NOTPROVIDED"} & set(ids(found))


def test_a_reference_shared_by_different_movements_is_no_id_of_the_second() -> None:
    first = read([told("1.00", reference="BATCH-77001")])
    again = read([told("1.00", reference="BATCH-77001"), told("2.00", reference="BATCH-77001")], before=first)

    assert len(set(ids(again))) == 2
    assert ids(first)[0] in ids(again)


def test_a_page_that_repeats_the_last_record_of_the_one_before_doubles_nothing() -> None:
    same = told(reference="2026033000001234")
    balance = {"currency": "CZK", "amount": "1500.00"}
    without_id = told("7.00", balance_after_transaction=balance)

    found = read([same, without_id], [same, without_id, told("8.00")])

    assert Counter(item.minor for _, item in found.movements) == {50000: 1, 700: 1, 800: 1}


def test_equal_records_of_one_page_are_two_payments_also_under_one_reference() -> None:
    found = read([told(reference="BATCH-77001"), told(reference="BATCH-77001")])

    assert len(set(ids(found))) == 2


def test_of_several_told_in_other_words_nothing_is_mixed_up() -> None:
    first = read([told(words=["a"], party="", name=""), told(words=["b"], party="", name="")])
    again = read([told(words=["c"], party="", name=""), told(words=["d"], party="", name="")], before=first)

    assert again.movements == []
    assert again.retold == 2
    assert {row.external_id for row in again.not_told} == set(ids(first))
    settled = read([told(words=["a"], party="", name=""), told(words=["b"], party="", name="")], before=again)
    assert sorted(ids(settled)) == sorted(ids(first))


def test_where_one_of_several_is_new_all_are_put_aside() -> None:
    first = read([told(words=["a"], party="", name="")])
    again = read([told(words=["c"], party="", name=""), told(words=["d"], party="", name="")], before=first)

    assert again.movements == []
    assert len(again.doubtful) == 2


def test_pending_and_booked_movements_are_named_apart() -> None:
    waiting = record(told(status="PDNG"))
    booked = read([told()])

    [(named, _)] = identity.pending(ACCOUNT, [waiting], set(ids(booked)))
    assert named not in ids(booked)


def test_a_pending_movement_that_is_told_as_booked_too_is_told_once() -> None:
    waiting = record(told(status="PDNG", reference="2026033000001234"))

    assert identity.pending(ACCOUNT, [waiting], {"2026033000001234"}) == []


def test_a_record_that_cannot_be_read_is_no_movement() -> None:
    assert isinstance(records.read(told("-5.00"), ACCOUNT, page=0), Unreadable)


PAYMENTS = st.lists(
    st.tuples(
        st.sampled_from(["2026-03-28", "2026-03-29", "2026-03-30"]),
        st.sampled_from(["500.00", "700.00"]),
        st.sampled_from([ALICE, BOB, ""]),
        st.sampled_from(["úklid", "nájem"]),
        st.sampled_from([None, "0"]),
    ),
    max_size=8,
)


@given(payments=PAYMENTS, data=st.data())
def test_however_often_and_in_whatever_order_it_is_told_every_payment_is_stored_once(
    payments: list[tuple[str, str, str, str, str | None]], data: st.DataObject
) -> None:
    stored: dict[str, tuple[str, int]] = {}
    before: Identified | None = None
    arrived = 0
    for _ in range(3):
        arrived = data.draw(st.integers(arrived, len(payments)))
        now = data.draw(st.permutations(payments[:arrived]))
        before = read(
            [
                told(amount, day=day, party=party, words=[words], reference=reference)
                for day, amount, party, words, reference in now
            ],
            before=before,
        )
        for named, item in before.movements:
            assert stored.setdefault(named, (item.details, item.minor)) == (item.details, item.minor)
        assert len(stored) == arrived


@given(payments=PAYMENTS, data=st.data())
def test_whatever_the_bank_adds_to_its_texts_nothing_is_doubled_and_nothing_is_lost_unseen(
    payments: list[tuple[str, str, str, str, str | None]], data: st.DataObject
) -> None:
    stored: set[str] = set()
    before: Identified | None = None
    arrived, added = 0, [""] * len(payments)
    for _ in range(4):
        arrived = data.draw(st.integers(arrived, len(payments)))
        for number in range(arrived):
            added[number] += data.draw(st.sampled_from(["", "", f" archiv {number}"]))
        now = [
            told(amount, day=day, party=party, words=[words + added[number]], reference=reference)
            for number, (day, amount, party, words, reference) in enumerate(payments[:arrived])
        ]
        before = read(data.draw(st.permutations(now)), before=before)
        stored.update(ids(before))
        assert len(stored) <= arrived
        assert len(stored) == arrived or before.doubtful
        assert len(before.movements) + len(before.doubtful) + before.retold == arrived
