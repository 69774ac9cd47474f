"""The page of a run, and the import of statement files."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from kvit import tasks
from kvit.audit.recording import COMMAND
from kvit.sync.connections import statement_connection
from kvit.sync.files import handed_to
from kvit.sync.models import PluginConfiguration, SyncHistory
from tests.personas import Personas

pytestmark = pytest.mark.django_db


def a_run(personas: Personas, status: str, **fields: object) -> SyncHistory:
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="fio", name="Fio"
    )
    return SyncHistory.objects.create(
        organization=personas.organization,
        connection=connection,
        status=status,
        trigger="manual",
        requested_by="user:owner@example.com",
        **fields,
    )


@pytest.mark.parametrize(
    ("status", "refreshes"), [("pending", True), ("running", True), ("completed", False)]
)
def test_an_active_run_refreshes_itself(
    client: Client, personas: Personas, status: str, refreshes: bool
) -> None:
    run = a_run(personas, status)
    client.force_login(personas.owner)
    for page in (f"/runs/{run.pk}/", f"/connections/{run.connection_id}/"):
        whole = client.get(page).text
        assert ("hx-trigger" in whole) is refreshes
        assert ('http-equiv="refresh"' in whole) is refreshes
        part = client.get(page, headers={"hx-request": "true"}).text
        assert "<html" not in part
        assert ("hx-trigger" in part) is refreshes


def test_a_signed_out_poll_is_led_to_the_sign_in_page(client: Client, personas: Personas) -> None:
    run = a_run(personas, "running")
    response = client.get(f"/runs/{run.pk}/", headers={"hx-request": "true"})
    assert response.headers["HX-Redirect"] == "/sign-in/"


def test_a_failed_run_says_what_went_wrong_and_what_to_do(client: Client, personas: Personas) -> None:
    personas.owner.language = "en"
    personas.owner.save()
    run = a_run(
        personas,
        "failed",
        error_kind="AuthExpired",
        error_message="The bank {bank} refused the token.",
        error_params={"bank": "<b>Fio</b>"},
        log=[{"at": "2026-11-22T10:00:00+00:00", "text": "Asking for November."}],
    )
    client.force_login(personas.owner)
    text = client.get(f"/runs/{run.pk}/").text
    assert "The bank &lt;b&gt;Fio&lt;/b&gt; refused the token." in text
    assert "Enter the credentials again" in text
    assert "Asking for November." in text
    assert "22\u00a0Nov\u00a02026 11:00" in text


GPC_LIKE = b"this is no statement"


def test_handed_files_become_one_run(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    files = [SimpleUploadedFile("a.xml", b"<a/>"), SimpleUploadedFile("b.gpc", GPC_LIKE)]
    response = client.post("/import/", {"statements": files})
    run = SyncHistory.objects.get()
    assert response.headers["Location"] == f"/runs/{run.pk}/"
    assert run.trigger == "import"
    assert [(file.name, file.data) for file in handed_to(run)] == [("a.xml", b"<a/>"), ("b.gpc", GPC_LIKE)]
    page = client.get(f"/runs/{run.pk}/").text
    assert "a.xml" in page
    assert "b.gpc" in page


def test_a_second_import_waits_for_the_first(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    for status in (302, 200):
        upload = SimpleUploadedFile("a.xml", b"<a/>")
        assert client.post("/import/", {"statements": [upload]}).status_code == status
    assert SyncHistory.objects.count() == 1


def test_no_file_is_told_at_the_field(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    response = client.post("/import/", {})
    assert list(response.context["form"].errors) == ["statements"]
    assert not SyncHistory.objects.exists()


def test_too_many_files_are_refused(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    files = [SimpleUploadedFile(f"{number}.xml", b"<a/>") for number in range(21)]
    assert "errorlist" in client.post("/import/", {"statements": files}).text
    assert not SyncHistory.objects.exists()


def test_an_organization_has_one_connection_for_statement_files(personas: Personas) -> None:
    first = statement_connection(personas.organization, actor=COMMAND)
    assert statement_connection(personas.organization, actor=COMMAND) == first
    other = statement_connection(personas.stranger.memberships.get().organization, actor=COMMAND)
    assert other != first


@pytest.mark.django_db(transaction=True)
def test_a_run_that_cannot_read_its_file_says_which(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    client.post("/import/", {"statements": [SimpleUploadedFile("vypis.gpc", GPC_LIKE)]})
    run = tasks.run_to_the_end(SyncHistory.objects.get(), patience=timedelta(0))
    assert run.status == "failed"
    assert "vypis.gpc: " in client.get(f"/runs/{run.pk}/").text
