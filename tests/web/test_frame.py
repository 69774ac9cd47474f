"""The frame: who sees which page, in which language, and what every answer carries."""

from __future__ import annotations

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse
from django.utils import translation

from kvit.kernel.errors import Temporary
from kvit.kernel.money import Money
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Membership, User
from kvit.web import words
from tests.factories import TODAY, an_organization
from tests.personas import Personas

pytestmark = pytest.mark.django_db

LARGEST_CSS_BYTES = 40_000


def a_connection(personas: Personas, plugin: str = "fio", **fields: object) -> PluginConfiguration:
    return PluginConfiguration.objects.create(
        organization=personas.organization, plugin=plugin, name=f"Můj {plugin}", **fields
    )


def a_run(connection: PluginConfiguration, status: str = "completed", **fields: object) -> SyncHistory:
    return SyncHistory.objects.create(
        organization=connection.organization,
        connection=connection,
        status=status,
        trigger="manual",
        requested_by="user:owner@example.com",
        **fields,
    )


def pages_of(personas: Personas) -> list[str]:
    connection = a_connection(personas)
    run = a_run(connection)
    return [
        *(reverse(name) for name in ("dashboard", "profile", "connections", "import")),
        *(reverse(name) for name in ("import-profiles", "accounts")),
        reverse("connection-add", args=["fio"]),
        reverse("connection", args=[connection.pk]),
        reverse("connection-settings", args=[connection.pk]),
        reverse("run", args=[run.pk]),
    ]


@pytest.mark.parametrize("person", ["owner", "accountant"])
def test_members_see_every_page(client: Client, personas: Personas, person: str) -> None:
    client.force_login(getattr(personas, person))
    for page in pages_of(personas):
        response = client.get(page)
        assert response.status_code == 200, page
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert " style=" not in response.text
        assert "<style" not in response.text


def test_an_anonymous_visitor_is_asked_to_sign_in(client: Client, personas: Personas) -> None:
    for page in pages_of(personas):
        response = client.get(page)
        assert response.status_code == 302, page
        assert response.headers["Location"].startswith("/sign-in/?next=")


def test_a_stranger_finds_nothing_of_another_organization(client: Client, personas: Personas) -> None:
    connection = a_connection(personas)
    run = a_run(connection)
    client.force_login(personas.stranger)
    for name, pk in (("connection", connection.pk), ("connection-settings", connection.pk), ("run", run.pk)):
        assert client.get(reverse(name, args=[pk])).status_code == 404
    for name in ("run-request", "connection-pause", "connection-resume", "connection-settings"):
        assert client.post(reverse(name, args=[connection.pk])).status_code == 404
    assert connection.runs.count() == 1


def test_a_person_without_any_membership_finds_nothing_but_may_sign_out(
    client: Client, personas: Personas
) -> None:
    client.force_login(User.objects.create_user("nobody@example.com", "correct horse battery"))
    for page in pages_of(personas):
        assert client.get(page).status_code == 404, page
    assert client.post(reverse("sign-out")).status_code == 302


def test_an_accountant_changes_nothing(client: Client, personas: Personas) -> None:
    connection = a_connection(personas)
    client.force_login(personas.accountant)
    posts = [
        reverse("connection-add", args=["fio"]),
        reverse("connection-settings", args=[connection.pk]),
        reverse("run-request", args=[connection.pk]),
        reverse("connection-pause", args=[connection.pk]),
        reverse("connection-resume", args=[connection.pk]),
        reverse("import"),
    ]
    for page in posts:
        assert client.post(page).status_code == 403, page
    assert not SyncHistory.objects.exists()
    connection.refresh_from_db()
    assert connection.enabled


def test_an_accountant_is_offered_no_change(client: Client, personas: Personas) -> None:
    connection = a_connection(personas)
    client.force_login(personas.accountant)
    assert (
        reverse("run-request", args=[connection.pk]) not in client.get(f"/connections/{connection.pk}/").text
    )
    client.force_login(personas.owner)
    assert reverse("run-request", args=[connection.pk]) in client.get(f"/connections/{connection.pk}/").text


