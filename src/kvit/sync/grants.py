"""Access that was granted, as it is kept: sealed, renewed by one worker at a time, saved before it is used.

A refresh token that is used twice looks stolen, and the source then ends all access (RFC 9700, 4.14.2). So
one process at a time exchanges a grant, under a lease in its row; the others wait and take what it brought.
The exchange happens outside any transaction, and what came of it is committed before anybody uses it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db import connection as database
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from kvit.audit.recording import SYSTEM, changed, record
from kvit.kernel.errors import AuthExpired, SealError, Temporary
from kvit.kernel.sealing import Place
from kvit.plugin import Consent, Grant, Secret
from kvit.sync.consent_models import AccessGrant
from kvit.sync.models import PluginConfiguration
from kvit.sync.redaction import Redactor
from kvit.users.keys import key_ring

LEASE: Final = timedelta(minutes=7)
"""For how long one process may exchange a grant; if it dies meanwhile, the next one waits as long."""
MAY_ASK_SECONDS: Final = 200.0
"""How long it may begin to ask; what it asked last is answered, or given up, within the lease.

One request, as OAuth needs it, takes less in any case: 20 seconds for a gate, 10 to connect, 120 for the
head of the answer and 30 for its body.
"""
LONGEST_ANSWER_SECONDS: Final = 30.0
LARGEST_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""A token is small; what a source tells before a consent, such as its list of banks, may be larger."""
WAIT_SECONDS: Final = 30.0
"""How long others wait for it before they try again later."""
LOOK_SECONDS: Final = 0.2

SAVE_PAUSES: Final = (0.2, 1.0, 3.0, 9.0)
"""Between the tries to save a new grant where the database is away: nobody gives it a second time."""

ENDED: Final = gettext_noop("The access that was granted has ended. Grant it again.")

log = structlog.get_logger(__name__)

type GoOn = Callable[[], None]
type Aside = Callable[[GoOn], AbstractContextManager[Consent]]
"""Gives the plugin for an exchange; what it is given is called before each request and while reading."""


class KeptGrants:
    """The grant of one connection; it satisfies `kvit.plugin.Grants`."""

    def __init__(
        self,
        connection: PluginConfiguration,
        redactor: Redactor,
        *,
        aside: Aside | None,
        while_waiting: GoOn = lambda: None,
        may_end: bool = True,
    ) -> None:
        """Take who exchanges; without, the grant stays as it is, and a replay goes on after it has ended.

        `while_waiting` is called five times a second while another process exchanges the grant. Without
        `may_end`, a grant that is refused stays stored: it was refused under settings that are being tried.
        """
        self._connection = connection
        self._redactor = redactor
        self._aside = aside
        self._while_waiting = while_waiting
        self._may_end = may_end
        self._given: AccessGrant | None = None
        """The row whose grant was given last."""

    def current(self) -> Grant:
        """Return the grant, renewed where its time has come.

        Raises AuthExpired where there is none or it ended, Temporary where another process takes long to
        renew it, SealError where it cannot be opened, and what the plugin raises.
        """
        if self._aside is None:
            return self._as_it_was()
        row = self._row()
        grant = self._opened(row)
        if grant.ends_on is not None and grant.ends_on < _today(self._connection):
            self._end(row)
            raise AuthExpired(ENDED)
        if grant.renew_at is not None and grant.renew_at <= timezone.now():
            return self._exchanged(row)
        return grant

    def renewed(self, refused: Grant) -> Grant:
        """Return another grant than the refused one; it is exchanged only where nobody has done so already.

        Raises what `current` does.
        """
        if self._aside is None:
            return self._as_it_was()
        row = self._row()
        grant = self._opened(row)
        if dict(grant.secrets) != dict(refused.secrets):
            return grant
        return self._exchanged(row)

    def end(self) -> None:
        """Forget the grant that was given last: the source has refused what it opens.

        One that replaced it meanwhile stays.
        """
        if self._given is not None and self._given.sealed and self._aside is not None and self._may_end:
            self._end(self._given)

    def _exchanged(self, seen: AccessGrant) -> Grant:
        """Exchange the grant, or wait for the one whom another process brings."""
        holder, give_up_at = uuid.uuid4(), time.monotonic() + WAIT_SECONDS
        while not _leased(seen, holder):
            if time.monotonic() > give_up_at:
                raise Temporary("Access is being renewed by another process. It will be tried again.")
            time.sleep(LOOK_SECONDS)
            self._while_waiting()
            row = self._row()
            if row.revision != seen.revision:
                return self._opened(row)
        return self._exchange(seen, holder)

    def _exchange(self, row: AccessGrant, holder: uuid.UUID) -> Grant:
        """Ask the source, and keep what it gave.

        Neither a person who cancels the run nor a worker that stops ends this: the answer may be on its way,
        and what we hold is worth nothing any more then.
        """
        assert self._aside is not None
        stop_at = time.monotonic() + MAY_ASK_SECONDS

        def go_on() -> None:
            if time.monotonic() > stop_at:
                raise Temporary("The source took too long to renew access.")

        try:
            with self._aside(go_on) as plugin:
                grant = sound(plugin.refreshed(self._opened(row)))
        except AuthExpired:
            if self._may_end and not self._end(row):
                return self._opened(self._row())
            _let_go(row, holder)
            raise
        except BaseException:
            _let_go(row, holder)
            raise
        return self._saved(row, grant)

    def _saved(self, row: AccessGrant, grant: Grant) -> Grant:
        """Commit the new grant and return it; where a person granted another one meanwhile, return that."""
        self._redactor.add(grant.secrets.values())
        for pause_seconds in SAVE_PAUSES:
            try:
                self._save(row, grant)
                break
            except (OperationalError, InterfaceError) as error:
                log.warning("grant.not_saved_yet", connection=self._connection.pk, kind=type(error).__name__)
                database.close()
                time.sleep(pause_seconds)
        else:
            self._save(row, grant)
        return self._opened(self._row())

    def _save(self, row: AccessGrant, grant: Grant) -> None:
        with transaction.atomic():
            if _replaced(row, sealed_grant(self._connection, row, grant)):
                _note_end(self._connection, grant.ends_on)

    def _end(self, row: AccessGrant) -> bool:
        """Forget a grant that the source no longer accepts, and pause the schedule until a person acts.

        False where it was replaced meanwhile.
        """
        with transaction.atomic():
            if not _replaced(row, b""):
                return False
            _pause(self._connection)
        return True

    def _row(self) -> AccessGrant:
        row = AccessGrant.objects.filter(connection=self._connection).first()
        if row is None:
            raise AuthExpired(ENDED)
        return row

    def _opened(self, row: AccessGrant) -> Grant:
        grant = open_grant(self._connection, row)
        self._redactor.add(grant.secrets.values())
        self._given = row
        return grant

    def _as_it_was(self) -> Grant:
        """The stored grant as it is; where there is none, one that only looks like it, for a replay."""
        try:
            return self._opened(self._row())
        except (AuthExpired, SealError):
            self._redactor.add([REPLAYED])
            return Grant(secrets=_Whatever())


