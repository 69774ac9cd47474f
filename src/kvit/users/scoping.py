"""The one place that decides which organization a person sees and what they may do there."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404
from django.utils.translation import gettext as _

from kvit.kernel.errors import Refused
from kvit.users.models import Membership, Organization, User


@dataclass(frozen=True, slots=True)
class Access:
    """One person's view of one organization; `user` is absent for commands run on the server itself."""

    organization: Organization
    role: str
    user: User | None = None

    @property
    def can_change(self) -> bool:
        return self.role == Membership.Role.OWNER

    def require_change(self) -> None:
        """Raise PermissionDenied unless this person may change things."""
        if not self.can_change:
            raise PermissionDenied(_("An accountant can look and export, and change nothing."))

    def within[M: models.Model](self, rows: models.QuerySet[M]) -> models.QuerySet[M]:
        """Return only the rows of this organization."""
        return rows.filter(organization=self.organization)

    def owns(self, row: models.Model) -> bool:
        """Whether a row is this organization's; for rows read by their ids, where `within` would scan."""
        return bool(getattr(row, "organization_id", None) == self.organization.pk)

    def get[M: models.Model](self, rows: models.QuerySet[M], pk: int) -> M:
        """Return one row of this organization; anybody else's is not there (404)."""
        row = self.within(rows).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row


def access_of(user: User, organization_id: int | None = None) -> Access:
    """Return the user's access to that organization, or to their first one. Raises Http404 to a stranger."""
    memberships = Membership.objects.filter(user=user).select_related("organization").order_by("id")
    if organization_id is not None:
        memberships = memberships.filter(organization_id=organization_id)
    membership = memberships.first()
    if membership is None:
        raise Http404
    return Access(membership.organization, membership.role, user)


def access_for_command(organization_name: str | None) -> Access:
    """Return full access to the named organization, or to the only one there is. Raises Refused."""
    organizations = Organization.objects.order_by("name")
    if organization_name is not None:
        organizations = organizations.filter(name=organization_name)
    found = list(organizations[:2])
    if len(found) == 1:
        return Access(found[0], Membership.Role.OWNER)
    if found:
        raise Refused("There are several organizations; name one with --organization.")
    if organization_name is not None:
        raise Refused("There is no organization named “{name}”.", name=organization_name)
    raise Refused("There is no organization yet; “kvit user add” makes the first one.")
