from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.ledger.accounts import own_account
from kvit.ledger.models import BankAccount
from kvit.users.models import Organization
from tests.factories import an_organization

IBAN = "CZ7420100000192400222222"
WITH_BANK = "19-2400222222/2010"
BARE = "19-2400222222"
DIGITS = "0000192400222222"
AT_OTHER_BANK = "CZ1308000000192400222222"


def the_account(organization: Organization, number: str, currency: str = "CZK") -> BankAccount:
    return own_account(organization, number, currency, "Běžný účet", actor=SYSTEM)


@pytest.mark.parametrize("first", [IBAN, WITH_BANK, BARE, DIGITS])
@pytest.mark.parametrize("second", [IBAN, WITH_BANK, BARE, DIGITS])
def test_one_account_in_two_forms_is_one_row_with_the_fuller_number(
    organization: Organization, first: str, second: str
) -> None:
    fullest = min(first, second, key=[IBAN, WITH_BANK, BARE, DIGITS].index)
    row = the_account(organization, first)
    assert the_account(organization, second).pk == row.pk
    assert BankAccount.objects.get().number in {fullest, first if fullest == BARE else fullest}


def test_spaces_and_small_letters_of_an_iban_are_no_difference(organization: Organization) -> None:
    row = the_account(organization, "cz74 2010 0000 1924 0022 2222")
    assert (row.number, the_account(organization, IBAN).pk) == (IBAN, row.pk)


def test_a_slovak_iban_and_its_domestic_form_are_one_account(organization: Organization) -> None:
    row = the_account(organization, "SK4483300000002400222222")
    assert the_account(organization, "2400222222/8330").pk == row.pk


def test_taking_the_fuller_number_over_is_audited(organization: Organization) -> None:
    row = the_account(organization, BARE)
    the_account(organization, IBAN)
    the_account(organization, BARE)
    entries = AuditEntry.objects.filter(table="ledger_bankaccount", object_id=row.pk).order_by("id")
    assert [entry.action for entry in entries] == ["created", "changed"]
    assert (entries[1].before, entries[1].after) == ({"number": BARE}, {"number": IBAN})


def test_one_number_in_two_currencies_is_two_accounts(organization: Organization) -> None:
    assert the_account(organization, BARE, "EUR").pk != the_account(organization, IBAN, "CZK").pk
    assert sorted(BankAccount.objects.values_list("number", "currency")) == [(BARE, "EUR"), (IBAN, "CZK")]


def test_one_number_at_two_banks_is_two_accounts(organization: Organization) -> None:
    first, second = the_account(organization, IBAN), the_account(organization, AT_OTHER_BANK)
    assert first.pk != second.pk
    assert the_account(organization, "19-2400222222/0800").pk == second.pk


def test_a_number_without_a_bank_that_fits_two_accounts_is_neither(organization: Organization) -> None:
    known = {the_account(organization, IBAN).pk, the_account(organization, AT_OTHER_BANK).pk}
    doubtful = the_account(organization, BARE)
    assert doubtful.pk not in known
    assert the_account(organization, DIGITS).pk == doubtful.pk
    assert the_account(organization, "19-2400222222/0300").pk not in {*known, doubtful.pk}
    assert BankAccount.objects.get(pk=doubtful.pk).number == BARE


def test_numbers_that_are_no_czech_ones_are_only_compared_as_they_are(organization: Organization) -> None:
    rows = [the_account(organization, text) for text in ("a1", "A1", "DE02120300000000202051", "A 1")]
    assert rows[1].pk == rows[3].pk
    assert len({row.pk for row in rows}) == 3


def test_another_organization_has_its_own_account(organization: Organization) -> None:
    assert the_account(organization, IBAN).pk != the_account(an_organization(), BARE).pk


@pytest.mark.django_db(transaction=True)
def test_forms_of_one_account_told_at_once_make_one_row() -> None:
    organization = an_organization()
    numbers = [IBAN, WITH_BANK, BARE, DIGITS]
    together = Barrier(len(numbers))

    def act(number: str) -> int:
        try:
            together.wait()
            return the_account(organization, number).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(len(numbers)) as pool:
        found = set(pool.map(act, numbers))
    assert len(found) == 1
    assert BankAccount.objects.get().number == IBAN
