"""The flow, stage after stage: bank -> plugin -> sync -> ledger -> matching -> invoices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from kvit.audit.recording import Actor
from kvit.invoices.models import Invoice
from kvit.matching import payouts, switches
from kvit.matching.models import MatchingRun, MatchingSettings
from kvit.matching.reconcile import reconcile
from kvit.payments.recognising import recognise
from kvit.sync import engine
from kvit.sync.queue import Claim
from kvit.work import clients
from kvit.work.models import Client, PayerAccount


def carry_out(
    held: Claim,
    *,
    patience: timedelta = engine.WORKER_PATIENCE,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Carry a claimed run through: its plugin reads, the ledger posts, matching decides, invoices settle."""
    engine.execute(
        held,
        patience=patience,
        should_stop=should_stop,
        before_ending=lambda: _match(held),
    )


def issue(invoice: Invoice, on: date, *, actor: Actor) -> None:
    """Issue a draft, then look whether its money has come already. Raises Stale or Refused."""
    invoice.issue(on, actor=actor)
    reconcile(invoice.organization, trigger=MatchingRun.Trigger.ISSUE)


def know_payer(client: Client, number: str, *, actor: Actor) -> PayerAccount:
    """Remember that the client pays from this account, then look what came from it. Raises Refused."""
    row = clients.add_payer_account(client, number, actor=actor)
    reconcile(client.organization, trigger=MatchingRun.Trigger.LEARNED)
    return row


def switch_matching(settings: MatchingSettings, *, actor: Actor) -> None:
    """Save what matching may do by itself, then settle what waited only for that."""
    switches.save_settings(settings, actor=actor)
    reconcile(settings.organization)


def _match(held: Claim) -> None:
    """Take up the payouts that the run brought, match its movements, and know executed orders among them."""
    actor = Actor(name="system", run_id=held.run.pk)
    payouts.take_up(held.run.organization, actor=actor)
    reconcile(held.run.organization, actor=actor, trigger=MatchingRun.Trigger.SYNC, between=held.keep)
    recognise(held.run.organization, actor=actor)
