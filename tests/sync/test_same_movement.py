"""One movement told by the bank's API and by its statement files is stored once, or a person is asked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from kvit import pipeline
from kvit.audit.recording import SYSTEM
from kvit.ledger import duplicates
from kvit.ledger.models import BankAccount, MoneyTransaction, TransactionAlias, TransactionConflict
from kvit.matching.models import Decision
from kvit.plugin import SourceFile
from kvit.sync import connections, queue
from kvit.sync.models import SyncHistory
from kvit.users.models import Organization
from tests.banks import fio
from tests.banks.fio import FioBank, statement_json
from tests.factories import a_client, an_invoice
from tests.kernel.statements.writers import gpc, gpc_head, gpc_movement
from tests.sync.installation import a_connection, counts, movement, sync, today

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, SECOND, THIRD = 26_000_000_001, 26_000_000_004, 26_000_000_007


@pytest.fixture
def account() -> fio.Account:
    """Two equal payments of one day, and a card payment."""
    return fio.Account(
        movements=[
            movement(FIRST, "1210.00", variable_symbol="42"),
            movement(SECOND, "1210.00", variable_symbol="42"),
            movement(THIRD, "-99.90", days_ago=2),
        ]
    )


def imported(organization: Organization, data: bytes) -> SyncHistory:
    """Hand a file over as a person would, and carry the run out."""
    connection = connections.statement_connection(organization, actor=SYSTEM)
    run = connections.request_run(
        connection,
        SyncHistory.Trigger.IMPORT,
        actor=SYSTEM,
        handed=[SourceFile(name="statement", data=data)],
    )
    held = queue.claim(run)
    assert held is not None
    pipeline.carry_out(held)
    return SyncHistory.objects.get(pk=run.pk)


def as_json(account: fio.Account) -> bytes:
    return statement_json(account, date(2020, 1, 1), today())


def as_gpc(account: fio.Account, *, bank: str = "FIO", first_id: int | None = None) -> bytes:
    """The account's statement in GPC; another bank counts its movements from an id of its own."""
    lines = []
    for place, told in enumerate(account.movements):
        reference = told.id if first_id is None else first_id + place
        lines.append(
            gpc_movement(
                int(abs(told.amount) * 100),
                "2" if told.amount > 0 else "1",
                account=account.number.zfill(16),
                reference=f"{reference:013}",
                variable=told.variable_symbol.zfill(10),
                booked=f"{told.booked_on:%d%m%y}",
                valued=f"{told.booked_on:%d%m%y}",
            )
        )
    return gpc(gpc_head(account=account.number.zfill(16), bank=bank), *lines)


def stored() -> list[tuple[str, str]]:
    rows = MoneyTransaction.objects.order_by("external_id")
    return [(row.external_id, str(row.amount.amount)) for row in rows]


ONCE = [(str(FIRST), "1210.00"), (str(SECOND), "1210.00"), (str(THIRD), "-99.90")]


def test_fio_s_api_and_its_files_tell_the_same_movements(
    organization: Organization, bank: FioBank, account: fio.Account
) -> None:
    bank.load(account, today=today(), interval_seconds=0)
    assert counts(sync(a_connection(organization, bank))) == {"fetched": 3, "created": 3}
    assert counts(imported(organization, as_json(account))) == {"fetched": 3, "unchanged": 3}
    assert counts(imported(organization, as_gpc(account))) == {"fetched": 3, "unchanged": 3}
    assert counts(imported(organization, as_gpc(account))) == {"fetched": 3, "unchanged": 3}
    assert stored() == ONCE
    assert not duplicates.waiting(organization).exists()
    assert BankAccount.objects.get().number == account.iban


def test_files_before_the_first_sync_are_recognised_too(
    organization: Organization, bank: FioBank, account: fio.Account
) -> None:
    bank.load(account, today=today(), interval_seconds=0)
    assert counts(imported(organization, as_gpc(account))) == {"fetched": 3, "created": 3}
    assert counts(imported(organization, as_json(account))) == {"fetched": 3, "unchanged": 3}
    assert counts(sync(a_connection(organization, bank))) == {"fetched": 3, "unchanged": 3}
    assert stored() == ONCE
    assert not duplicates.waiting(organization).exists()
    assert BankAccount.objects.get().number == account.iban


def test_a_file_that_tells_another_amount_for_the_bank_s_id_is_a_conflict(
    organization: Organization, bank: FioBank, account: fio.Account
) -> None:
    bank.load(account, today=today(), interval_seconds=0)
    sync(a_connection(organization, bank))
    account.movements = [movement(FIRST, "1211.00", variable_symbol="42")]
    assert counts(imported(organization, as_json(account))) == {"fetched": 1, "conflicting": 1}
    assert stored() == ONCE
    assert TransactionConflict.objects.get().amount.amount == Decimal("1211.00")


def test_a_file_of_another_bank_is_never_merged_silently(
    organization: Organization, bank: FioBank, account: fio.Account
) -> None:
    bank.load(account, today=today(), interval_seconds=0)
    an_invoice(a_client(organization), symbol="42")
    sync(a_connection(organization, bank))
    of_other_bank = as_gpc(account, bank="", first_id=77_000_000_000)
    assert counts(imported(organization, of_other_bank)) == {"fetched": 3, "created": 3}
    asked = list(duplicates.waiting(organization))
    assert len(asked) == 3
    assert len({question.candidate_id for question in asked}) == 3
    assert not TransactionAlias.objects.exists()
    later = [question.transaction_id for question in asked]
    assert not Decision.objects.current().filter(transaction__in=later, port="auto").exists()
    for question in asked:
        duplicates.same(question, actor=SYSTEM)
    assert counts(imported(organization, of_other_bank)) == {"fetched": 3, "unchanged": 3}
    counted = MoneyTransaction.objects.exclude(status="withdrawn")
    assert sorted(counted.values_list("external_id", flat=True)) == [name for name, _ in ONCE]


def test_a_transfer_between_two_own_accounts_is_a_movement_on_each(
    organization: Organization, bank: FioBank
) -> None:
    payer = fio.Account(movements=[movement(FIRST, "-500.00")])
    payee = fio.Account(number="2900123465", movements=[movement(FIRST, "500.00")])
    for own in (payer, payee):
        assert counts(imported(organization, as_json(own))) == {"fetched": 1, "created": 1}
        assert counts(imported(organization, as_gpc(own))) == {"fetched": 1, "unchanged": 1}
    assert sorted(stored()) == [(str(FIRST), "-500.00"), (str(FIRST), "500.00")]
