from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from kvit.audit.models import AuditEntry
from kvit.ledger.models import MoneyTransaction
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
    assert posted.created == MoneyTransaction.objects.count() == AuditEntry.objects.count() == 400
    assert posted.unchanged == 4 * 250 - 400
