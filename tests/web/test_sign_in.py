"""Signing in and out, and the person's own profile."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.personas import Personas

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def test_signing_in_leads_to_the_page_that_was_asked_for(client: Client, personas: Personas) -> None:
    response = client.post(
        "/sign-in/?next=/connections/", {"username": "Owner@Example.com", "password": PASSWORD}
    )
    assert response.headers["Location"] == "/connections/"
    assert client.get("/connections/").status_code == 200


def test_a_wrong_password_is_told_and_never_repeated(client: Client, personas: Personas) -> None:
    response = client.post("/sign-in/", {"username": "owner@example.com", "password": "not-this-password"})
    assert response.status_code == 200
    assert "errorlist" in response.text
    assert "not-this-password" not in response.text


def test_signing_in_does_not_lead_to_another_site(client: Client, personas: Personas) -> None:
    response = client.post(
        "/sign-in/?next=https://evil.example/", {"username": "owner@example.com", "password": PASSWORD}
    )
    assert response.headers["Location"] == "/"


def test_signing_out_ends_the_session(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("person", ["owner", "accountant"])
def test_everybody_changes_their_own_profile(client: Client, personas: Personas, person: str) -> None:
    user = getattr(personas, person)
    client.force_login(user)
    response = client.post("/profile/", {"name": "Jana", "language": "en", "theme": "dark"})
    assert response.status_code == 302
    assert response.cookies["django_language"].value == "en"
    user.refresh_from_db()
    assert (user.name, user.language, user.theme) == ("Jana", "en", "dark")
    assert 'data-theme="dark"' in client.get("/").text


@pytest.mark.past_the_audit
def test_the_menu_changes_one_thing_and_stays_on_the_page(client: Client, personas: Personas) -> None:
    personas.owner.name = "Jana"
    personas.owner.save()
    client.force_login(personas.owner)
    response = client.post("/profile/", {"theme": "light", "next": "/connections/"})
    assert response.headers["Location"] == "/connections/"
    personas.owner.refresh_from_db()
    assert (personas.owner.name, personas.owner.theme) == ("Jana", "light")


def test_an_unknown_theme_is_refused(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    assert "errorlist" in client.post("/profile/", {"theme": "pink"}).text
    personas.owner.refresh_from_db()
    assert personas.owner.theme == "system"
