"""Each movement has one id that lasts, and no two share one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.statements import read
from tests.kernel.statements.writers import camt, camt_entry, fio, fio_movement, gpc, gpc_head, gpc_movement


def ids(data: bytes) -> list[str]:
    return [entry.external_id for statement in read(data).statements for entry in statement.entries]


def reference(text: str) -> str:
    return f"<AcctSvcrRef>{text}</AcctSvcrRef>"


def test_two_equal_payments_of_one_day_are_two_ids_that_last() -> None:
    data = camt(camt_entry(), camt_entry())
    first, second = ids(data)
    assert first != second
    assert first.startswith("h1:")
    assert ids(data) == [first, second]


def test_the_digest_recipe_does_not_change_by_accident() -> None:
    assert ids(camt(camt_entry())) == ["h1:75acd162495d80b337d82c16cf7f9fd9503f0609"]


def test_a_payment_keeps_its_id_when_another_day_is_added_before_it() -> None:
    assert ids(camt(camt_entry()))[0] in ids(camt(camt_entry(booked="2026-03-01"), camt_entry()))


def test_the_bank_s_reference_is_the_id() -> None:
    assert ids(camt(camt_entry(more=reference("B-1")), camt_entry(more=reference("B-2")))) == ["B-1", "B-2"]


def test_a_reference_that_comes_again_names_only_the_first_movement() -> None:
    entries = (camt_entry(f"{crowns}.00", more=reference("B-1")) for crowns in (1, 2, 3))
    file = read(camt(*entries))
    first, *others = (entry.external_id for entry in file.statements[0].entries)
    assert first == "B-1"
    assert all(other.startswith("h1:") for other in others)
    assert len(set(others)) == 2
    assert ["B-1" in problem.message for problem in file.warnings] == [True]


def test_the_first_movement_keeps_its_reference_however_the_file_goes_on() -> None:
    """A file fetched tomorrow holds more; what was imported today keeps its id."""
    today = camt(camt_entry("1.00", more=reference("B-1")))
    tomorrow = camt(camt_entry("1.00", more=reference("B-1")), camt_entry("2.00", more=reference("B-1")))
    assert ids(today) == ids(tomorrow)[:1]


def test_a_reference_that_comes_again_a_thousand_entries_later_is_still_known() -> None:
    entries = [camt_entry(f"{number}.00", more=reference(f"B-{number}")) for number in range(1, 2500)]
    found = ids(camt(*entries, camt_entry("5000.00", more=reference("B-1"))))
    assert len(set(found)) == len(found)
    assert found[0] == "B-1"
    assert found[-1].startswith("h1:")


def test_entries_keep_their_ids_when_others_of_the_day_have_references_or_none() -> None:
    alone = ids(camt(camt_entry(), camt_entry()))
    mixed = ids(camt(camt_entry(), camt_entry("9.00", more=reference("B-9")), camt_entry()))
    assert [mixed[0], mixed[2]] == alone


def test_accounts_do_not_share_references_or_digests() -> None:
    def account(number: str) -> str:
        other = camt(camt_entry(), camt_entry("2.00", more=reference("B-1"))).decode()
        section = other[other.index("<Stmt>") : other.index("</Stmt>") + len("</Stmt>")]
        return section.replace("CZ5520100000002000145399", number)

    frame = camt().decode()
    begin, end = frame.index("<Stmt>"), frame.index("</Stmt>") + len("</Stmt>")
    both = (
        frame[:begin] + account("CZ5520100000002000145399") + account("DE02120300000000202051") + frame[end:]
    )
    file = read(both.encode())
    (one_digest, one), (other_digest, other) = (
        [e.external_id for e in each.entries] for each in file.statements
    )
    assert (one, other) == ("B-1", "B-1")
    assert one_digest != other_digest
    assert file.warnings == ()


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["", "A", "B", "C"])), max_size=12))
def test_no_two_movements_of_a_statement_share_an_id(movements: list[tuple[int, str]]) -> None:
    data = camt(
        *(camt_entry(f"{crowns}.00", more=reference(ref) if ref else "") for crowns, ref in movements)
    )
    found = ids(data)
    assert len(set(found)) == len(movements)
    assert ids(data) == found
    # Whatever comes behind, what was there keeps its ids.
    longer = camt(
        *(camt_entry(f"{crowns}.00", more=reference(ref) if ref else "") for crowns, ref in movements),
        camt_entry("1.00", more=reference("A")),
    )
    assert ids(longer)[: len(found)] == found


def test_a_movement_keeps_its_reference_when_it_is_pending_and_booked_in_one_file() -> None:
    pending = camt_entry(more="<Sts>PDNG</Sts>" + reference("B-1"))
    assert ids(camt(pending, camt_entry(more=reference("B-1")))) == ["B-1", "B-1"]


def test_overlapping_statements_in_one_file_tell_one_movement_once() -> None:
    record = gpc_movement()
    assert ids(gpc(gpc_head(), record, gpc_head(), record)) == ["26000000001", "26000000001"]


def test_a_reference_at_different_movements_of_two_statements_names_the_first() -> None:
    data = gpc(gpc_head(), gpc_movement(1), gpc_head(), gpc_movement(2))
    first, second = ids(data)
    assert first == "26000000001"
    assert second.startswith("h1:")


def test_a_running_number_is_no_reference() -> None:
    assert ids(gpc(gpc_head(), gpc_movement(reference="0000000000017")))[0].startswith("h1:")
    assert ids(camt(camt_entry(more="<NtryRef>17</NtryRef>")))[0].startswith("h1:")


def test_placeholders_are_no_reference() -> None:
    assert all(
        each.startswith("h1:") for each in ids(camt(camt_entry(more=reference("NONREF")), camt_entry()))
    )


def test_a_fio_movement_without_id_gets_a_digest_and_a_warning() -> None:
    file = read(fio(fio_movement(c22=None)))
    assert file.statements[0].entries[0].external_id.startswith("h1:")
    assert [problem.field for problem in file.warnings] == ["column22"]


def test_a_repeated_fio_id_does_not_merge_two_movements() -> None:
    assert len(set(ids(fio(fio_movement(), fio_movement(c1=5))))) == 2


def bank_ids(data: bytes) -> list[str]:
    """Those that the bank gives in its API too."""
    return [
        entry.external_id
        for statement in read(data).statements
        for entry in statement.entries
        if entry.is_bank_id
    ]


def test_fio_s_json_and_gpc_carry_the_id_of_its_api() -> None:
    assert bank_ids(fio(fio_movement())) == ["26000000001"]
    assert bank_ids(gpc(gpc_head(bank="FIO"), gpc_movement())) == ["26000000001"]
    assert bank_ids(gpc(gpc_head(bank="FIO"), gpc_movement(reference="0000000000017"))) == ["17"]


def test_the_same_field_of_another_bank_s_gpc_may_mean_something_else() -> None:
    assert bank_ids(gpc(gpc_head(), gpc_movement())) == []
    assert bank_ids(gpc(gpc_movement())) == []
    assert ids(gpc(gpc_head(), gpc_movement())) == ["26000000001"]


def test_the_account_servicer_s_reference_is_the_bank_s_id_of_a_booked_entry() -> None:
    assert bank_ids(camt(camt_entry(more=reference("B-1")))) == ["B-1"]
    assert bank_ids(camt(camt_entry(more=f"<Sts>PDNG</Sts>{reference('B-1')}"))) == []
    assert bank_ids(camt(camt_entry(more=reference("17")))) == []
    assert bank_ids(camt(camt_entry(more="<NtryRef>26000000001</NtryRef>"))) == []
    assert bank_ids(camt(camt_entry(details=[f"<Refs>{reference('B-1')}</Refs>"]))) == []


def test_a_reference_at_two_movements_is_the_bank_s_id_of_the_first_only() -> None:
    twice = camt(camt_entry("1.00", more=reference("B-1")), camt_entry("2.00", more=reference("B-1")))
    assert bank_ids(twice) == ["B-1"]
    assert bank_ids(fio(fio_movement(), fio_movement(c1=7))) == ["26000000001"]
    assert bank_ids(camt(camt_entry())) == []
