"""The way of a person to the source's page and back, for a new connection or one whose access has ended.

What travels is a random state, of which only the digest is stored. It is worth something once, for a quarter
of an hour, to the same person in the same session and organization (RFC 9700, 4.7); the code that comes back
is worth nothing without the verifier, which stays here, sealed (RFC 7636).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import msgspec
import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from kvit.audit.recording import SYSTEM, Actor, changed, record
from kvit.kernel.errors import KvitError, Misconfigured, Refused
from kvit.kernel.sealing import Place
from kvit.plugin import Consent, ConsentAnswer, ConsentRequest, Plugin, Secret
from kvit.plugin.consent import code_challenge
from kvit.sync import connections
from kvit.sync.configuring import Values, read_values
from kvit.sync.consent_models import ConsentAttempt
from kvit.sync.egress import Egress, Origin
from kvit.sync.grants import FreshGrants, GoOn, sound
from kvit.sync.models import PluginConfiguration
from kvit.sync.opening import opened_aside
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.sync.switches import require_switched_on
from kvit.users.keys import key_ring
from kvit.users.models import Organization, User

CONSENT_REFUSED: Final = "consent refused"
"""How the reason begins that the audit keeps of an answer that was refused."""

log = structlog.get_logger(__name__)

ANSWER_WITHIN: Final = timedelta(minutes=15)
"""How long a person may take at the source's page."""
KEPT_FOR: Final = timedelta(days=1)
"""For how long an answer that comes too late is told from one that nobody asked for."""
STATE_BYTES: Final = 32
VERIFIER_BYTES: Final = 64
SHORTEST_CODE: Final = 16
MOST_PARAMS: Final = 20

