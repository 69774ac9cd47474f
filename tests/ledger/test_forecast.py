"""A forecast says what posting then does, whatever was posted before, and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter

from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from kvit.audit.recording import SYSTEM
from kvit.ledger import posting
from kvit.ledger.forecast import Forecast, Outlook
from kvit.ledger.models import BankAccount, PossibleDuplicate
from kvit.ledger.movements import Movement
from kvit.users.keys import key_ring
from kvit.users.models import Organization
from tests.factories import IBAN, TODAY, a_movement, an_account, an_organization, post

type File = tuple[str, Sequence[Movement]]
"""A source and what it tells."""


def _movement(number: int, amount: int, day: int, symbol: str, is_pending: bool) -> Movement:
    """Ids up to three are the bank's."""
    return a_movement(
        f"M{number}",
        f"{amount}.00 CZK",
        booked_on=TODAY - timedelta(days=day),
        variable_symbol=symbol,
        is_bank_id=number <= 3,
        status="pending" if is_pending else "booked",
    )


_movements = st.builds(
    _movement,
    number=st.integers(1, 6),
    amount=st.integers(1, 2),
    day=st.integers(0, 1),
    symbol=st.sampled_from(["", "7", "007"]),
    is_pending=st.booleans(),
)
_booked = _movements.map(lambda movement: movement._replace(status="booked"))


def _told(movements: st.SearchStrategy[Movement]) -> st.SearchStrategy[list[Movement]]:
    return st.lists(movements, max_size=6, unique_by=attrgetter("external_id"))


def _files(movements: st.SearchStrategy[Movement]) -> st.SearchStrategy[list[File]]:
    sources = st.sampled_from(["file:one", "file:two", "file:three"])
    return st.lists(st.tuples(sources, _told(movements)), max_size=4)


class AnyFiles(TestCase):
    """Files of three sources on one account, the ids of which may or may not be the bank's."""

    @given(stored=_files(_movements), coming=st.tuples(st.just("file:one"), _told(_movements)))
    def test_the_outlook_of_one_file_is_what_posting_does(self, stored: list[File], coming: File) -> None:
        account = an_account(an_organization())
        for source, movements in stored:
            _posted(account, source, movements)

        (foreseen,) = _foreseen(account, [coming])

        assert foreseen == _posted(account, *coming)

    @given(stored=_files(_booked), coming=_files(_booked))
    def test_booked_movements_of_several_files_are_foreseen_one_after_another(
        self, stored: list[File], coming: list[File]
    ) -> None:
        account = an_account(an_organization())
        for source, movements in stored:
            _posted(account, source, movements)

        foreseen = _foreseen(account, coming)

        assert foreseen == [_posted(account, *file) for file in coming]


def test_an_account_that_does_not_exist_yet_is_one_account_for_all_files(organization: Organization) -> None:
    forecast = Forecast(organization)
    account = forecast.account(IBAN, "CZK")

    assert forecast.account("19-2000145399/0800", "CZK") is account
    assert forecast.account(IBAN, "EUR") is not account
    first = forecast.outlook(account, "file:one", [a_movement("A", is_bank_id=True)])
    forecast.begin_file()
    second = forecast.outlook(account, "file:two", [a_movement("A", is_bank_id=True), a_movement("B")])
    assert (first, second) == (Outlook(new=1), Outlook(new=1, known=1))
    assert not BankAccount.objects.exists()


def test_what_was_told_under_a_former_name_is_known(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A")], source="file:old")
    forecast = Forecast(organization)
    own = forecast.account(account.number, "CZK")

    outlook = forecast.outlook(own, "file:new", [a_movement("A")], former_sources=["file:old"])

    assert (own, outlook) == (account, Outlook(known=1))


def _foreseen(account: BankAccount, files: Sequence[File]) -> list[Outlook]:
    forecast = Forecast(account.organization)
    own = forecast.account(account.number, account.currency)
    outlooks = []
    for source, movements in files:
        forecast.begin_file()
        outlooks.append(forecast.outlook(own, source, movements))
    return outlooks


@transaction.atomic
def _posted(account: BankAccount, source: str, movements: Sequence[Movement]) -> Outlook:
    """Post a file, and say what became of it in the forecast's words."""
    asked = PossibleDuplicate.objects.filter(organization=account.organization)
    before = set(asked.values_list("pk", flat=True))
    posted = posting.post(
        account, source, movements, actor=SYSTEM, keys=key_ring(account.organization), told=set()
    )
    return Outlook(
        new=posted.created,
        known=posted.updated + posted.unchanged,
        conflicting=posted.conflicting,
        possible_duplicates=asked.exclude(pk__in=before).values("transaction").distinct().count(),
    )
