"""Saving clients and the accounts they are known to pay from, each with its audit entry."""

from __future__ import annotations

from typing import Final

from django.db import IntegrityError, transaction

from kvit.audit.recording import Actor, Change, changed, created, record
from kvit.kernel.errors import Refused
from kvit.kernel.references import account_key
from kvit.work.models import Client, PayerAccount

FACTS: Final = (
    "name",
    "identification_number",
    "tax_number",
    "email",
    "street",
    "city",
    "postal_code",
    "country",
)


def save_client(client: Client, *, actor: Actor) -> None:
    """Save a new or changed client. Raises Refused where another client has the name already."""
    try:
        with transaction.atomic():
            before = Client.objects.filter(pk=client.pk).values(*FACTS).first()
            client.save()
            record(client.organization, actor, _changes(client, before))
    except IntegrityError:
        raise Refused("Another client has the name “{name}” already.", name=client.name) from None


def add_payer_account(client: Client, number: str, *, actor: Actor) -> PayerAccount:
    """Remember that the client pays from this account. Raises Refused where that is known already."""
    row = PayerAccount(
        organization=client.organization,
        client=client,
        number=number.strip(),
        provenance=PayerAccount.Provenance.HUMAN,
    )
    try:
        with transaction.atomic():
            row.save()
            record(client.organization, actor, [created(row, "client_id", "number", "provenance")])
    except IntegrityError:
        raise Refused("The account {number} is known already.", number=row.number) from None
    return row


def remove_payer_account(row: PayerAccount, *, actor: Actor) -> None:
    """Forget that the client pays from this account; forgetting it twice changes nothing."""
    with transaction.atomic():
        deleted, _ = PayerAccount.objects.filter(pk=row.pk).delete()
        if deleted:
            facts = {"client_id": row.client_id, "number": row.number, "provenance": row.provenance}
            record(row.organization, actor, [Change("work_payeraccount", row.pk, facts, None)])


def other_clients_paying_from(client: Client, number: str) -> list[Client]:
    """Clients other than this one that are known to pay from the account."""
    return list(
        Client.objects.filter(
            organization=client.organization, payer_accounts__key=account_key(number)
        ).exclude(pk=client.pk)
    )


def _changes(client: Client, before: dict[str, str] | None) -> list[Change]:
    if before is None:
        return [created(client, *FACTS)]
    after = {name: getattr(client, name) for name in FACTS}
    differing = [name for name in FACTS if before[name] != after[name]]
    if not differing:
        return []
    return [
        changed(client, {name: before[name] for name in differing}, {name: after[name] for name in differing})
    ]
