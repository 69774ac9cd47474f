"""What statement files would bring, without writing it: read by the plugin, judged by the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone

from kvit.kernel.errors import FileIncomplete, KvitError, Misconfigured, RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements import Detection, Problem, detect
from kvit.ledger.forecast import Forecast, Outlook
from kvit.ledger.models import BankAccount
from kvit.ledger.movements import Movement, movement_of
from kvit.plugin import Account, AccountStatement, Item, Plugin, SourceFile, Transaction, Unreadable
from kvit.sync.configuring import Values, read_values, values_of
from kvit.sync.connections import STATEMENT_PLUGIN
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.models import HandedFile, SourceAccount
from kvit.sync.opening import opened
from kvit.sync.registry import plugin_class
from kvit.users.models import Organization

CSV: Final = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLook:
    """One statement of a file, and what it would bring."""

    account: str
    """The number as the file, or the person, writes it."""
    known_account: BankAccount | None
    """The own account that it is; None where one would be made."""
    currency: str
    format: str
    number: str
    from_date: date | None
    to_date: date | None
    """Both days inclusive; the days of its movements where it does not say."""
    opening: Money | None
    closing: Money | None
    balances_agree: bool | None
    """Whether opening balance and booked movements make the closing balance; None where not both are told."""
    entries: int
    income: Money
    expense: Money
    """What the booked movements bring and take; an expense is negative."""
    new: int
    known: int
    conflicting: int
    """These three are all movements that can be read."""
    possible_duplicates: int
    """How many of the new ones a person would be asked about."""
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLook:
    """What one file holds, or why it cannot be read."""

    file: HandedFile
    """Unsaved where the file is not staged."""
    format: str
    """Empty where nobody knows it."""
    is_sure: bool
    error: str
    """Why it cannot be read, for people; empty where it can, or where only something must be said of it."""
    needs: frozenset[str]
    """What a person must say of it: `account`, `currency`, `profile` (what the columns of a CSV file are)."""
    statements: tuple[StatementLook, ...] = ()
    warnings: tuple[Problem, ...] = ()
    left_out: tuple[Problem, ...] = ()
    """Records that cannot be read."""

    @property
    def is_ready(self) -> bool:
        """Whether the file can be imported as it is."""
        return not (self.error or self.needs)


def looked(
    organization: Organization, files: Iterable[tuple[HandedFile, SourceFile]], *, judge: bool = True
) -> tuple[FileLook, ...]:
    """Read files, one after another as an import would, and compare them with the ledger.

    Without `judge`, only whether they can be read. Raises PluginUnavailable, and SealError where the
    connection's settings cannot be opened.
    """
    with _reader(organization) as plugin:
        forecast = _Ledger(organization) if judge else None
        return tuple(_File(row, source, plugin).look(forecast) for row, source in files)


@contextmanager
def _reader(organization: Organization) -> Iterator[Plugin[Any]]:
    """The plugin with the settings of the organization's connection, or its own where there is none yet."""
    plugin = plugin_class(STATEMENT_PLUGIN)
    existing = organization.connections.filter(plugin=STATEMENT_PLUGIN).first()
    values: Values = read_values(plugin, {}) if existing is None else values_of(existing)
    with opened(plugin, values, turnstile=DatabaseTurnstile(patience=timedelta(0))) as reader:
        yield reader


class _Ledger:
    """The ledger as the import would find it."""

    def __init__(self, organization: Organization) -> None:
        rows = SourceAccount.objects.filter(
            connection__organization=organization, connection__plugin=STATEMENT_PLUGIN
        ).select_related("account")
        self._known = {row.external_id: row.account.number for row in rows}
        self.forecast = Forecast(organization)

    def account(self, told: Account) -> BankAccount:
        number = self._known.get(told.external_id) or told.number or told.external_id
        return self.forecast.account(number, told.currency)

    def outlook(self, told: Account, movements: Sequence[Movement]) -> Outlook:
        formers = (f"{STATEMENT_PLUGIN}:{told.former_id}",) if told.former_id else ()
        source = f"{STATEMENT_PLUGIN}:{told.external_id}"
        return self.forecast.outlook(self.account(told), source, movements, former_sources=formers)


