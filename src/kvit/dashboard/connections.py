"""What the pages of connections show: how each one stands and what its last runs did; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import batched
from typing import Final

from django.db.models import OuterRef, Q, Subquery

from kvit.kernel.money import Money
from kvit.ledger.models import BankAccount
from kvit.sync import schedule
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.sync.registry import Listing, catalogue
from kvit.sync.switch_models import PluginSwitch
from kvit.users.models import Organization

RECENT_RUNS: Final = 20
CONNECTIONS_IN_A_QUERY: Final = 100
SOON_DAYS: Final = 14
"""So long before its end a credential is announced to die."""
ABOUT_CREDENTIALS: Final = frozenset({"AuthExpired", "SealBroken", "KeyMissing"})
"""The errors after which entering the credentials again helps."""


class Standing(StrEnum):
    """How a connection stands, the most telling word first."""

    MISSING = "missing"
    BROKEN = "broken"
    SWITCHED_OFF = "switched_off"
    PAUSED = "paused"
    NEEDS_ATTENTION = "needs_attention"
    FAILING = "failing"
    WAITING = "waiting"
    SYNCING = "syncing"
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """The last day on which credentials work; `days` counts from today and is negative afterwards."""

    on: date
    days: int

    @property
    def is_past(self) -> bool:
        return self.days < 0

    @property
    def is_soon(self) -> bool:
        return 0 <= self.days <= SOON_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One connection at a glance."""

    connection: PluginConfiguration
    listing: Listing | None
    """None where the plugin is not installed."""
    standing: Standing
    at: datetime | None
    """Since when it fails, or until when it waits for the source."""
    expiry: Expiry | None
    recent_runs: tuple[SyncHistory, ...]
    """The newest first, at most RECENT_RUNS."""

    @property
    def latest_run(self) -> SyncHistory | None:
        return self.recent_runs[0] if self.recent_runs else None

    @property
    def active_run(self) -> SyncHistory | None:
        return next((run for run in self.recent_runs if run.is_active), None)

    @property
    def latest_ended_run(self) -> SyncHistory | None:
        return next((run for run in self.recent_runs if not run.is_active), None)

    @property
    def latest_failure(self) -> SyncHistory | None:
        """The failed run that nothing successful has followed."""
        ended = self.latest_ended_run
        return ended if ended is not None and ended.status == SyncHistory.Status.FAILED else None

    @property
    def takes_files(self) -> bool:
        return self.listing is not None and self.listing.accepts_files

    @property
    def can_sync(self) -> bool:
        is_usable = self.listing is not None and self.listing.plugin is not None
        return is_usable and not self.takes_files and self.standing != Standing.SWITCHED_OFF

    @property
    def needs_credentials(self) -> bool:
        """Whether entering the credentials again is what helps."""
        failure = self.latest_failure
        return (
            self.standing == Standing.NEEDS_ATTENTION
            and failure is not None
            and failure.error_kind in ABOUT_CREDENTIALS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An own account that a connection reads, and what the source last said stands on it."""

    account: BankAccount
    amount: Money | None
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the page of one connection shows."""

    card: Card
    balances: tuple[Balance, ...]
    schedule: str
    """The cron expression in force; empty where files are handed over instead."""
    upcoming: tuple[datetime, ...]
    """The next runs; none while it is paused or waits for a person."""
    warnings: tuple[str, ...]
    """What the last run that ended pointed out."""


_STILL: Final = (Standing.SWITCHED_OFF, Standing.PAUSED, Standing.NEEDS_ATTENTION)
"""In these, nothing syncs by itself."""


def cards(rows: Sequence[PluginConfiguration], now: datetime, today: date) -> tuple[Card, ...]:
    """Return the cards in the order of the rows, in three queries for a hundred connections.

    `today` is the date in the organization's time zone.
    """
    listings = {listing.name: listing for listing in catalogue()}
    runs = _recent_runs(rows)
    off = set(_switches_of(rows))
    made = (_card(row, listings.get(row.plugin), runs.get(row.pk, ()), now, today) for row in rows)
    return tuple(_switched_off(card) if _switch(card.connection) in off else card for card in made)


def to_resolve(organization: Organization, now: datetime, today: date) -> tuple[Card, ...]:
    """Return the connections that wait for a person: they need attention, or their credentials end soon."""
    waiting = Q(state=PluginConfiguration.State.NEEDS_ATTENTION)
    ending = Q(enabled=True, credentials_expire_on__lte=today + timedelta(SOON_DAYS))
    return cards(list(organization.connections.filter(waiting | ending)), now, today)


def overview(row: PluginConfiguration, now: datetime, today: date) -> Overview:
    """Return what the page of this connection shows."""
    (card,) = cards([row], now, today)
    return Overview(
        card=card,
        balances=_balances(row),
        schedule="" if card.takes_files else schedule.expression_of(row),
        upcoming=_upcoming(card, now),
        warnings=_warnings(card.latest_ended_run),
    )


def expiry(row: PluginConfiguration, today: date) -> Expiry | None:
    """Return when the credentials end, where the plugin could tell."""
    if row.credentials_expire_on is None:
        return None
    return Expiry(on=row.credentials_expire_on, days=(row.credentials_expire_on - today).days)


def _card(
    row: PluginConfiguration,
    listing: Listing | None,
    runs: tuple[SyncHistory, ...],
    now: datetime,
    today: date,
) -> Card:
    standing, at = _standing(row, listing, runs, now)
    return Card(
        connection=row,
        listing=listing,
        standing=standing,
        at=at,
        expiry=expiry(row, today),
        recent_runs=runs,
    )


def _switches_of(rows: Iterable[PluginConfiguration]) -> Iterator[tuple[int, str]]:
    organizations = {row.organization_id for row in rows}
    switches = PluginSwitch.objects.filter(organization__in=organizations)
    yield from switches.values_list("organization_id", "plugin")


def _switch(row: PluginConfiguration) -> tuple[int, str]:
    return row.organization_id, row.plugin


def _switched_off(card: Card) -> Card:
    """A plugin that is switched off says more than anything but that it cannot be used at all."""
    if card.standing in (Standing.MISSING, Standing.BROKEN):
        return card
    return replace(card, standing=Standing.SWITCHED_OFF, at=None)


def _standing(
    row: PluginConfiguration, listing: Listing | None, runs: Iterable[SyncHistory], now: datetime
) -> tuple[Standing, datetime | None]:
    active = next((run for run in runs if run.is_active), None)
    if listing is None:
        return Standing.MISSING, None
    if listing.plugin is None:
        return Standing.BROKEN, None
    if not row.enabled:
        return Standing.PAUSED, None
    if row.state == PluginConfiguration.State.NEEDS_ATTENTION:
        return Standing.NEEDS_ATTENTION, row.failing_since
    if row.failing_since is not None:
        return Standing.FAILING, row.failing_since
    if active is not None and active.not_before is not None and active.not_before > now:
        return Standing.WAITING, active.not_before
    return (Standing.OK, None) if active is None else (Standing.SYNCING, None)


def _recent_runs(rows: Sequence[PluginConfiguration]) -> dict[int, tuple[SyncHistory, ...]]:
    """The newest runs of each connection; only the log of a connection looked at alone is read."""
    found: dict[int, list[SyncHistory]] = {}
    for some in batched(rows, CONNECTIONS_IN_A_QUERY):
        runs = SyncHistory.objects.filter(_since_the_oldest_shown(some)).defer("cursor_before")
        if len(rows) > 1:
            runs = runs.defer("log")
        for run in runs.order_by("-id"):
            found.setdefault(run.connection_id, []).append(run)
    return {pk: tuple(listed[:RECENT_RUNS]) for pk, listed in found.items()}


def _since_the_oldest_shown(rows: Sequence[PluginConfiguration]) -> Q:
    """The condition that picks the newest runs by their ids: a window over a long history would be slow."""
    newest = SyncHistory.objects.filter(connection=OuterRef("pk")).order_by("-id").values("id")
    oldest = Subquery(newest[RECENT_RUNS - 1 : RECENT_RUNS])
    firsts = PluginConfiguration.objects.filter(pk__in=[row.pk for row in rows]).annotate(first=oldest)
    wanted = Q(pk__in=())
    for connection_id, first in firsts.values_list("pk", "first"):
        wanted |= Q(connection=connection_id, pk__gte=first or 0)
    return wanted


def _balances(row: PluginConfiguration) -> tuple[Balance, ...]:
    sources = SourceAccount.objects.filter(connection=row).select_related("account").order_by("id")
    return tuple(
        Balance(
            account=source.account,
            amount=None
            if source.balance_minor is None
            else Money(source.balance_minor, source.account.currency),
            seen_at=source.seen_at,
        )
        for source in sources
    )


def _upcoming(card: Card, now: datetime) -> tuple[datetime, ...]:
    if not card.can_sync or card.standing in _STILL:
        return ()
    return tuple(schedule.upcoming(card.connection, now))


def _warnings(run: SyncHistory | None) -> tuple[str, ...]:
    lines = [] if run is None else run.log
    return tuple(line["text"] for line in lines if line.get("level") == "warning")
