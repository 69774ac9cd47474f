"""The hash chain: what was sealed and is gone, changed or added is named; a kept head proves the rest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from kvit.audit import sealing
from kvit.audit.models import AuditEntry, AuditSeal
from kvit.audit.verifying import verify
from kvit.users.models import Organization
from tests.audit.behind import behind, faults
from tests.factories import a_client, an_organization

NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
WHEN = "2026-11-22 08:15 UTC"

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_seals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sealing, "ENTRIES_IN_A_SEAL", 2)
    yield
    monkeypatch.undo()


@pytest.fixture
def sealed(small_seals: None, organization: Organization) -> list[int]:
    """The ids of six entries under three seals."""
    for _number in range(5):
        a_client(organization)
    assert sealing.seal(NOW) == 6
    assert AuditSeal.objects.count() == 3
    return list(AuditEntry.objects.order_by("id").values_list("id", flat=True))


def test_nothing_to_seal_seals_nothing() -> None:
    assert sealing.seal(NOW) == 0
    assert sealing.head() == ""
    assert not AuditSeal.objects.exists()


def test_every_entry_is_sealed_once_and_the_chain_goes_on(
    sealed: list[int], organization: Organization
) -> None:
    assert sealing.seal(NOW) == 0
    a_client(organization)
    assert sealing.seal(NOW) == 1
    chain = verify().chain
    assert (chain.seals, chain.sealed, chain.unsealed) == (4, 7, 0)
    assert chain.head == sealing.head() == AuditSeal.objects.latest("id").digest
    assert faults() == []


def test_what_is_not_sealed_yet_is_counted(sealed: list[int], organization: Organization) -> None:
    a_client(organization)
    assert verify().chain.unsealed == 1


def test_one_call_seals_about_so_many(small_seals: None, organization: Organization) -> None:
    for _number in range(9):
        a_client(organization)
    assert sealing.seal(NOW, most=3) == 4
    assert sealing.seal(NOW) == 6


def test_a_removed_entry_is_named_by_its_id(sealed: list[int]) -> None:
    behind("DELETE FROM audit_auditentry WHERE id = %s", sealed[3])
    assert f"audit_auditentry {sealed[3]}: is gone, and was sealed on {WHEN}" in faults()


def test_a_whole_story_removed_with_its_row_is_seen_by_the_seals_alone(
    sealed: list[int], organization: Organization
) -> None:
    entry = AuditEntry.objects.get(pk=sealed[4])
    behind("DELETE FROM audit_auditentry WHERE id = %s", entry.pk)
    behind("DELETE FROM work_client WHERE id = %s", entry.object_id)
    assert faults() == [f"audit_auditentry {entry.pk}: is gone, and was sealed on {WHEN}"]


@pytest.mark.parametrize(
    "assignment",
    ["actor = 'user:somebody@else.example'", "run_id = 4", "reason = 'x'", "request_id = 'x'"],
)
def test_a_changed_entry_is_named_by_its_id(sealed: list[int], assignment: str) -> None:
    behind(f"UPDATE audit_auditentry SET {assignment} WHERE id = %s", sealed[0])
    assert faults() == [f"audit_auditentry {sealed[0]}: was changed after it was sealed on {WHEN}"]


def test_the_time_and_the_values_of_an_entry_are_sealed(sealed: list[int]) -> None:
    AuditEntry.objects.filter(pk=sealed[1]).update(at=NOW)
    AuditEntry.objects.filter(pk=sealed[2]).update(after={"name": "jiné"})
    texts = faults()
    for key in sealed[1:3]:
        assert f"audit_auditentry {key}: was changed after it was sealed on {WHEN}" in texts


def test_an_entry_added_between_sealed_ones_is_named(sealed: list[int]) -> None:
    gap = AuditEntry.objects.get(pk=sealed[3])
    behind("DELETE FROM audit_auditentry WHERE id = %s", gap.pk)
    AuditSeal.objects.all().delete()
    sealing.seal(NOW)
    AuditEntry.objects.bulk_create([gap])
    assert faults() == [f"audit_auditentry {gap.pk}: was added to what was sealed on {WHEN}"]


def test_a_seal_removed_from_the_middle_is_noticed_by_the_next_one(sealed: list[int]) -> None:
    _first, second, third = AuditSeal.objects.order_by("id")
    behind("DELETE FROM audit_auditseal WHERE id = %s", second.pk)
    begins = f"begins at entry {third.first_id}, not at {second.first_id}"
    assert faults() == [f"audit_auditseal {third.pk}: {begins}: a seal before it was removed or changed"]


def test_the_first_seal_removed_is_noticed_too(sealed: list[int]) -> None:
    first, second, _third = AuditSeal.objects.order_by("id")
    behind("DELETE FROM audit_auditseal WHERE id = %s", first.pk)
    assert [text.partition(":")[0] for text in faults()] == [f"audit_auditseal {second.pk}"]


def test_a_seal_written_anew_over_a_changed_entry_no_longer_fits_the_next_one(sealed: list[int]) -> None:
    """Whoever changes an entry must write every later seal anew, and the head then is another one."""
    head = sealing.head()
    AuditEntry.objects.filter(pk=sealed[0]).update(reason="x")
    first, second, _third = AuditSeal.objects.order_by("id")
    entries = sealing._digests(first.first_id, first.last_id)
    AuditSeal.objects.filter(pk=first.pk).update(
        digests=b"".join(sealing._KEPT.pack(key, digest) for key, digest in entries.items())
    )
    assert faults() == [
        f"audit_auditseal {first.pk}: does not fit the entries {first.first_id}–{first.last_id}"
    ]
    AuditSeal.objects.filter(pk=first.pk).update(digest=sealing._digest_of("", entries))
    assert faults() == [
        f"audit_auditseal {second.pk}: does not go on from the seal before it: one of the two was changed"
    ]
    AuditSeal.objects.all().delete()
    sealing.seal(NOW)
    assert faults() == []
    assert faults(head) == [
        f"audit_auditseal 0: no seal has the digest {head}: what it covered was changed or removed"
    ]


def test_a_head_that_was_kept_stays_in_the_chain_while_it_grows(
    sealed: list[int], organization: Organization
) -> None:
    head = sealing.head()
    a_client(organization)
    sealing.seal(NOW)
    assert sealing.head() != head
    assert faults(head) == []
    behind("DELETE FROM audit_auditseal WHERE digest <> %s", AuditSeal.objects.earliest("id").digest)
    assert faults() == [], "the newest seals can be removed unseen, unless their head was kept"
    assert len(faults(head)) == 1


def test_the_same_entries_make_the_same_chain_again(sealed: list[int]) -> None:
    """Seals can be made anew from the entries, at another time and in other portions of calls."""
    head = sealing.head()
    AuditSeal.objects.all().delete()
    while sealing.seal(timezone.now(), most=1):
        pass
    assert sealing.head() == head


def test_an_entry_has_one_digest_whatever_the_order_of_its_keys_and_the_zone_of_its_time() -> None:
    one = {"id": 1, "at": NOW, "actor": "č", "after": {"b": 1, "a": None}}
    other = {"after": {"a": None, "b": 1}, "actor": "č", "at": NOW.astimezone(), "id": 1}
    digest = sealing._digest_of_entry(one)
    assert digest == sealing._digest_of_entry(other)
    assert digest.hex() == "27bd3f93d960641136dfe1f49b579bff488a639d7b8ac381474d6f647d8ab011"


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_commits_later_with_a_lower_id_is_never_passed_over() -> None:
    """Ids are taken before transactions commit; PostgreSQL lets several run at once."""
    organization = an_organization()
    written, go_on = Event(), Event()

    def slow() -> None:
        with transaction.atomic():
            a_client(organization, "pomalý")
            written.set()
            go_on.wait(20)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        assert written.wait(20)
        if connection.vendor == "postgresql":
            a_client(organization, "rychlý")
            assert sealing.seal(NOW) == 0, "nothing is sealed while a lower id may still appear"
        settled = sealing._last_settled_id()
        go_on.set()
        done.result(20)
    assert settled < AuditEntry.objects.get(after__name="pomalý").pk
    sealing.seal(NOW)
    assert verify().chain.unsealed == 0
    assert faults() == []


@pytest.mark.django_db(transaction=True)
def test_several_sealers_at_once_make_one_chain(small_seals: None) -> None:
    organization = an_organization()
    for _number in range(30):
        a_client(organization)

    def act(_number: int) -> int:
        try:
            return sum(iter(lambda: sealing.seal(NOW), 0))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        total = sum(pool.map(act, range(4)))
    while sealed := sealing.seal(NOW):
        total += sealed
    assert total == AuditEntry.objects.count() == verify().chain.sealed
    assert faults() == []
