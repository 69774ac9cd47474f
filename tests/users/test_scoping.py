from __future__ import annotations

import dataclasses

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404
from django.test import override_settings

from kvit.config.environment import Environment
from kvit.kernel.errors import KeyMissing, Refused
from kvit.kernel.sealing import Key, KeyRing
from kvit.users.keys import key_ring
from kvit.users.models import Organization, User
from kvit.users.scoping import access_for_command, access_of
from kvit.work.models import Client
from tests.factories import a_client, an_organization
from tests.personas import Personas


def test_everybody_sees_their_own_organization_only(personas: Personas) -> None:
    ours = a_client(personas.organization)
    assert access_of(personas.owner).get(Client.objects.all(), ours.pk) == ours
    with pytest.raises(Http404):
        access_of(personas.stranger).get(Client.objects.all(), ours.pk)
    with pytest.raises(Http404):
        access_of(personas.stranger, personas.organization.pk)


def test_an_accountant_looks_and_changes_nothing(personas: Personas) -> None:
    access_of(personas.owner).require_change()
    with pytest.raises(PermissionDenied):
        access_of(personas.accountant).require_change()


def test_a_command_needs_a_name_only_where_there_are_several(db: None) -> None:
    with pytest.raises(Refused):
        access_for_command(None)
    first = an_organization("První")
    assert access_for_command(None).organization == first
    an_organization("Druhá")
    with pytest.raises(Refused, match="--organization"):
        access_for_command(None)
    assert access_for_command("První").organization == first
    with pytest.raises(Refused, match="Třetí"):
        access_for_command("Třetí")


def test_an_email_is_one_person_however_it_is_written(db: None) -> None:
    User.objects.create_user("Jana@Example.com", "correct horse battery")
    assert User.objects.get_by_natural_key("JANA@example.com").email == "jana@example.com"
    with pytest.raises(IntegrityError):
        User.objects.create_user("jana@example.com")


def test_data_keys_are_made_once_and_need_their_master_key(organization: Organization) -> None:
    assert key_ring(organization).ids == key_ring(organization).ids
    environment: Environment = settings.KVIT
    stranger = KeyRing([Key.generate()])
    with (
        override_settings(KVIT=dataclasses.replace(environment, master_keys=stranger)),
        pytest.raises(KeyMissing, match=environment.master_keys.active.id),
    ):
        key_ring(organization)
    assert organization.data_keys.count() == 1