class FreshGrants:
    """A grant that was given a moment ago and is kept once it is known whose account it opens."""

    def __init__(self, grant: Grant, redactor: Redactor, aside: Aside) -> None:
        self.latest = grant
        self._redactor = redactor
        self._aside = aside

    def current(self) -> Grant:
        if self.latest.renew_at is not None and self.latest.renew_at <= timezone.now():
            return self.renewed(self.latest)
        return self.latest

    def renewed(self, refused: Grant) -> Grant:
        if dict(self.latest.secrets) == dict(refused.secrets):
            with self._aside(lambda: None) as plugin:
                self.latest = sound(plugin.refreshed(self.latest))
            self._redactor.add(self.latest.secrets.values())
        return self.latest


class NoGrants:
    """Where access was not granted yet."""

    def current(self) -> Grant:
        raise AuthExpired("Access to this source is granted at its own pages. Connect it on the web pages.")

    def renewed(self, refused: Grant) -> Grant:
        return self.current()


def keep(connection: PluginConfiguration, grant: Grant) -> None:
    """Store what a person has just granted in place of what was there; called in the caller's transaction."""
    now = timezone.now()
    row = AccessGrant.objects.select_for_update().filter(connection=connection).first()
    is_new = row is None
    row = row or AccessGrant(connection=connection, revision=0)
    row.sealed = sealed_grant(connection, row, grant)
    row.revision += 1
    row.renewed_by = row.renewed_until = None
    row.granted_at = row.kept_at = now
    row.save(force_insert=is_new)


def sound(grant: object) -> Grant:
    """Return what a plugin gave as a grant.

    Raises TypeError or UnicodeEncodeError where it is none that could be kept and used.
    """
    if not isinstance(grant, Grant) or not isinstance(grant.secrets, Mapping):
        raise TypeError("no Grant")
    if not all(isinstance(name, str) and isinstance(value, Secret) for name, value in grant.secrets.items()):
        raise TypeError("secrets of a Grant")
    for value in grant.secrets.values():
        value.reveal().encode()
    if grant.renew_at is not None and grant.renew_at.utcoffset() is None:
        raise TypeError("renew_at of a Grant is not aware")
    if grant.ends_on is not None and type(grant.ends_on) is not date:
        raise TypeError("ends_on of a Grant is not a date")
    return grant


