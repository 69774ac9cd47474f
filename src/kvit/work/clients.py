"""Saving clients and the accounts they are known to pay from, each with its audit entry."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from kvit.audit.recording import Actor, Change, audited_values, changed, created, deleted, record
from kvit.kernel.errors import Refused
from kvit.kernel.references import account_key
from kvit.work.models import Client, PayerAccount


def save_client(client: Client, *, actor: Actor) -> None:
    """Save a new or changed client. Raises Refused where another client has the name already."""
    try:
        with transaction.atomic():
            before = Client.objects.select_for_update().filter(pk=client.pk).first()
            client.save()
            record(client.organization, actor, [_change(client, before)])
    except IntegrityError:
        raise Refused("Another client has the name “{name}” already.", name=client.name) from None


def add_payer_account(client: Client, number: str, *, actor: Actor) -> PayerAccount:
    """Remember that the client pays from this account; what was only learned becomes a person's word.

    Raises Refused where a person said so already.
    """
    row = PayerAccount(
        organization=client.organization,
        client=client,
        number=number.strip(),
        provenance=PayerAccount.Provenance.HUMAN,
        match_due=True,
    )
    with transaction.atomic():
        learned = PayerAccount.objects.select_for_update(of=("self",)).filter(
            client=client, key=account_key(row.number), provenance=PayerAccount.Provenance.AUTO
        )
        former = learned.first()
        if former is not None:
            record(client.organization, actor, [deleted(former, reason="said by a person now")])
            former.delete()
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            raise Refused("The account {number} is known already.", number=row.number) from None
        record(client.organization, actor, [created(row)])
    return row


def remove_payer_account(row: PayerAccount, *, actor: Actor) -> None:
    """Forget that the client pays from this account; forgetting it twice changes nothing."""
    with transaction.atomic():
        gone, _ = PayerAccount.objects.filter(pk=row.pk).delete()
        if gone:
            record(row.organization, actor, [deleted(row)])


def other_clients_paying_from(client: Client, number: str) -> list[Client]:
    """Clients other than this one that are known to pay from the account."""
    return list(
        Client.objects.filter(
            organization=client.organization, payer_accounts__key=account_key(number)
        ).exclude(pk=client.pk)
    )


def _change(client: Client, before: Client | None) -> Change:
    if before is None:
        return created(client)
    return changed(client, audited_values(before), audited_values(client))