UNKNOWN: Final = gettext_noop(
    "This answer belongs to no request that Kvit made. Start again from the connection."
)
FOREIGN: Final = gettext_noop(
    "This answer belongs to a request that somebody else began, or you in another browser or before you"
    " signed in again. Nothing was connected. Start again from the connection."
)
TOO_LATE: Final = gettext_noop(
    "This answer came too late: it counts for 15 minutes. Start again from the connection."
)
USED: Final = gettext_noop(
    "This answer was used already. If the connection does not work, start again from it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who is on the way, and in which browser."""

    organization: Organization
    user: User
    session_key: str = field(repr=False)

    @property
    def session_digest(self) -> str:
        return _digest(self.session_key)


def asks_consent(plugin: type[Plugin[Any]] | None) -> bool:
    """Whether access to this plugin's sources is granted at their own pages."""
    return plugin is not None and issubclass(plugin, Consent)


def begin(
    visitor: Visitor,
    plugin_name: str,
    texts: Mapping[str, str],
    *,
    return_url: str,
    connection: PluginConfiguration | None = None,
    draft_uid: UUID | None = None,
) -> str:
    """Return the address of the page where the person grants access; it is to be visited, and kept nowhere.

    For a connection, an empty credential stays as it is. `draft_uid` becomes a new connection's own.

    Raises PluginUnavailable, Refused where the plugin is switched off, Misconfigured naming the field, and
    what asking the source for its page comes to: AuthExpired, RateLimited, Temporary or PluginCrashed.
    """
    plugin = plugin_class(plugin_name)
    require_switched_on(visitor.organization, plugin_name)
    kept = connections.credentials_if_readable(connection) if connection else {}
    values = read_values(plugin, texts, kept=kept)
    state, verifier = secrets.token_urlsafe(STATE_BYTES), secrets.token_urlsafe(VERIFIER_BYTES)
    redactor = Redactor([*values.credentials.values(), Secret(state), Secret(verifier)])
    request = ConsentRequest(
        return_url=return_url,
        state=state,
        code_challenge=code_challenge(verifier),
        today=timezone.localdate(timezone=ZoneInfo(visitor.organization.time_zone)),
    )
    with _masked(redactor), opened_aside(plugin, values, redactor) as instance:
        url = _visitable(instance.consent_url(request), plugin, values)
    now = timezone.now()
    attempt = ConsentAttempt(
        organization=visitor.organization,
        user=visitor.user,
        connection=connection,
        state_digest=_digest(state),
        session_digest=visitor.session_digest,
        plugin=plugin_name,
        settings=dict(values.settings),
        draft_uid=draft_uid,
        return_url=return_url,
        created_at=now,
        expires_at=now + ANSWER_WITHIN,
    )
    attempt.sealed = _sealed(attempt, verifier, values)
    attempt.save(force_insert=True)
    return url


def answered(
    visitor: Visitor, params: Mapping[str, str], *, actor: Actor
) -> tuple[PluginConfiguration, bool]:
    """Take what the person came back with, once; return the connection that it opens and whether it is new.

    A new connection is tested and kept as `connections.add` does, and one whose access has ended as
    `connections.change` does, of the same account only.

    Raises Refused for an answer that is unknown, old, used, or somebody else's; what the exchange for
    a grant comes to, AuthExpired where the person or the source declined; and what `add` or `change` raise.
    Nothing raised names anything of the answer.
    """
    attempt = _attempt_of(params)
    try:
        drafted = _used(attempt, visitor)
    except Refused as error:
        _note_refusal(attempt, error, actor if attempt.organization == visitor.organization else SYSTEM)
        raise
    plugin = plugin_class(attempt.plugin)
    require_switched_on(attempt.organization, attempt.plugin)
    redactor = Redactor([*drafted.values.credentials.values(), drafted.verifier, *_secrets_of(params)])
    with _masked(redactor):
        return _kept(attempt, plugin, drafted, params, redactor, actor), attempt.connection is None


def purge(now: datetime) -> int:
    """Forget attempts that ended a day ago, and what is sealed of all that ended; return how many."""
    old = ConsentAttempt.objects.filter(expires_at__lt=now)
    old.exclude(sealed=b"").update(sealed=b"")
    return old.filter(expires_at__lt=now - KEPT_FOR).delete()[0]


@dataclass(frozen=True, slots=True)
class _Drafted:
    """What waited, sealed, for the answer."""

    verifier: Secret
    values: Values


class _Plain(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed of an attempt."""

    verifier: str
    credentials: dict[str, str]


def _attempt_of(params: Mapping[str, str]) -> ConsentAttempt:
    """The attempt whose state came back: as `state`, or as what else a source calls it."""
    told = [params["state"]] if "state" in params else list(params.values())[:MOST_PARAMS]
    rows = ConsentAttempt.objects.select_related("organization", "connection__organization")
    attempt = rows.filter(state_digest__in=[_digest(value) for value in told]).first()
    if attempt is None:
        log.warning("consent.refused", reason="unknown state")
        raise Refused(UNKNOWN)
    return attempt


def _used(attempt: ConsentAttempt, visitor: Visitor) -> _Drafted:
    """Use up the attempt, before anything is done with the answer. Raises Refused."""
    now = timezone.now()
    is_theirs = (
        attempt.user_id == visitor.user.pk
        and attempt.organization_id == visitor.organization.pk
        and secrets.compare_digest(attempt.session_digest, visitor.session_digest)
    )
    if not is_theirs:
        raise Refused(FOREIGN)
    if attempt.used_at is not None:
        raise Refused(USED)
    if attempt.expires_at <= now:
        raise Refused(TOO_LATE)
    unused = ConsentAttempt.objects.filter(pk=attempt.pk, used_at__isnull=True)
    if not unused.update(used_at=now, sealed=b""):
        raise Refused(USED)
    return _opened(attempt)


def _kept(
    attempt: ConsentAttempt,
    plugin: type[Plugin[Any]],
    drafted: _Drafted,
    params: Mapping[str, str],
    redactor: Redactor,
    actor: Actor,
) -> PluginConfiguration:
    """Exchange the answer for a grant, see whose account it opens, and keep both."""
    values = drafted.values

    def aside(go_on: GoOn) -> AbstractContextManager[Consent]:
        return opened_aside(plugin, values, redactor, go_on)

    with aside(lambda: None) as instance:
        answer = ConsentAnswer(params=params, return_url=attempt.return_url, code_verifier=drafted.verifier)
        grant = sound(instance.granted(answer))
    redactor.add(grant.secrets.values())
    fresh = FreshGrants(grant, redactor, aside)
    identity = connections.check(plugin, values, grants=fresh, redactor=redactor)
    if attempt.connection is None:
        return connections.keep_new(
            attempt.organization,
            plugin,
            None,
            values,
            identity,
            actor=actor,
            uid=attempt.draft_uid,
            grant=fresh.latest,
        )
    return connections.keep_changed(
        attempt.connection,
        plugin,
        attempt.connection.name,
        values,
        identity,
        actor=actor,
        are_entered=True,
        grant=fresh.latest,
    )


def _secrets_of(params: Mapping[str, str]) -> Iterator[Secret]:
    """The code and whatever else of an answer could be one; the other words may stand in an error."""
    for name, value in params.items():
        if name in ("code", "state") or len(value) >= SHORTEST_CODE:
            yield Secret(value)


def _visitable(url: str, plugin: type[Plugin[Any]], values: Values) -> str:
    """The address where it is one that a browser may be sent to. Raises Misconfigured."""
    try:
        origin = Origin.of(httpx.URL(url))
    except (httpx.InvalidURL, ValueError):
        origin = None
    if origin is None or not origin.host or origin.scheme not in ("http", "https"):
        raise Misconfigured("The plugin gave no address of a page where access is granted.")
    if origin.scheme == "http" and origin not in Egress.of(plugin, values).entered:
        raise Misconfigured(
            "Access is granted by https:// only; http:// needs an address that you entered in the settings."
        )
    return url


@contextmanager
def _masked(redactor: Redactor) -> Iterator[None]:
    """Take live secrets out of an error before anybody sees it."""
    try:
        yield
    except KvitError as error:
        error.message = redactor.mask(error.message)
        error.params = {name: redactor.mask(str(value)) for name, value in error.params.items()}
        error.args = (error.message,)
        raise


def _note_refusal(attempt: ConsentAttempt, error: Refused, actor: Actor) -> None:
    """Say in the connection's history that an answer was refused; one for a new connection has none yet."""
    log.warning("consent.refused", attempt=attempt.pk, reason=error.message, actor=actor.name)
    if attempt.connection is None:
        return
    with transaction.atomic():
        change = changed(attempt.connection, {}, {}, reason=f"{CONSENT_REFUSED}: {error.message}")
        record(attempt.organization, actor, [change])


def _sealed(attempt: ConsentAttempt, verifier: str, values: Values) -> bytes:
    plain = _Plain(verifier, {name: secret.reveal() for name, secret in values.credentials.items()})
    return key_ring(attempt.organization).seal(msgspec.json.encode(plain), _place(attempt))


def _opened(attempt: ConsentAttempt) -> _Drafted:
    """Open what was sealed when the person left. Raises KeyMissing or SealBroken."""
    plain = msgspec.json.decode(
        key_ring(attempt.organization).open(bytes(attempt.sealed), _place(attempt)), type=_Plain
    )
    credentials = {name: Secret(value) for name, value in plain.credentials.items()}
    return _Drafted(Secret(plain.verifier), Values(attempt.settings, credentials))


def _place(attempt: ConsentAttempt) -> Place:
    return Place("sync_consentattempt", "sealed", attempt.organization.uid, str(attempt.uid))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
