"""People, the organizations they work for, and the keys that seal an organization's secrets."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person; signs in by e-mail, which is kept in lower case."""

    class Theme(models.TextChoices):
        SYSTEM = "system", _("as the system")
        LIGHT = "light", _("light")
        DARK = "dark", _("dark")

    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(pgettext_lazy("of a person", "name"), max_length=100, blank=True)
    language = models.CharField(max_length=5, blank=True)
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = ("email", "name", "is_active")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="users_user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email


class Organization(models.Model):
    """The business that issues invoices; every business row belongs to one."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=200, unique=True)
    identification_number = models.CharField(_("company number (IČO)"), max_length=20, blank=True)
    tax_number = models.CharField(_("tax number (DIČ)"), max_length=20, blank=True)
    street = models.CharField(_("street"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=20, blank=True)
    country = models.CharField(_("country"), max_length=2, default="CZ")
    time_zone = models.CharField(_("time zone"), max_length=50, default="Europe/Prague")
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "name",
        "identification_number",
        "tax_number",
        "street",
        "city",
        "postal_code",
        "country",
        "time_zone",
    )

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What a person may do in an organization."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        ACCOUNTANT = "accountant", _("accountant")

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = ("user_id", "organization_id", "role")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "organization"], name="users_membership_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "accountant"]), name="users_membership_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} – {self.organization} ({self.role})"


class DataKey(models.Model):
    """An organization's data key, wrapped by a master key; the newest one seals, all of them open.

    A retired key opens what it sealed and seals nothing any more.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="data_keys")
    key_id = models.CharField(max_length=20, unique=True)
    master_key_id = models.CharField(max_length=20)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.key_id
