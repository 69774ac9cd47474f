"""Enable Banking from the consent to the ledger, over real HTTP and with the real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from kvit import pipeline
from kvit.audit.recording import SYSTEM, Actor
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.sync import configuring, consents, grants, queue, registry, runs
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.testing import Movement, serving
from kvit.users.models import Organization
from tests.factories import a_member, an_organization
from tests.plugins.enable_banking.pretend_enable_banking import (
    CODE,
    REDIRECT,
    EnableBankingServer,
    TwoAccounts,
    for_account,
    problem,
    settings_for,
)
from tests.sync.installation import counts, log_of, sync, words

pytestmark = pytest.mark.django_db(transaction=True)

WITHOUT_ID = {"entry_reference": None}


@pytest.fixture
def organization(transactional_db: None) -> Organization:
    return an_organization()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plugin is found by its entry point, also where the package was installed before it was written."""
    own = EntryPoint("enable_banking", "kvit.plugins.enable_banking:EnableBanking", registry.GROUP)
    others = [each for each in entry_points(group=registry.GROUP) if each.name != own.name]
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([*others, own]))
    registry.forget()
    yield
    monkeypatch.undo()
    registry.forget()
    configuring.config_fields.cache_clear()


@pytest.fixture
def bank() -> Iterator[TwoAccounts]:
    """A bank that lives on the real day, as the engine does."""
    bank = TwoAccounts()
    bank.today = datetime.now(UTC).astimezone(bank.zone).date()
    with serving(bank) as address:
        bank.address = address  # type: ignore[misc]  # of this bank alone
        yield bank


@pytest.fixture
def consent(bank: TwoAccounts, organization: Organization) -> Callable[..., PluginConfiguration]:
    """Grant access as a person does, for a new connection or again for one."""
    user = a_member(organization)
    visitor = consents.Visitor(organization=organization, user=user, session_key="session-of-a-browser")

    def consent(connection: PluginConfiguration | None = None) -> PluginConfiguration:
        consents.begin(
            visitor,
            "enable_banking",
            settings_for(bank.address),
            return_url=REDIRECT,
            connection=connection,
        )
        answer = {"code": CODE, "state": bank.asked.body["state"]}
        return consents.answered(visitor, answer, actor=Actor.of_user(user))[0]

    return consent


def add(bank: EnableBankingServer, amount: str, *, days_ago: int = 3, **more: Any) -> Movement:
    told = more.pop("told", {})
    booked_at = datetime.combine(bank.today - timedelta(days=days_ago), time(9, 30), bank.zone)
    movement = Movement(
        id=str(2026_0000_0000 + len(bank.movements)),
        booked_at=booked_at,
        told_at=booked_at,
        amount=Decimal(amount),
        currency="CZK",
        **{"account": "1", "counterparty": "ACME", "variable_symbol": "2026001", **more},
    )
    bank.movements.append(movement)
    bank.told[movement.id] = told
    return movement


def total(status: str = "booked") -> int:
    rows = MoneyTransaction.objects.filter(status=status)
    return rows.aggregate(total=Sum("amount_minor"))["total"] or 0