class _File:
    """One file on its way to a look."""

    def __init__(self, row: HandedFile, source: SourceFile, plugin: Plugin[Any]) -> None:
        self.row = row
        self.source = source
        self.plugin = plugin
        self.context = _Context((source,))
        self.accounts: dict[str, Account] = {}
        self.movements: list[Movement] = []
        self.statements: list[StatementLook] = []
        self.left_out: list[Problem] = []

    def look(self, ledger: _Ledger | None) -> FileLook:
        detection = detect(self.source.data)
        error, needs = "", frozenset[str]()
        try:
            self._read(ledger)
        except FileIncomplete as incomplete:
            needs = incomplete.needs
        except Misconfigured as refused:
            error = str(refused).removeprefix(f"{self.source.name}: ")
            if refused.field and _is_table(detection):
                needs = frozenset({"profile"})
        except KvitError as refused:
            error = str(refused)
        return FileLook(
            file=self.row,
            format=self.statements[0].format if self.statements else detection.format if detection else "",
            is_sure=detection is not None and (detection.is_sure or bool(self.source.profile)),
            error="" if needs else error,
            needs=needs,
            statements=tuple(self.statements),
            warnings=tuple(Problem(message=text) for text in self.context.texts(self.source.name)),
            left_out=tuple(self.left_out),
        )

    def _read(self, ledger: _Ledger | None) -> None:
        if ledger is not None:
            ledger.forecast.begin_file()
        with closing(_generator(self.plugin, self.context)) as items:
            for item in items:
                if ledger is not None:
                    self._take(item, ledger)

    def _take(self, item: Item, ledger: _Ledger) -> None:
        match item:
            case Account():
                self.accounts[item.external_id] = item
            case Transaction():
                try:
                    self.movements.append(movement_of(item))
                except RecordError as error:
                    line = item.raw.get("line")
                    self.left_out.append(
                        Problem(message=str(error), line=line, field=error.field, is_error=True)
                    )
            case AccountStatement():
                self.statements.append(self._statement(item, ledger))
                self.movements = []
            case Unreadable():
                line = item.raw.get("line")
                self.left_out.append(
                    Problem(message=item.reason, line=line, field=item.field or None, is_error=True)
                )

    def _statement(self, told: AccountStatement, ledger: _Ledger) -> StatementLook:
        account = self.accounts[told.account_id]
        own = ledger.account(account)
        outlook = ledger.outlook(account, self.movements)
        booked = [movement for movement in self.movements if movement.status == "booked"]
        days = [movement.booked_on for movement in booked]
        income = sum(movement.amount_minor for movement in booked if movement.amount_minor > 0)
        expense = sum(movement.amount_minor for movement in booked if movement.amount_minor < 0)
        opening = _money(told.opening_balance, account.currency)
        closing = _money(told.closing_balance, account.currency)
        return StatementLook(
            account=account.number,
            known_account=own if own.pk is not None else None,
            currency=account.currency,
            format=told.format,
            number=told.number,
            from_date=told.from_date or min(days, default=told.to_date),
            to_date=told.to_date or max(days, default=told.from_date),
            opening=opening,
            closing=closing,
            balances_agree=None
            if opening is None or closing is None
            else closing.minor - opening.minor == income + expense,
            entries=told.entries,
            income=Money(income, account.currency),
            expense=Money(expense, account.currency),
            new=outlook.new,
            known=outlook.known,
            conflicting=outlook.conflicting,
            possible_duplicates=outlook.possible_duplicates,
            file=told.file,
        )


@dataclass(slots=True)
class _Context:
    """What the plugin is told when nothing is to be written (see kvit.plugin.Context)."""

    files: Sequence[SourceFile]
    said: list[str] = field(default_factory=list)

    @property
    def cursor(self) -> Mapping[str, Any]:
        return {}

    @property
    def today(self) -> date:
        return timezone.localdate()

    def log(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(text)

    def texts(self, file: str) -> Iterator[str]:
        """What the plugin said, without the name of the file in front."""
        return (text.removeprefix(f"{file}: ") for text in self.said)


def _generator(plugin: Plugin[Any], context: _Context) -> Any:
    """What `sync` returns: the contract promises an iterator, and a generator can be closed."""
    return plugin.sync(context)


def _is_table(detection: Detection | None) -> bool:
    return detection is not None and detection.format.startswith(CSV)


def _money(balance: Decimal | None, currency: str) -> Money | None:
    return None if balance is None else Money.of(balance, currency)
