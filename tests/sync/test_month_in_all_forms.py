"""One month told by a bank's API and by files of all formats is stored once, or a person is asked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import date

import pytest
from django.db.models import Exists, OuterRef, QuerySet

from kvit import pipeline
from kvit.audit.recording import SYSTEM
from kvit.ledger import duplicates
from kvit.ledger.models import BankAccount, MoneyTransaction, PossibleDuplicate
from kvit.plugin import SourceFile
from kvit.sync import imports, queue
from kvit.sync.models import SyncHistory
from kvit.users.models import Organization
from tests.banks import fio
from tests.banks.fio import FioBank
from tests.sync import month
from tests.sync.installation import a_connection, counts, sync, today

pytestmark = pytest.mark.django_db(transaction=True)

API = "the API"
WITH_BANK_IDS = (API, "fio.json", "camt.xml", "fio.gpc")

type Money = Counter[tuple[int, date]]


def orders(few: int) -> pytest.MarkDecorator:
    """Shuffle the forms by seeds: a few in the suite, more in the soak."""
    more = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(few, 4 * few)]
    return pytest.mark.parametrize("seed", [*range(few), *more])


@pytest.fixture
def account(bank: FioBank) -> fio.Account:
    account = month.an_account()
    bank.load(account, today=today(), interval_seconds=0)
    return account


def handed(account: fio.Account, *names: str) -> list[SourceFile]:
    """The files by name, with what a person says of the table."""
    return [
        SourceFile(
            name=name,
            data=month.FORMS[name](account),
            account=account.iban if name == "table.csv" else "",
            currency="CZK" if name == "table.csv" else "",
        )
        for name in names
    ]


def imported(organization: Organization, files: Sequence[SourceFile]) -> SyncHistory:
    """Stage, look, confirm and carry out; what the look said must come true."""
    staged = imports.stage(organization, files, actor=SYSTEM)
    looks = imports.look(staged)
    before = asked_about(organization).count()
    held = queue.claim(imports.confirm(staged, actor=SYSTEM))
    assert held is not None
    pipeline.carry_out(held)
    run = SyncHistory.objects.get(pk=held.run.pk)
    assert (run.status, run.error_message) == ("completed", "")
    told = [one for look in looks for one in look.statements]
    assert sum(one.new for one in told) == run.created
    assert sum(one.known for one in told) == run.unchanged + run.updated
    assert sum(one.conflicting for one in told) == run.conflicting
    assert sum(one.possible_duplicates for one in told) == asked_about(organization).count() - before
    return run


def tell(organization: Organization, bank: FioBank, account: fio.Account, form: str) -> None:
    if form == API:
        existing = organization.connections.filter(plugin="fio").first()
        sync(existing or a_connection(organization, bank))
    else:
        imported(organization, handed(account, form))


def asked_about(organization: Organization) -> QuerySet[MoneyTransaction]:
    question = PossibleDuplicate.objects.filter(transaction=OuterRef("pk"))
    return MoneyTransaction.objects.filter(Exists(question), organization=organization)


def counted(rows: QuerySet[MoneyTransaction]) -> Money:
    return Counter(rows.values_list("amount_minor", "booked_on"))


def the_month(account: fio.Account) -> Money:
    return Counter((int(row.amount * 100), row.booked_on) for row in account.movements)


def check_nothing_is_doubled_silently(organization: Organization, account: fio.Account) -> None:
    """Without what a person is asked about, the ledger holds the month once."""
    rows = MoneyTransaction.objects.filter(organization=organization).exclude(status="withdrawn")
    certain = rows.exclude(pk__in=asked_about(organization).values("pk"))
    assert counted(certain) == the_month(account)


@orders(2)
def test_in_any_order_the_month_is_stored_once_or_a_person_is_asked(
    organization: Organization, bank: FioBank, account: fio.Account, seed: int
) -> None:
    forms = [API, *month.FORMS]
    random.Random(seed).shuffle(forms)
    for form in forms:
        tell(organization, bank, account, form)
        check_nothing_is_doubled_silently(organization, account)
    assert BankAccount.objects.get(organization=organization).number == account.iban
    stored = MoneyTransaction.objects.count()
    for form in forms:
        tell(organization, bank, account, form)
    assert MoneyTransaction.objects.count() == stored

    while question := duplicates.waiting(organization).order_by("id").first():
        duplicates.same(question, actor=SYSTEM)
    left = MoneyTransaction.objects.exclude(status="withdrawn")
    assert counted(left) == the_month(account)
    for form in forms:
        tell(organization, bank, account, form)
    assert counted(left.all()) == the_month(account)


@orders(1)
def test_where_the_bank_names_its_movements_nobody_is_asked(
    organization: Organization, bank: FioBank, account: fio.Account, seed: int
) -> None:
    forms = list(WITH_BANK_IDS)
    random.Random(seed).shuffle(forms)
    for form in forms:
        tell(organization, bank, account, form)
    assert counted(MoneyTransaction.objects.all()) == the_month(account)
    assert not PossibleDuplicate.objects.exists()


def test_all_files_in_one_import_are_judged_together(
    organization: Organization, account: fio.Account
) -> None:
    run = imported(organization, handed(account, *month.FORMS))

    assert run.fetched == len(month.FORMS) * len(account.movements)
    check_nothing_is_doubled_silently(organization, account)


def test_a_table_read_by_other_columns_is_not_stored_twice_silently(
    organization: Organization, account: fio.Account
) -> None:
    (table,) = handed(account, "table.csv")
    imported(organization, [table])
    without_notes = SourceFile(
        name="table.csv",
        data=table.data.replace(b";platba", b";").replace(b";Note", b";"),
        account=table.account,
        currency=table.currency,
    )

    run = imported(organization, [without_notes])

    assert counts(run) == {"fetched": 5, "created": 5}
    check_nothing_is_doubled_silently(organization, account)
    assert {one.reason for one in PossibleDuplicate.objects.all()} == {"told_again"}
    assert counts(imported(organization, [without_notes])) == {"fetched": 5, "unchanged": 5}
    assert counts(imported(organization, [table])) == {"fetched": 5, "unchanged": 5}


def test_a_second_equal_payment_of_a_day_that_is_told_with_the_first_one_is_a_payment(
    organization: Organization, account: fio.Account
) -> None:
    whole = handed(account, "plain-camt.xml")
    account.movements, second = account.movements[1:], account.movements[0]
    imported(organization, handed(account, "plain-camt.xml"))
    account.movements.insert(0, second)

    assert counts(imported(organization, whole)) == {"fetched": 5, "created": 1, "unchanged": 4}
    assert not PossibleDuplicate.objects.exists()
    assert counted(MoneyTransaction.objects.all()) == the_month(account)
