"""The class that a plugin is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final

from kvit.plugin.engine import Context, Http
from kvit.plugin.items import Identity, Item

API_VERSION: Final = 1
"""Grows only when something is taken away; additions keep it."""


class Plugin[C](ABC):
    """One kind of connection. Subclass it, set the class variables, write `check` and `sync`."""

    name: ClassVar[str]
    """Short, lower case, for ever: it is stored with every connection."""
    title: ClassVar[str]
    version: ClassVar[str]
    api: ClassVar[int] = API_VERSION
    schema_version: ClassVar[int] = 1
    """Grows when `Config` changes in a way that stored settings must follow, see `migrate_settings`."""
    Config: ClassVar[type]
    description: ClassVar[str] = ""
    accepts_files: ClassVar[bool] = False
    """Whether people hand files to its connections; such a connection has nothing to fetch by itself."""
    reads_statements: ClassVar[bool] = False
    """Whether it yields AccountStatements: then it tells all it knows of a day at once, and a movement of
    that day that it tells no longer by the same id is asked about."""
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

    @classmethod
    def migrate_settings(cls, stored: Mapping[str, Any], from_version: int) -> Mapping[str, Any]:  # noqa: ARG003  # for those who override it
        """Return what an earlier version stored as the fields of today's Config.

        `stored` holds settings, and credentials as Secret, by the names of then. A new field with a default
        and a field that is gone need nothing. Called for connections of an older `schema_version` only.
        """
        return stored

    @abstractmethod
    def sync(self, ctx: Context) -> Iterator[Item]:
        """Yield accounts, movements and checkpoints; overlap is welcome, the engine stores each once.

        Raises AuthExpired, RateLimited, Temporary or Misconfigured.
        """
