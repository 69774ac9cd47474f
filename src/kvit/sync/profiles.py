"""Saved profiles of CSV files: which column says what, and which profile fits a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from kvit.audit.recording import Actor, audited_values, changed, created, deleted, record
from kvit.kernel.errors import Misconfigured, StatementError
from kvit.kernel.statements import csv, detect
from kvit.kernel.statements.source import HEAD_BYTES, Source
from kvit.ledger.models import BankAccount
from kvit.plugin import SourceFile
from kvit.sync.models import CsvProfile
from kvit.users.models import Organization


def profiles_of(organization: Organization) -> QuerySet[CsvProfile]:
    """Return the organization's profiles by name."""
    return CsvProfile.objects.filter(organization=organization).order_by("name")


def save_profile(
    organization: Organization, name: str, toml: str, account: BankAccount | None, *, actor: Actor
) -> CsvProfile:
    """Keep a profile under a name; one that has the name already is replaced.

    Raises Misconfigured where the name is empty or too long, and StatementError, naming the field, where the
    text is no profile.
    """
    name = name.strip()
    if not 0 < len(name) <= 100:
        raise Misconfigured("Give the profile a name of at most 100 characters.", field="name")
    csv.profile_from_toml(toml)
    try:
        with transaction.atomic():
            return _save(organization, name, toml, account, actor)
    except IntegrityError:
        with transaction.atomic():
            return _save(organization, name, toml, account, actor)


def delete_profile(profile: CsvProfile, *, actor: Actor) -> None:
    """Forget a profile; what was imported by it stays."""
    with transaction.atomic():
        record(profile.organization, actor, [deleted(profile)])
        profile.delete()


def fitting(organization: Organization, head: bytes) -> CsvProfile | None:
    """Return the one saved profile that fits a file that begins so; None where none does, or several."""
    known = {}
    for row in profiles_of(organization).select_related("account"):
        try:
            known[csv.profile_from_toml(row.toml)] = row
        except StatementError:
            continue
    found = csv.fitting(Source(head), known) if known else None
    return None if found is None else known[found]


def with_profiles(organization: Organization, handed: Iterable[SourceFile]) -> list[SourceFile]:
    """Return the files, each CSV with the one saved profile that fits it where nobody named another.

    The profile's account counts where the file names none and nobody named one.
    """
    return [_with_profile(organization, file) for file in handed]


def _with_profile(organization: Organization, file: SourceFile) -> SourceFile:
    detection = detect(file.data[:HEAD_BYTES])
    if file.profile or detection is None or not detection.format.startswith("csv") or detection.is_sure:
        return file
    found = fitting(organization, file.data[:HEAD_BYTES])
    if found is None:
        return file
    account = found.account
    return replace(
        file,
        profile=found.toml,
        account=file.account or (account.number if account else ""),
        currency=file.currency or (account.currency if account else ""),
    )


def _save(
    organization: Organization, name: str, toml: str, account: BankAccount | None, actor: Actor
) -> CsvProfile:
    row = CsvProfile.objects.select_for_update().filter(organization=organization, name=name).first()
    if row is None:
        row = CsvProfile.objects.create(
            organization=organization, name=name, toml=toml, account=account, created_by=actor.name
        )
        record(organization, actor, [created(row)])
        return row
    before = audited_values(row)
    row.toml, row.account = toml, account
    row.save(update_fields=["toml", "account"])
    record(organization, actor, [changed(row, before, audited_values(row))])
    return row
