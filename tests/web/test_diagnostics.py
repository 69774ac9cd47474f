"""Diagnostics: useful, and nothing private in them, wherever it was hidden."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from kvit.audit.recording import SYSTEM, created, record
from kvit.plugin import Secret
from kvit.sync import diagnostics
from kvit.sync.configuring import seal_credentials
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from tests.factories import a_client, a_payment, an_account
from tests.personas import Personas

pytestmark = pytest.mark.django_db

TOKEN = "q7Xw-plain-looking-secret"
OTHER_TOKEN = "eyJhbGciOiJIUzI1NiJ9abcdefghijklmnop"
IBAN = "CZ6508000000192000145399"
SPACED = "CZ65 0800 0000 1920 0014 5399"
LOCAL = "19-2000145399/0800"
CARD = "4999 1234 5678 9012"
COUNTERPARTY = "Jana Nováková"
CUSTOMER = "Tajný odběratel s.r.o."
EMAIL = "jana@example.com"
PRIVATE = (
    TOKEN,
    OTHER_TOKEN,
    IBAN,
    SPACED,
    LOCAL,
    "2000145399",
    CARD,
    COUNTERPARTY,
    CUSTOMER,
    EMAIL,
    "hunter2",
    "heslo",
)
EVERYTHING = f"{TOKEN} {OTHER_TOKEN} {IBAN} {SPACED} {LOCAL} {CARD} {COUNTERPARTY} {CUSTOMER} {EMAIL}"


@pytest.fixture
def connection(personas: Personas) -> PluginConfiguration:
    """A connection with something private in every column a person, a plugin or a bank can write."""
    organization = personas.organization
    account = an_account(organization, IBAN)
    a_payment(account, counterparty_name=COUNTERPARTY, counterparty_account=LOCAL, message=EVERYTHING)
    a_client(organization, CUSTOMER)
    row = PluginConfiguration(
        organization=organization,
        plugin="fio",
        name=EVERYTHING[:100],
        settings={
            "base_url": f"https://eva:hunter2@bank.example/v1/rest/?key={TOKEN}#heslo",
            "days_back": 30,
            "api_token": TOKEN,
            "forgotten": EVERYTHING,
        },
        account_key=IBAN,
        account_label=EVERYTHING[:200],
        cursor={"synced_through": "2026-11-20", "account": IBAN, "id": 2000145399},
    )
    row.credentials_sealed = seal_credentials(row, {"api_token": Secret(TOKEN)})
    with transaction.atomic():
        row.save()
        record(organization, SYSTEM, [created(row)])
    SourceAccount.objects.create(
        connection=row, external_id=IBAN, account=account, balance_minor=123456789, seen_at=timezone.now()
    )
    SyncHistory.objects.create(
        organization=organization,
        connection=row,
        status="failed",
        trigger="manual",
        requested_by=f"user:{EMAIL}",
        cancel_requested_by=f"user:{EMAIL}",
        worker="pocitac-jany|1@2",
        error_kind="Temporary",
        error_message=f"The bank answered {{status}} for {{account}}. {EVERYTHING}",
        error_params={
            "status": 502,
            "account": IBAN,
            "payer": COUNTERPARTY,
            "on": "2026-11-20",
            "id": 2000145399,
        },
        cursor_before={"account": IBAN},
        log=[
            {
                "at": "2026-11-22T10:00:00+00:00",
                "text": f"Asking https://eva:hunter2@bank.example/{TOKEN}/?a={IBAN}",
            },
            {"at": "2026-11-22T10:00:01+00:00", "text": EVERYTHING, "level": "warning"},
            {"at": "2026-11-22T10:00:02+00:00", "text": "Read 12 movements from 2026-11-01 to 2026-11-20."},
        ],
    )
    return row


def bundle(connection: PluginConfiguration) -> dict[str, Any]:
    return diagnostics.of_connection(connection, timezone.now())


@pytest.mark.parametrize("page", ["/connections/{pk}/diagnostics/", "/health/diagnostics/"])
def test_nothing_private_is_in_the_download(
    client: Client, personas: Personas, connection: PluginConfiguration, page: str
) -> None:
    client.force_login(personas.owner)
    response = client.get(page.format(pk=connection.pk))
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "pocitac-jany" not in response.text
    text = response.text.casefold()
    assert [secret for secret in PRIVATE if secret.casefold() in text] == []


def test_what_helps_is_there(connection: PluginConfiguration) -> None:
    (found,) = bundle(connection)["connections"]
    assert found["settings"] == {"base_url": "https://bank.example/v1/rest/?***", "days_back": 30}
    assert [account["number"] for account in found["accounts"]] == ["…5399"]
    assert found["cursor"] == {"synced_through": "2026-11-20", "account": "***", "id": "***"}
    (run,) = found["runs"]
    assert run["requested_by"] == "user"
    assert run["error"]["kind"] == "Temporary"
    assert run["error"]["message"].startswith("The bank answered {status} for {account}.")
    assert run["error"]["params"] == {
        "status": 502,
        "account": "***",
        "payer": "***",
        "on": "2026-11-20",
        "id": "***",
    }
    assert run["log"][2]["text"] == "Read 12 movements from 2026-11-01 to 2026-11-20."
    assert run["log"][1]["level"] == "warning"


def test_it_is_json_and_says_which_versions(connection: PluginConfiguration) -> None:
    read = json.loads(json.dumps(bundle(connection)))
    assert set(read["versions"]) == {"kvit", "python", "django", "database"}


def test_without_the_plugin_only_the_names_of_settings_are_told(connection: PluginConfiguration) -> None:
    connection.plugin = "no_such_plugin"
    (found,) = bundle(connection)["connections"]
    assert found["settings"] == ["api_token", "base_url", "days_back", "forgotten"]


def test_with_lost_keys_it_still_works(connection: PluginConfiguration) -> None:
    connection.credentials_sealed = b"\x01damaged"
    (found,) = bundle(connection)["connections"]
    assert IBAN not in json.dumps(found)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(IBAN, "…5399"), (SPACED, "…5399"), (LOCAL, "…5399"), ("2000145399", "…5399")],
)
def test_of_an_account_the_last_four_digits_are_told(number: str, shown: str) -> None:
    assert diagnostics.last_digits(number) == shown