def end_of(connection: PluginConfiguration) -> date | None:
    """Return the last day on which the stored grant works, where there is one and the source told it."""
    row = AccessGrant.objects.filter(connection__uid=connection.uid).first()
    if row is None:
        return None
    try:
        return open_grant(connection, row).ends_on
    except (AuthExpired, SealError):
        return None


def sealed_grant(connection: PluginConfiguration, row: AccessGrant, grant: Grant) -> bytes:
    """Seal a grant as one envelope bound to its row."""
    plain = _Plain(
        {name: secret.reveal() for name, secret in grant.secrets.items()}, grant.renew_at, grant.ends_on
    )
    return key_ring(connection.organization).seal(msgspec.json.encode(plain), _place(connection, row))


def open_grant(connection: PluginConfiguration, row: AccessGrant) -> Grant:
    """Open a stored grant. Raises AuthExpired where it has ended, KeyMissing or SealBroken."""
    if not row.sealed:
        raise AuthExpired(ENDED)
    opened = key_ring(connection.organization).open(bytes(row.sealed), _place(connection, row))
    plain = msgspec.json.decode(opened, type=_Plain)
    secrets = {name: Secret(value) for name, value in plain.secrets.items()}
    return Grant(secrets=secrets, renew_at=plain.renew_at, ends_on=plain.ends_on)


class _Plain(msgspec.Struct, frozen=True, array_like=True):
    """A grant as it is written before it is sealed."""

    secrets: dict[str, str]
    renew_at: datetime | None
    ends_on: date | None


REPLAYED: Final = Secret("granted-when-the-run-was-recorded")


class _Whatever(Mapping[str, Secret]):
    """Secrets of any name: a replay sends nothing, and its recorded answers are known by masked addresses."""

    def __getitem__(self, name: str) -> Secret:
        return REPLAYED

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _leased(row: AccessGrant, holder: uuid.UUID) -> bool:
    """Take the exchange of this revision, or return False where it is taken or done."""
    now = timezone.now()
    free = Q(renewed_by__isnull=True) | Q(renewed_until__lt=now)
    unchanged = AccessGrant.objects.filter(free, pk=row.pk, revision=row.revision)
    return unchanged.update(renewed_by=holder, renewed_until=now + LEASE) == 1


def _let_go(row: AccessGrant, holder: uuid.UUID) -> None:
    AccessGrant.objects.filter(pk=row.pk, renewed_by=holder).update(renewed_by=None, renewed_until=None)


def _replaced(row: AccessGrant, envelope: bytes) -> bool:
    """Store the next revision, unless another one was stored meanwhile.

    The lease does not count here: whoever brings what the source gave last, brings the one that works.
    """
    unchanged = AccessGrant.objects.filter(pk=row.pk, revision=row.revision)
    return (
        unchanged.update(
            sealed=envelope,
            revision=F("revision") + 1,
            renewed_by=None,
            renewed_until=None,
            kept_at=timezone.now(),
        )
        == 1
    )


def _note_end(connection: PluginConfiguration, ends_on: date | None) -> None:
    """Let people know the last day on which access works, where the source told another one."""
    if ends_on is None:
        return
    row = PluginConfiguration.objects.select_for_update().get(pk=connection.pk)
    before = row.credentials_expire_on
    if before != ends_on:
        PluginConfiguration.objects.filter(pk=row.pk).update(credentials_expire_on=ends_on)
        days = {"credentials_expire_on": before}, {"credentials_expire_on": ends_on}
        record(connection.organization, SYSTEM, [changed(row, *days, reason="access renewed")])


def _pause(connection: PluginConfiguration) -> None:
    row = PluginConfiguration.objects.select_for_update().get(pk=connection.pk)
    before, after = row.state, PluginConfiguration.State.NEEDS_ATTENTION.value
    PluginConfiguration.objects.filter(pk=row.pk).update(state=after, next_run_at=None)
    states = {"state": before}, {"state": after}
    record(connection.organization, SYSTEM, [changed(row, *states, reason="granted access has ended")])


def _today(connection: PluginConfiguration) -> date:
    return timezone.localdate(timezone=ZoneInfo(connection.organization.time_zone))


def _place(connection: PluginConfiguration, row: AccessGrant) -> Place:
    return Place("sync_accessgrant", "sealed", connection.organization.uid, str(row.uid))
