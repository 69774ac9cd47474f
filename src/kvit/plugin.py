"""The contract of plugins: the only module of Kvit that a plugin imports, besides kernel values.

A plugin is one class with a name, a Config dataclass and two methods. `check` proves that the credentials
work, `sync` yields what the source knows. The engine owns everything else: HTTP policy, identity, database
transactions, audit, history, retries and the cursor. A plugin reads; it never writes.

    @dataclass(frozen=True, kw_only=True)
    class AcmeConfig:
        token: Secret = field("API token", help="Acme → Settings → API")

    class Acme(Plugin[AcmeConfig]):
        name, title, version, Config = "acme", "Acme Bank", "1.0", AcmeConfig

        def check(self) -> Identity:
            me = self.http.get("https://api.acme.example/me", auth=Bearer(self.config.token)).json()
            return Identity(key=me["iban"], label=me["name"])

        def sync(self, ctx: Context) -> Iterator[Item]:
            ...
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, Never, Protocol

import httpx

from kvit.kernel.errors import (
    AuthExpired,
    Misconfigured,
    PluginError,
    RateLimited,
    RecordError,
    Temporary,
)

__all__ = [
    "API_VERSION",
    "Account",
    "AccountStatement",
    "AuthExpired",
    "Bearer",
    "Checkpoint",
    "Context",
    "Gate",
    "Gone",
    "Http",
    "Identity",
    "Item",
    "Misconfigured",
    "Plugin",
    "PluginError",
    "RateLimited",
    "RecordError",
    "Secret",
    "SourceFile",
    "Temporary",
    "Transaction",
    "Unreadable",
    "field",
]

API_VERSION: Final = 1
"""Grows only when something is taken away; additions keep it."""

type Json = bool | int | str | Sequence[Json] | Mapping[str, Json] | None


class Secret:
    """A credential: revealed on request, a mask everywhere else.

    It is not a `str`, so that joining it to text, pickling it or writing it as JSON fails instead of leaking.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the credential itself, at the moment of use and not earlier."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Never:
        raise TypeError("A secret cannot be pickled.")


class Bearer(httpx.Auth):
    """HTTP bearer authentication with a secret token (RFC 6750)."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # httpx asks for a Generator and only iterates
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        yield request


def field(
    label: str,
    *,
    help: str = "",
    default: Any = MISSING,
    choices: Sequence[str] = (),
    pattern: str = "",
    min: int | None = None,
    max: int | None = None,
) -> Any:
    """Describe one field of a Config dataclass; the form of the connection is made from it.

    The annotation decides what it is: `Secret` is a credential, `str`, `int` and `bool` are settings.
    `pattern` is a regular expression that the whole value must match; `min` and `max` are inclusive.
    """
    options = {
        "label": label,
        "help": help,
        "choices": tuple(choices),
        "pattern": pattern,
        "min": min,
        "max": max,
    }
    return dataclasses.field(default=default, metadata=options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who answered a check: `key` names the account for ever, `label` is for people."""

    key: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One own account at the source; yield it before its transactions."""

    external_id: str
    """The source's stable name of the account; ids of transactions are unique within it."""
    name: str
    currency: str
    number: str = ""
    """IBAN where known, else `[prefix-]number/bank code`."""
    balance: Decimal | None = None
    former_id: str = ""
    """The `external_id` that an earlier version of the plugin gave this account, where it was another one:
    movements stored under it keep their ids, so telling them again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatement:
    """A statement that the source drew up for an account; yield it after its movements.

    It is kept, so that people see which statement is missing. A source that yields them tells all it knows
    of a day at once: until the next Checkpoint, each movement of a statement is told again by the same
    external id or is told otherwise than before.
    """

    account_id: str
    """The `external_id` of its Account."""
    format: str = ""
    """The name of the format it came in, such as `camt.053`."""
    number: str = ""
    """The bank's sequence number."""
    from_date: date | None = None
    to_date: date | None = None
    """Both days inclusive."""
    opening_balance: Decimal | None = None
    closing_balance: Decimal | None = None
    entries: int = 0
    """How many movements it holds in the account's currency."""
    file: str = ""
    """The name of its file, within an archive where it lay in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One movement on an own account, as the source tells it; absent text is empty.

    Amounts are exact: Decimal, int or text such as `"-1250.00"`, incoming positive; a float is refused.
    Dates are the source's local calendar dates. A record that does not hold together is quarantined alone.
    """

    external_id: str
    account_id: str
    """The `external_id` of its Account."""
    amount: Decimal | int | str
    currency: str
    booked_on: date | str
    value_on: date | str | None = None
    counterparty_name: str = ""
    counterparty_account: str = ""
    """IBAN, or `[prefix-]number/bank code`."""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    reference: str = ""
    """The payer's own reference (SEPA end-to-end id)."""
    status: Literal["booked", "pending"] = "booked"
    is_bank_id: bool = False
    """Whether the bank itself minted `external_id` and gives it to no other movement of the account: its API
    and its statement files then tell the same movement, which is stored once."""
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The source's own record, kept sealed; JSON values and Decimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The source says that a pending movement no longer exists."""

    external_id: str
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record the plugin cannot make sense of; it is put aside with its reason and the others go on."""

    reason: str
    account_id: str = ""
    external_id: str = ""
    field: str = ""
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything yielded so far is covered by this cursor; the next sync starts from it."""

    cursor: Mapping[str, Json]


