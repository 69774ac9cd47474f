"""A CSV file from its first byte to its statements: one for each account and currency that it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import SEEK_END
from itertools import chain, islice
from operator import attrgetter
from typing import Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements.csv.amounts import Amounts, decimal_mark
from kvit.kernel.statements.csv.binding import Batch, bound
from kvit.kernel.statements.csv.columns import entries_by_column
from kvit.kernel.statements.csv.days import Days, is_open, needs_order, order_of
from kvit.kernel.statements.csv.facts import Facts
from kvit.kernel.statements.csv.layout import Layout, fits, sniff
from kvit.kernel.statements.csv.profile import Profile, Role, profile_from_toml, refused
from kvit.kernel.statements.csv.records import Records
from kvit.kernel.statements.csv.rows import Block, blocks
from kvit.kernel.statements.csv.running import Running
from kvit.kernel.statements.csv.shipped import SHIPPED
from kvit.kernel.statements.csv.suggestion import CUSTOM, index_of, roles_of, unequivocal
from kvit.kernel.statements.csv.words import without_currency
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Hints, Part, Problem, Statement, StatementEnd

MOST_ACCOUNTS: Final = 200
"""More accounts and currencies than this in one file are a column misunderstood."""
_MOST_KEPT: Final = 20_000
"""How many entries of other accounts wait in memory; the file is read again for those that do not fit."""

_FIRST_CELLS: Final = 1000

type Key = tuple[str, str]
"""The own account and the currency."""

_AMOUNTS: Final = frozenset({Role.AMOUNT, Role.INCOME, Role.EXPENSE})

_currency_of = attrgetter("currency")


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield the statements of a CSV file.

    The profile is the one in the hints, else the shipped one whose header the table has, else what the words
    above the columns leave no choice about. Raises StatementUnreadable, with the role as `field`, where a
    person must say what a column is.
    """
    try:
        profile, layout, problems = _chosen(source, hints)
        yield from problems
        yield from _File(source, profile, layout, hints).parts()
    except StatementUnreadable as error:
        error.source = error.source or source.name
        raise


def _chosen(source: Source, hints: Hints) -> tuple[Profile, Layout, list[Problem]]:
    if hints.profile:
        profile = _named(hints.profile)
        return profile, sniff(source, [profile]), []
    layout = sniff(source)
    found = [profile for profile in SHIPPED.values() if fits(profile, layout)]
    if len(found) == 1:
        return found[0], layout, []
    profile = unequivocal(layout)
    assumed = ", ".join(f"{column.role} = “{column.names[0]}”" for column in profile.columns if column.names)
    message = f"No profile fits this table, so it was read by the names of its columns: {assumed}."
    return profile, layout, [Problem(message=message, line=layout.header_line or None)]


def _named(text: str) -> Profile:
    if text in SHIPPED:
        return SHIPPED[text]
    if "=" not in text:
        raise refused("There is no profile “{name}”.", "profile", name=text[:100])
    return profile_from_toml(text)