def test_a_consent_becomes_a_connection_whose_accounts_are_read(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    add(bank, "1250.50")
    add(bank, "-20.00", account="2")
    connection = consent()
    run = sync(connection)

    assert (connection.account_label, connection.account_key) == (
        "Česká spořitelna",
        "CZ/Česká spořitelna/business",
    )
    asked_until = datetime.fromisoformat(bank.asked.body["access"]["valid_until"])
    assert grants.end_of(connection) == asked_until.date()
    assert timedelta(days=178) < asked_until.date() - bank.today < timedelta(days=181)
    assert run.status == SyncHistory.Status.COMPLETED, words(run)
    assert total() == 123050
    assert set(
        SourceAccount.objects.values_list("account__number", "account__currency", "balance_minor")
    ) == {
        ("CZ6508000000192000145399", "CZK", 125050),
        ("CZ9455000000001011038930", "CZK", 125050),
    }


def test_the_same_movements_told_again_change_nothing(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    for number in range(30):
        add(bank, f"{number % 4 + 1}.00", days_ago=number % 6, told=WITHOUT_ID if number % 2 else {})
    connection = consent()
    sync(connection)
    before = list(MoneyTransaction.objects.order_by("pk").values())
    bank.newest_first = True
    run = sync(connection)

    assert counts(run) == {"fetched": 30, "unchanged": 30}
    assert list(MoneyTransaction.objects.order_by("pk").values()) == before
    assert len(before) == 30


def test_another_consent_doubles_nothing_and_ends_later(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    for number in range(12):
        add(bank, f"{number % 3 + 1}.00", account=str(number % 2 + 1), told=WITHOUT_ID)
    connection = consent()
    sync(connection)
    again = consent(connection)
    run = sync(again)

    assert again.pk == connection.pk
    assert counts(run) == {"fetched": 12, "unchanged": 12}
    assert SourceAccount.objects.count() == 2
    assert {
        request.url.path.split("/")[2][:8] for request in bank.requests if "-uid-" in request.url.path
    } == {
        "00000001",
        "00000002",
    }


def test_a_pending_movement_becomes_the_booked_one_by_another_id(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    waiting = add(bank, "-349.00", pending=True, days_ago=2, told={"entry_reference": "0"})
    connection = consent()
    sync(connection)
    [row] = MoneyTransaction.objects.all()
    assert (row.status, total()) == ("pending", 0)

    bank.movements.remove(waiting)
    add(bank, "-349.00", days_ago=0)
    run = sync(connection)

    assert counts(run)["updated"] == 1
    [booked] = MoneyTransaction.objects.all()
    assert (booked.pk, booked.status, total()) == (row.pk, "booked", -34900)
    assert not PossibleDuplicate.objects.exists()


def test_a_pending_movement_that_vanishes_is_withdrawn(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    waiting = add(bank, "-349.00", pending=True, days_ago=1)
    connection = consent()
    sync(connection)
    bank.movements.remove(waiting)
    sync(connection)

    assert [row.status for row in MoneyTransaction.objects.all()] == ["withdrawn"]


def test_one_that_stays_pending_is_not_taken_for_another_of_the_same_amount(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    add(bank, "-349.00", pending=True, days_ago=2, counterparty="Kavárna")
    connection = consent()
    sync(connection)
    add(bank, "-349.00", days_ago=0, counterparty="Knihy")
    sync(connection)

    assert {row.counterparty_name: row.status for row in MoneyTransaction.objects.all()} == {
        "Kavárna": "pending",
        "Knihy": "booked",
    }


def test_what_the_bank_adds_to_a_booked_movement_changes_no_money(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    paid = add(bank, "500.00", told=WITHOUT_ID, message="úklid")
    connection = consent()
    sync(connection)
    bank.movements[:] = [replace(paid, message="úklid archiv 7781")]
    run = sync(connection)

    assert counts(run)["updated"] == 1
    [row] = MoneyTransaction.objects.all()
    assert (row.message, total()) == ("úklid archiv 7781", 50000)


def test_a_booked_movement_that_moves_to_another_day_is_a_question_for_a_person(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    paid = add(bank, "500.00", told=WITHOUT_ID)
    connection = consent()
    sync(connection)
    bank.movements[:] = [replace(paid, booked_at=paid.booked_at + timedelta(days=1))]
    run = sync(connection)

    assert counts(run)["conflicting"] == 1
    assert TransactionConflict.objects.count() == 1
    assert total() == 50000


def test_an_account_that_was_read_too_often_waits_while_the_other_is_stored(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    add(bank, "1.00", account="1")
    add(bank, "2.00", account="2")
    connection = consent()
    bank.fault = for_account(
        "00000001-uid-of-1", "transactions", lambda _: problem(429, "ASPSP_RATE_LIMIT_EXCEEDED")
    )
    run = sync(connection)

    assert run.status == SyncHistory.Status.PENDING
    assert run.not_before is not None
    assert timedelta(hours=5, minutes=59) < run.not_before - timezone.now() <= timedelta(hours=6)
    assert "four times a day" in words(run)
    assert "Provozní účet" in log_of(run)
    assert total() == 200
    bank.fault = None
    assert sync(connection).status == SyncHistory.Status.COMPLETED
    assert total() == 300


def test_access_revoked_in_the_middle_needs_attention_until_it_is_granted_again(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    for number in range(50):
        add(bank, f"{number + 1}.00", account=str(number % 2 + 1))
    connection = consent()
    asked = len(bank.requests)

    def revoke(answers: int) -> None:
        if answers == asked + 4:
            bank.sessions["5e551001-aaaa-bbbb-cccc-1234567890ab"].status = "REVOKED"

    bank.after_answer = revoke
    run = sync(connection)
    connection.refresh_from_db()

    assert run.status == SyncHistory.Status.FAILED
    assert "REVOKED_SESSION" in words(run)
    assert "Grant access again" in words(run)
    assert connection.state == PluginConfiguration.State.NEEDS_ATTENTION
    assert MoneyTransaction.objects.count() == 25
    bank.after_answer = None
    assert sync(consent(connection)).status == SyncHistory.Status.COMPLETED
    assert MoneyTransaction.objects.count() == 50
    assert total() == 127500


def test_a_replay_asks_nobody_and_comes_to_the_same(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration]
) -> None:
    for number in range(25):
        add(bank, f"{number + 1}.00", told=WITHOUT_ID)
    run = sync(consent())
    asked = len(bank.requests)
    before = list(MoneyTransaction.objects.order_by("pk").values())
    held = queue.claim(runs.request_replay(run, actor=SYSTEM))
    assert held is not None
    pipeline.carry_out(held)
    replayed = SyncHistory.objects.get(pk=held.run.pk)

    assert replayed.status == SyncHistory.Status.COMPLETED, words(replayed)
    assert counts(replayed) == {"fetched": 25, "unchanged": 25}
    assert len(bank.requests) == asked
    assert list(MoneyTransaction.objects.order_by("pk").values()) == before


def test_nothing_of_the_session_is_stored_in_the_clear(
    bank: TwoAccounts, consent: Callable[..., PluginConfiguration], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    add(bank, "1.00")
    connection = consent()
    bank.fault = for_account(
        "00000001-uid-of-2", "transactions", lambda _: problem(404, "ACCOUNT_DOES_NOT_EXIST")
    )
    run = sync(connection)
    connection.refresh_from_db()

    shown = f"{connection.cursor} {connection.settings} {log_of(run)} {words(run)} {caplog.text}"
    assert run.status == SyncHistory.Status.FAILED
    for secret in ("5e551001-aaaa", "-uid-of-", "PRIVATE KEY", CODE):
        assert secret not in shown