type Item = Account | Transaction | AccountStatement | Gone | Unreadable | Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit the source sets: one request for `key` in `seconds`, whoever asks, in any process."""

    key: Secret
    seconds: float


class Http(Protocol):
    """The engine's HTTP client: timeouts, gates, size limits and masked logs are its business.

    Both methods refuse to work inside a database transaction, wait for the gate, and raise Temporary
    where no whole answer came, or Misconfigured where the host is not one of the plugin's `hosts` nor of the
    addresses in its settings. A GET or HEAD that got no whole answer, or 502, 503 or 504, is tried three
    times at most before the plugin hears of it. Redirects are not followed. Answers are kept, sealed, for
    replays.
    """

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        """Return a successful answer.

        Raises AuthExpired on 401 and 403, RateLimited on 429 and on 503 with Retry-After, Temporary on other
        5xx and Misconfigured on the rest.
        """
        ...

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        content: bytes | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        """Return whatever the source answered, for plugins whose source has rules of its own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file a person handed to the connection, and what they said about it that it does not say itself."""

    name: str
    data: bytes
    account: str = ""
    """IBAN, or `[prefix-]number/bank code`."""
    currency: str = ""
    profile: str = ""
    """For a CSV file: the name of a profile that comes with Kvit, or a whole profile as TOML."""


class Context(Protocol):
    """What the engine tells a plugin about this run."""

    @property
    def cursor(self) -> Mapping[str, Json]:
        """The last committed Checkpoint's cursor; empty on the first sync."""
        ...

    @property
    def today(self) -> date:
        """The current date in the organization's time zone."""
        ...

    @property
    def files(self) -> Sequence[SourceFile]:
        """Files handed over with this run, usually none."""
        ...

    def log(self, text: str) -> None:
        """Add a line to the run's log, for people; secrets are masked."""
        ...

    def warn(self, text: str) -> None:
        """Add a warning to the run's log, which the run's and the connection's page point out."""
        ...


class Plugin[C](ABC):
    """One kind of connection. Subclass it, set the class variables, write `check` and `sync`."""

    name: ClassVar[str]
    """Short, lower case, for ever: it is stored with every connection."""
    title: ClassVar[str]
    version: ClassVar[str]
    api: ClassVar[int] = API_VERSION
    schema_version: ClassVar[int] = 1
    Config: ClassVar[type]
    description: ClassVar[str] = ""
    accepts_files: ClassVar[bool] = False
    """Whether people hand files to its connections; such a connection has nothing to fetch by itself."""
    schedule: ClassVar[str] = "0 */4 * * *"
    """When a connection is synced unless its owner says otherwise: cron, in the organization's time zone."""
    hosts: ClassVar[Sequence[str]] = ()
    """The hosts it may send requests to, by HTTPS, besides the addresses that stand in its settings.

    `"api.bank.example"`, `"api.bank.example:8443"`, or `".bank.example"` for every name below it. Plain HTTP
    and private networks are for addresses that the owner entered in the settings.
    """
    max_requests: ClassVar[int] = 1000
    """How many requests one sync may send, every try counted; the next one raises RequestBudgetSpent."""
    guide: ClassVar[Sequence[str]] = ()
    """Steps, in words, that lead a person to the credentials."""
    picture: ClassVar[str] = ""
    """An SVG drawing of where the source hides them."""

    def __init__(self, config: C, http: Http) -> None:
        self.config = config
        self.http = http

    @abstractmethod
    def check(self) -> Identity:
        """Prove by one cheap call that the configuration works, and say whose account it is.

        Raises AuthExpired, RateLimited, Temporary or Misconfigured.
        """

    def credentials_expire_on(self, entered_on: date) -> date | None:
        """Return the last day on which credentials entered on that day work, where one can tell."""
        return None

    @abstractmethod
    def sync(self, ctx: Context) -> Iterator[Item]:
        """Yield accounts, movements and checkpoints; overlap is welcome, the engine stores each once.

        Raises AuthExpired, RateLimited, Temporary or Misconfigured.
        """
