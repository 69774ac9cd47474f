"""The people of the tests: one who may, one who may only look, and a stranger who finds nothing."""

from __future__ import annotations

from dataclasses import dataclass

from kvit.users.models import Organization, User
from tests.factories import a_member, an_organization


@dataclass(frozen=True, slots=True)
class Personas:
    organization: Organization
    owner: User
    accountant: User
    stranger: User
    """Owner of another organization."""


def personas() -> Personas:
    organization = an_organization("Kavárna Na Rohu s.r.o.")
    return Personas(
        organization=organization,
        owner=a_member(organization, "owner", "owner@example.com"),
        accountant=a_member(organization, "accountant", "accountant@example.com"),
        stranger=a_member(an_organization("Cizí firma a.s."), "owner", "stranger@example.com"),
    )
