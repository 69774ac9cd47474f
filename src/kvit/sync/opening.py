"""The one place where a plugin comes to life: with HTTP client, settings and the access granted to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.db import connection as database

from kvit.kernel.errors import AuthExpired, KvitError, PluginCrashed
from kvit.plugin import Consent, Grants, Plugin
from kvit.sync.configuring import Values, make_config
from kvit.sync.egress import Egress
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.grants import LARGEST_ANSWER_BYTES, LONGEST_ANSWER_SECONDS, KeptGrants, NoGrants
from kvit.sync.http import HttpClient, Turnstile
from kvit.sync.models import PluginConfiguration
from kvit.sync.redaction import Redactor

RENEWAL_PATIENCE: Final = timedelta(seconds=20)
"""How long a renewal waits for a gate."""


@contextmanager
def opened(
    plugin: type[Plugin[Any]],
    values: Values,
    *,
    connection: PluginConfiguration | None = None,
    grants: Grants | None = None,
    is_draft: bool = False,
    renews: bool = True,
    ends_access: bool = False,
    redactor: Redactor | None = None,
    before_request: Callable[[], None] = lambda: None,
    **options: Any,
) -> Iterator[Plugin[Any]]:
    """Give an instance of the plugin; one with Consent has the grant of the connection, or the one given.

    With `is_draft` the values are not the stored ones: a refusal does not end the stored grant. Without
    `renews` the grant is given as it is stored, which is what a replay needs. With `ends_access`, AuthExpired
    that leaves the block ends the stored grant: the source no longer accepts it. The secrets of a grant are
    added to the redactor as soon as they are known. The other options are those of `client_for`.

    Raises Misconfigured where a setting is missing.
    """
    redactor = redactor or Redactor(values.credentials.values())
    with client_for(plugin, values, redactor=redactor, before_request=before_request, **options) as http:
        instance = plugin(make_config(plugin, values), http)
        if isinstance(instance, Consent):
            instance.grants = grants or _grants(
                plugin, values, connection, redactor, before_request, may_end=not is_draft, renews=renews
            )
        try:
            yield instance
        except AuthExpired:
            if ends_access and isinstance(instance, Consent) and isinstance(instance.grants, KeptGrants):
                instance.grants.end()
            raise


@contextmanager
def opened_aside(
    plugin: type[Plugin[Any]],
    values: Values,
    redactor: Redactor,
    before_request: Callable[[], None] = lambda: None,
) -> Iterator[Consent]:
    """Give an instance that trades in grants: whatever it is answered is recorded nowhere, and soon.

    A mistake of its own is raised as PluginCrashed without its words, which may hold what it was answered.
    """
    with (
        crashes_named(),
        opened(
            plugin,
            values,
            grants=NoGrants(),
            redactor=redactor,
            before_request=before_request,
            turnstile=DatabaseTurnstile(patience=RENEWAL_PATIENCE, while_waiting=before_request),
            whole_answer_seconds=LONGEST_ANSWER_SECONDS,
            largest_answer_bytes=LARGEST_ANSWER_BYTES,
        ) as instance,
    ):
        if not isinstance(instance, Consent):
            raise TypeError(f"{plugin.__name__} is no plugin with Consent.")
        yield instance


@contextmanager
def client_for(
    plugin: type[Plugin[Any]],
    values: Values,
    *,
    before_request: Callable[[], None] = lambda: None,
    redactor: Redactor | None = None,
    turnstile: Turnstile | None = None,
    **options: Any,
) -> Iterator[HttpClient]:
    """Give the HTTP client for one connection: it masks its secrets and asks only the hosts it may.

    `before_request` runs before each try and while an answer is read; a database transaction is refused there
    in any case. The other options are those of HttpClient.
    """

    def go_on() -> None:
        refuse_in_transaction()
        before_request()

    http = HttpClient(
        redactor=redactor or Redactor(values.credentials.values()),
        egress=Egress.of(plugin, values),
        max_requests=plugin.max_requests,
        turnstile=turnstile,
        before_request=go_on,
        **options,
    )
    try:
        yield http
    finally:
        http.close()


def refuse_in_transaction() -> None:
    """Raise RuntimeError inside a database transaction: the network never holds its locks."""
    if database.in_atomic_block:
        raise RuntimeError("The network is never used inside a database transaction.")


@contextmanager
def crashes_named() -> Iterator[None]:
    """Turn a plugin's own mistake into PluginCrashed, without its message, which may hold a secret.

    A database that is away is no mistake of the plugin, and goes through.
    """
    try:
        yield
    except (KvitError, OperationalError, InterfaceError):
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does wrong
        raise PluginCrashed(kind=type(error).__name__) from None


def _grants(
    plugin: type[Plugin[Any]],
    values: Values,
    connection: PluginConfiguration | None,
    redactor: Redactor,
    while_waiting: Callable[[], None],
    *,
    may_end: bool,
    renews: bool,
) -> Grants:
    if connection is None:
        return NoGrants()

    def aside(go_on: Callable[[], None]) -> AbstractContextManager[Consent]:
        return opened_aside(plugin, values, redactor, go_on)

    return KeptGrants(
        connection,
        redactor,
        aside=aside if renews else None,
        while_waiting=while_waiting,
        may_end=may_end,
    )
