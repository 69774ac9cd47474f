"""The profiles that come with Kvit say where their facts are from, and know their reports and no others."""

from __future__ import annotations

import re

import pytest

from kvit.kernel.payout_reports import PROFILES, Profile, recognise
from kvit.kernel.payout_reports.profile import Role
from kvit.kernel.statements.csv.words import normalized
from tests.kernel.payout_reports.payout_report_files import table


def test_the_usual_providers_are_known() -> None:
    names = {"plain", "stripe", "gopay", "comgate", "paypal", "sumup", "sumup-payouts"}
    assert {profile.name for profile in PROFILES} == names


@pytest.mark.parametrize("profile", PROFILES, ids=[profile.name for profile in PROFILES])
def test_a_profile_can_give_payouts_and_says_where_its_facts_are_from(profile: Profile) -> None:
    roles = {column.role for column in profile.columns}
    assert Role.PAID_ON in roles
    assert Role.GROSS in roles or roles >= {Role.NET, Role.FEE}
    assert Role.CURRENCY in roles
    assert Role.PAYOUT in roles or profile.grouping == "account"
    assert profile.grouping == "reference" or profile.payout_kinds
    assert profile.name == "plain" or "ried live" in profile.origin
    for column in profile.columns:
        re.compile(column.pattern)


@pytest.mark.parametrize("profile", PROFILES, ids=[profile.name for profile in PROFILES])
def test_every_column_that_a_header_requires_has_a_role_or_tells_the_report_apart(profile: Profile) -> None:
    known = {normalized(name) for column in profile.columns for name in column.names}
    for header in profile.headers:
        assert sum(normalized(name) in known for name in header) >= len(header) - 2


@pytest.mark.parametrize(
    ("profile", "header"), [(profile, header) for profile in PROFILES for header in profile.headers]
)
@pytest.mark.parametrize("delimiter", [";", ","])
def test_a_header_is_of_one_profile_only(profile: Profile, header: tuple[str, ...], delimiter: str) -> None:
    quoted = delimiter.join(f'"{name}"' for name in header)
    assert recognise(table(quoted, delimiter.join("1" for _ in header))) is profile
