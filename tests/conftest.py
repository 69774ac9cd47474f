"""Fixtures that every test may use."""

from __future__ import annotations

import pytest

from kvit.users.models import Organization
from tests.factories import an_organization
from tests.personas import Personas
from tests.personas import personas as make_personas


@pytest.fixture
def organization(db: None) -> Organization:
    return an_organization()


@pytest.fixture
def personas(db: None) -> Personas:
    return make_personas()