class _File:
    """One file while it is read."""

    def __init__(self, source: Source, profile: Profile, layout: Layout, hints: Hints) -> None:
        self._source = source
        self._layout = layout
        self._format = "csv" if profile.name == CUSTOM else f"csv:{profile.name}"
        order = profile.date_order or self._order(profile)
        amounts = Amounts(profile.decimal or self._decimal(profile))
        self._facts = Facts(profile.facts, amounts, order)
        self._facts.observe(layout.preamble)
        told = self._facts.texts
        self._binding = bound(
            profile,
            layout,
            amounts,
            Days(order),
            account=told.get("account") or profile.account or hints.account,
            currency=told.get("currency")
            or profile.currency
            or self._named_currency(profile)
            or hints.currency,
        )
        self._records = Records(self._binding, self._facts)
        self._accounts: set[str] = set()

    def parts(self) -> Iterator[Part]:
        """Yield one statement after the other; a large file of mixed ones is read several times."""
        done: set[Key] = set()
        keys: list[Key] = []
        is_first = True
        while is_first or len(done) < len(keys):
            reading = _Pass(done, keys)
            for batch in self._batches():
                yield from batch.problems if is_first else ()
                yield from self._other_accounts(batch) if is_first else ()
                yield from self._streamed(reading, batch)
            yield from self._ended(reading, is_first)
            done |= reading.finished()
            is_first = False

    def _other_accounts(self, batch: Batch) -> Iterator[Problem]:
        """Warn where the rows go on with another account: a bank exports one, a spreadsheet may mix them."""
        if self._binding.profile.exact or not self._binding.has(Role.ACCOUNT):
            return
        for account, entry in zip(batch.accounts, batch.entries, strict=False):
            if account not in self._accounts:
                self._accounts.add(account)
                if len(self._accounts) > 1:
                    message = f"From here the file also tells of the account {account or 'without a number'}."
                    yield Problem(message=message, line=entry.line, field=self._binding.name(Role.ACCOUNT))

    def _streamed(self, reading: _Pass, batch: Batch) -> Iterator[Part]:
        for key, entries, balances in reading.sorted(batch):
            if key == reading.current:
                if reading.is_new:
                    reading.is_new = False
                    yield self._head(key)
                reading.running.add(*_booked(entries, balances))
                yield entries
            else:
                reading.keep(key, entries, balances)

    def _ended(self, reading: _Pass, is_first: bool) -> Iterator[Part]:
        if reading.current is None and is_first:
            yield self._head((self._binding.account, ""))
        is_only = len(reading.keys) < 2
        if reading.current is not None or is_first:
            yield from self._end(reading.running, reading.current, is_only=is_only)
        for key, kept in reading.kept.items():
            running = Running()
            yield self._head(key)
            for entries, balances in kept:
                running.add(*_booked(entries, balances))
                yield entries
            yield from self._end(running, key, is_only=False)

    def _head(self, key: Key) -> Statement:
        account, currency = key
        return Statement(
            account=account,
            currency="" if currency == NO_CURRENCY else currency or self._known_currency(),
            line=self._layout.header_line or None,
            format=self._format,
        )

    def _end(self, running: Running, key: Key | None, *, is_only: bool) -> Iterator[Part]:
        """Yield what is known at the end: the preamble and the last lines speak for a file of one account."""
        currency = key[1] if key else self._known_currency() or NO_CURRENCY
        end = running.end(currency) or StatementEnd()
        if is_only:
            end = self._told(end, currency)
        if end != StatementEnd():
            yield end
        yield from running.doubts(self._binding.name(Role.BALANCE))

    def _told(self, end: StatementEnd, currency: str) -> StatementEnd:
        facts = self._facts
        opening, closing = (facts.balances.get(name) for name in ("opening_balance", "closing_balance"))
        return StatementEnd(
            opening_balance=end.opening_balance if opening is None else Money(opening, currency),
            closing_balance=end.closing_balance if closing is None else Money(closing, currency),
            from_date=facts.days.get("from_date"),
            to_date=facts.days.get("to_date"),
            number=facts.texts.get("number"),
        )

    def _named_currency(self, profile: Profile) -> str:
        """The currency in the name of the amount's column, such as `Amount CZK`."""
        roles = roles_of(profile, self._layout)
        names = zip(roles, self._layout.names, strict=False)
        found = {without_currency(name)[1] for role, name in names if role in _AMOUNTS}
        return found.pop() if len(found) == 1 else ""

    def _known_currency(self) -> str:
        return "" if self._binding.currency == NO_CURRENCY else self._binding.currency

    def _batches(self) -> Iterator[Batch]:
        for block, is_last in _with_last(self._blocks()):
            if is_last and self._is_cut():
                problem = self._cut(block)
                if problem is not None:
                    yield Batch([], [], [], [problem])
                if problem is not None and problem.is_error:
                    block = block.without_last()
            yield from self._batches_of(block)

    def _batches_of(self, block: Block) -> Iterator[Batch]:
        batch = entries_by_column(block, self._binding) if block.raws else None
        if batch is not None:
            yield batch
        else:
            for piece in block.pieces():
                yield entries_by_column(piece, self._binding) or self._records.batch(piece)

    def _blocks(self) -> Iterator[Block]:
        layout = self._layout
        return blocks(self._source, layout.encoding, layout.delimiter, skipping=layout.skipped_lines)

    def _is_cut(self) -> bool:
        """Whether the last line has no end, as in a file that is not all there."""
        stream = self._source.open()
        size = stream.seek(0, SEEK_END)
        stream.seek(max(size - 2, 0))
        return not stream.read(2).rstrip(b"\0").endswith((b"\n", b"\r"))

    def _cut(self, block: Block) -> Problem | None:
        """A short last row without a line end: its amount may be cut, or only its texts."""
        length = len(block.rows[-1])
        if length >= self._layout.width or length < 2:
            return None
        is_error = length <= self._records.amount_end
        message = "The file ends within this row." + (" The rest may be missing." if not is_error else "")
        return Problem(message=message, line=block.lines[-1], is_error=is_error)

    def _order(self, profile: Profile) -> str:
        """The order of the parts of a day: told by the first row that leaves no choice."""
        cells = self._cells_of(profile, {Role.BOOKED_ON, Role.VALUE_ON})
        if not any(map(needs_order, islice(cells(), _FIRST_CELLS))):
            return ""
        order = order_of(cells())
        if not order and any(map(is_open, cells())):
            message = "Every day of this file can be read as day-month or as month-day. Say which it is."
            raise refused(message, "date_order")
        return order

    def _decimal(self, profile: Profile) -> str:
        if self._layout.decimal in (".", ","):
            return self._layout.decimal
        cells = self._cells_of(profile, {*_AMOUNTS, Role.BALANCE, Role.FEE})
        mark = decimal_mark(cells())
        if mark == "?":
            message = "The amounts of this file can be read in two ways. Say which mark is the decimal one."
            raise refused(message, "decimal")
        return mark or "."

    def _cells_of(self, profile: Profile, roles: set[Role]) -> Callable[[], Iterator[str]]:
        """The cells of some columns, from the first row to the last, as often as they are asked for."""
        found = (index_of(column, self._layout) for column in profile.columns if column.role in roles)
        indexes = [index for index in found if index is not None]
        return lambda: (
            row[index]
            for block in self._blocks()
            for row in block.rows
            for index in indexes
            if index < len(row)
        )


