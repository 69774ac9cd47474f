"""`kvit user`: people and the organizations they belong to."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from kvit.audit.recording import COMMAND, created, record
from kvit.kernel.errors import Refused
from kvit.users.models import Membership, Organization, User


def add(options: argparse.Namespace) -> int:
    """Add a person to an organization; the person and the organization are made where they are not there."""
    email = _checked_email(options.email)
    user = User.objects.filter(email=email).first()
    password = None if user else _new_password(email, from_stdin=options.password_stdin)
    for sentence in _join(user or User(email=email), password, options.organization.strip(), options.role):
        print(sentence)
    return 0


@transaction.atomic
def _join(user: User, password: str | None, organization_name: str, role: str) -> list[str]:
    """Write the membership and what it needs, and return what was done in sentences."""
    said = []
    organization = Organization.objects.filter(name=organization_name).first()
    if organization is None:
        organization = _new_organization(organization_name)
        said.append(f"The organization “{organization}” is new.")
    if password is not None:
        user = User.objects.create_user(user.email, password)
        record(organization, COMMAND, [created(user)])
    else:
        said.append(f"{user.email} was here already; the password stays as it was.")
    membership, is_new = Membership.objects.get_or_create(
        user=user, organization=organization, defaults={"role": role}
    )
    if membership.role != role:
        raise Refused(
            "{email} belongs to “{organization}” already, as {role}.",
            email=user.email,
            organization=organization,
            role=membership.role,
        )
    if is_new:
        record(organization, COMMAND, [created(membership)])
    return [*said, f"{user.email} is {role} of “{organization}”."]


def _new_organization(name: str) -> Organization:
    organization = Organization(name=name)
    try:
        organization.full_clean()
    except ValidationError as error:
        raise Refused("The organization's name: {problems}", problems=_words(error)) from None
    organization.save(force_insert=True)
    record(organization, COMMAND, [created(organization)])
    return organization


def _checked_email(text: str) -> str:
    email = text.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Refused("“{email}” is not an e-mail address.", email=text) from None
    return email


def _new_password(email: str, *, from_stdin: bool) -> str:
    """Read and check a password. Raises Refused in words that do not repeat it."""
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else _asked_password()
    if not password:
        raise Refused("The password is empty.")
    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        raise Refused("{problems}", problems=_words(error)) from None
    return password


def _asked_password() -> str:
    if not sys.stdin.isatty():
        raise Refused("There is no terminal to ask for the password; give it with --password-stdin.")
    password = getpass("Password: ")
    if getpass("The same password again: ") != password:
        raise Refused("The two passwords differ.")
    return password


def _words(error: ValidationError) -> str:
    return " ".join(error.messages)
