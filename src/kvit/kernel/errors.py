"""Every error that Kvit raises on purpose, as one tree; a class says what a person can do about it.

    KvitError
    ├── PluginError                 a connection could not be read
    │   ├── AuthExpired             enter the credentials again
    │   ├── RateLimited             wait until `retry_at`
    │   ├── Temporary               nothing; the next attempt may succeed
    │   ├── Misconfigured           correct the setting named by `field`
    │   │   └── FileIncomplete      say of the file what `needs` names
    │   ├── RequestBudgetSpent      send the plugin's author the run's log
    │   ├── NotRecorded             sync again instead of replaying
    │   ├── PluginCrashed           send the plugin's author the run's log
    │   └── RunPoisoned             send the plugin's author the run's log; sync again to try once more
    ├── Cancelled                   nothing; sync again when it is wanted
    ├── PluginUnavailable           install, repair or update the plugin
    ├── RecordError                 one record cannot be read; the others go on
    ├── StatementError
    │   ├── UnknownFormat           export the statement in a format Kvit reads
    │   └── StatementUnreadable     look at `source`, `line` and `field`; send us the file
    ├── MoneyError
    │   ├── AmountUnreadable        correct the amount
    │   └── CurrencyMismatch        keep currencies apart
    ├── SealError
    │   ├── KeyMissing              restore the key named by `key_id`
    │   └── SealBroken              enter the secret again
    ├── SettingsError               set the environment variable it names
    └── Refused                     the rules do not allow this now; the message says why
        ├── Stale                   reload: somebody else was faster
        ├── WebhookRefused          nothing: the message was not the source's, or it came before
        └── LeaseLost               nothing: another worker has taken the run over

The docstring of a class is its default message for people; callers give a better one where they know more.
A message is an English template with `{named}` parts, so that a page can show it in the reader's language:
`raise Temporary("The bank answered {status}.", status=502)`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class KvitError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "", /, **params: object) -> None:
        """Take an English template and the values of its named parts, neither ever holding a secret."""
        self.message = message or (type(self).__doc__ or "").strip()
        self.params = params
        super().__init__(self.message)

    def __str__(self) -> str:
        """Fill the template in; a text that is no template, as a plugin may give one, stays as it is."""
        try:
            return self.message.format(**self.params)
        except (LookupError, ValueError):
            return self.message


class PluginError(KvitError):
    """The connection could not be read."""


class AuthExpired(PluginError):
    """The credentials were refused. Enter them again."""


class RateLimited(PluginError):
    """The source asks us to wait."""

    def __init__(self, retry_after: timedelta | datetime, message: str = "", /, **params: object) -> None:
        """Take the moment of the next try: an aware datetime, or a delay counted from now."""
        super().__init__(message, **params)
        self.retry_after = retry_after

    def retry_at(self, now: datetime) -> datetime:
        """Return the moment (aware, UTC) before which nothing should be tried."""
        if isinstance(self.retry_after, datetime):
            return self.retry_after.astimezone(UTC)
        return now + self.retry_after


class Temporary(PluginError):
    """The source did not answer properly. It will be tried again."""


class Misconfigured(PluginError):
    """A setting of the connection is wrong."""

    def __init__(self, message: str = "", /, *, field: str | None = None, **params: object) -> None:
        super().__init__(message, **params)
        self.field = field


class FileIncomplete(Misconfigured):
    """{file} does not say whose account it is or in which currency. Say it when you import the file."""

    def __init__(self, message: str = "", /, *, needs: frozenset[str], **params: object) -> None:
        """Take the names of what is missing: `account`, `currency`."""
        super().__init__(message, field=min(needs), **params)
        self.needs = needs


class RequestBudgetSpent(PluginError):
    """The plugin asked the source more than {limit} times in one sync. Its author can say why."""


class NotRecorded(PluginError):
    """This run holds no answer to what the plugin asks now, so it cannot be replayed. Sync again instead."""


class PluginCrashed(PluginError):
    """The plugin made a mistake ({kind}). What it says is in the run's log; nothing was half stored."""


class RunPoisoned(PluginError):
    """{count} workers in a row died over this sync without getting further, so it is not tried again."""


class Cancelled(KvitError):
    """Cancelled by {who}. What was read until then is kept."""


class PluginUnavailable(KvitError):
    """The plugin of this connection cannot be loaded. Install it again or update it."""


class RecordError(KvitError):
    """A record cannot be read."""

    def __init__(self, message: str = "", /, *, field: str | None = None, **params: object) -> None:
        super().__init__(message, **params)
        self.field = field


class StatementError(KvitError):
    """The statement cannot be read."""


class UnknownFormat(StatementError):
    """This is not a statement that Kvit can read. Export it as camt.053, GPC (ABO), MT940, OFX or CSV."""


class StatementUnreadable(StatementError):
    """The statement is damaged. Export it from the bank again."""

    def __init__(
        self,
        message: str = "",
        /,
        *,
        source: str = "",
        line: int | None = None,
        field: str | None = None,
        **params: object,
    ) -> None:
        super().__init__(message, **params)
        self.source = source
        self.line = line
        self.field = field


class MoneyError(KvitError):
    """The amount of money cannot be used."""


class AmountUnreadable(MoneyError):
    """The amount cannot be read."""


class CurrencyMismatch(MoneyError):
    """Amounts in two currencies cannot be added or compared."""


class SealError(KvitError):
    """A stored secret cannot be opened."""


class KeyMissing(SealError):
    """The key {key_id} that sealed this secret is missing. Restore the master key it was sealed with."""

    def __init__(self, message: str = "", /, *, key_id: str = "", **params: object) -> None:
        super().__init__(message, key_id=key_id, **params)
        self.key_id = key_id


class SealBroken(SealError):
    """The stored secret does not belong to this row or was damaged. Enter it again."""


class SettingsError(KvitError):
    """A setting in the environment is missing or wrong."""


class Refused(KvitError):
    """This is not possible now."""


class Stale(Refused):
    """Somebody else changed this a moment ago. Reload the page and try again."""


class WebhookRefused(Refused):
    """The message does not carry the source's signature, or it is old or was sent before."""


class LeaseLost(Refused):
    """Another worker has taken this run over."""