def test_the_language_is_the_persons_then_the_browsers_then_czech(client: Client, personas: Personas) -> None:
    assert client.get("/sign-in/").headers["Content-Language"] == "cs"
    assert client.get("/sign-in/", headers={"accept-language": "en"}).headers["Content-Language"] == "en"
    User.objects.filter(pk=personas.owner.pk).update(language="cs")
    client.force_login(personas.owner)
    response = client.get("/profile/", headers={"accept-language": "en"})
    assert response.headers["Content-Language"] == "cs"
    assert '<html lang="cs"' in response.text


def test_a_person_switches_between_their_organizations_only(client: Client, personas: Personas) -> None:
    second = an_organization("Druhá firma s.r.o.")
    Membership.objects.create(user=personas.owner, organization=second, role="owner")
    client.force_login(personas.owner)
    assert client.post("/organization/", {"organization": second.pk}).status_code == 302
    assert client.get("/").context["access"].organization == second
    foreign = personas.stranger.memberships.get().organization_id
    assert client.post("/organization/", {"organization": foreign}).status_code == 404
    assert client.post("/organization/", {"organization": "x"}).status_code == 404
    assert client.get("/").context["access"].organization == second


def test_a_lost_membership_leads_back_to_the_first_organization(client: Client, personas: Personas) -> None:
    second = an_organization("Druhá firma s.r.o.")
    membership = Membership.objects.create(user=personas.owner, organization=second, role="owner")
    client.force_login(personas.owner)
    client.post("/organization/", {"organization": second.pk})
    membership.delete()
    assert client.get("/").context["access"].organization == personas.organization


def test_the_rail_counts_connections_that_need_attention(client: Client, personas: Personas) -> None:
    a_connection(personas, state=PluginConfiguration.State.NEEDS_ATTENTION)
    client.force_login(personas.owner)
    assert client.get("/connections/").context["frame"].in_trouble == 1


def test_every_answer_carries_its_own_request_id(client: Client, personas: Personas) -> None:
    first, second = client.get("/sign-in/"), client.get("/sign-in/")
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


def test_health_needs_no_sign_in(client: Client) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.text) == (200, "ok")


@pytest.mark.parametrize(
    ("language", "amount", "day"),
    [
        ("cs", "-1\u00a0234\u00a0567,50\u00a0Kč", "2.\u00a011.\u00a02026"),
        ("en", "-CZK\u00a01,234,567.50", "2\u00a0Nov\u00a02026"),
    ],
)
def test_money_and_days_are_written_as_the_reader_writes_them(language: str, amount: str, day: str) -> None:
    with translation.override(language):
        assert words.money_text(Money(-123456750, "CZK")) == amount
        assert words.day_text(TODAY.replace(day=2)) == day


def test_hundredths_are_shown_in_every_currency() -> None:
    with translation.override("en"):
        assert words.money_text(Money(150, "JPY")) == "JPY\u00a01.50"


def test_an_error_whose_parts_are_missing_is_shown_as_it_is_stored() -> None:
    assert words.error_text(Temporary("The bank answered {status}.", status=502)) == "The bank answered 502."
    assert words.error_text(Temporary("Broken {brace")) == "Broken {brace"
    assert words.error_text(Temporary("{missing} is missing")) == "{missing} is missing"


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("user:owner@example.com", "owner@example.com"),
        ("plugin:fio@1.0", "the plugin fio 1.0"),
        ("command", "a command on the server"),
        ("system", "Kvit by itself"),
    ],
)
def test_an_actor_is_named_in_words(actor: str, said: str) -> None:
    with translation.override("en"):
        assert words.actor_text(actor) == said


def test_the_style_sheets_stay_small() -> None:
    sizes = []
    for name in ("reset", "tokens", "base", "components", "utilities"):
        path = finders.find(f"kvit/css/{name}.css")
        assert isinstance(path, str)
        with open(path, "rb") as file:  # noqa: PTH123  # finders give text
            sizes.append(len(file.read()))
    assert sum(sizes) < LARGEST_CSS_BYTES


def test_every_icon_a_state_names_is_drawn() -> None:
    path = finders.find("kvit/icons.svg")
    assert isinstance(path, str)
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  # finders give text
        drawn = file.read()
    for state in words.STATES.values():
        assert f'<symbol id="{state.icon}"' in drawn
