from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from kvit.audit.models import AuditEntry
from kvit.ledger.models import MoneyTransaction, TransactionAlias
from kvit.ledger.posting import Posted
from tests.factories import a_movement, an_account, an_organization, post


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_one_source_at_once_store_each_movement_once() -> None:
    account = an_account(an_organization())
    movements = [a_movement(f"{number}") for number in range(400)]
    together = Barrier(4)

    def act(share: int) -> Posted:
        try:
            together.wait()
            return post(account, movements[share * 50 : share * 50 + 250])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        posted = sum(pool.map(act, range(4)), Posted())
    entries = AuditEntry.objects.filter(table="ledger_moneytransaction")
    assert posted.created == MoneyTransaction.objects.count() == entries.count() == 400
    assert posted.unchanged == 4 * 250 - 400


@pytest.mark.django_db(transaction=True)
def test_two_sources_of_one_account_at_once_are_compared_with_each_other() -> None:
    account = an_account(an_organization())
    movements = [a_movement(f"{number}", is_bank_id=True) for number in range(50)]
    together = Barrier(2)

    def act(source: str) -> Posted:
        try:
            together.wait()
            return post(account, movements, source=source)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        posted = sum(pool.map(act, ("fio:one", "statement_file:one")), Posted())
    assert posted == Posted(created=50, unchanged=50)
    assert MoneyTransaction.objects.count() == TransactionAlias.objects.count() == 50