class _Pass:
    """One reading of the file: the first account that is not done streams by, others wait as they fit."""

    def __init__(self, done: set[Key], keys: list[Key]) -> None:
        self.keys = keys
        """All that the file holds, in their order."""
        self.current: Key | None = None
        self.is_new = True
        self.running = Running()
        self.kept: dict[Key, list[tuple[list[Entry], list[int | None]]]] = {}
        self._done = done
        self._left: set[Key] = set()
        self._count = 0

    def sorted(self, batch: Batch) -> Iterator[tuple[Key, list[Entry], list[int | None]]]:
        """Yield the entries of each account that is not done, in their order."""
        if not batch.entries:
            return
        if len(batch.accounts) == 1:
            groups: dict[Key, Sequence[int]] = {
                (batch.accounts[0], batch.entries[0].currency): range(len(batch.entries))
            }
        else:
            groups = _grouped(zip(batch.accounts, map(_currency_of, batch.entries), strict=True))
        self._note(groups)
        for key, indexes in groups.items():
            if key in self._done or key in self._left:
                continue
            balances = batch.balances
            if len(groups) == 1:
                yield key, batch.entries, list(balances)
            else:
                entries = [batch.entries[index] for index in indexes]
                yield key, entries, [balances[index] for index in indexes] if balances else []

    def keep(self, key: Key, entries: list[Entry], balances: list[int | None]) -> None:
        """Let entries wait; where too many do, this account is left to another reading."""
        if self._count + len(entries) > _MOST_KEPT:
            self._count -= sum(len(each) for each, _ in self.kept.pop(key, []))
            self._left.add(key)
        else:
            self._count += len(entries)
            self.kept.setdefault(key, []).append((entries, balances))

    def finished(self) -> set[Key]:
        return {*self.kept, *([self.current] if self.current else [])}

    def _note(self, distinct: Iterable[Key]) -> None:
        for key in distinct:
            if key not in self.keys:
                self.keys.append(key)
            if self.current is None and key not in self._done:
                self.current = key
        if len(self.keys) > MOST_ACCOUNTS:
            raise refused(
                "The column of the own account names more than {most}.", Role.ACCOUNT, most=str(MOST_ACCOUNTS)
            )


def _grouped(keys: Iterable[Key]) -> dict[Key, Sequence[int]]:
    """Return where each key stands."""
    groups: defaultdict[Key, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return dict(groups)


def _booked(entries: list[Entry], balances: list[int | None]) -> tuple[list[Entry], list[int | None]]:
    """Leave out what is pending, which is not in the balances."""
    if not balances:
        return [], []
    if not any(entry.pending for entry in entries):
        return entries, balances
    chosen = [index for index, entry in enumerate(entries) if not entry.pending]
    return [entries[index] for index in chosen], [balances[index] for index in chosen]


def _with_last(items: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Yield each block and whether it is the last one."""
    before: Block | None = None
    for item in chain(items, (None,)):
        if before is not None:
            yield before, item is None
        before = item
