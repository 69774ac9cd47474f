"""Imports of statement files as their pages show them: earlier ones, and the look at what one would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Prefetch

from kvit.kernel.money import Money
from kvit.sync import imports
from kvit.sync.imports import FileLook, StatementLook
from kvit.sync.models import HandedFile, StatementImport
from kvit.users.scoping import Access
from kvit.web.forms_imports import FileForm
from kvit.web.sentences import translated

LATEST: Final = 30
PROBLEMS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One import in the list of them."""

    row: StatementImport
    state: str
    """A key of words.STATES."""
    files: Sequence[HandedFile]

    @property
    def waits(self) -> bool:
        return self.row.state == StatementImport.State.WAITING

    @property
    def can_take_back(self) -> bool:
        """Whether its run has ended and was not taken back; what stands in the way is told later."""
        run = self.row.run
        return run is not None and not run.is_active and run.reverted_at is None


@dataclass(frozen=True, slots=True)
class StatementCard:
    """One statement of a file."""

    look: StatementLook
    handed_name: str
    """The name of the file that was handed over."""

    @property
    def inner_file(self) -> str:
        """The name of its file within an archive; empty where it lay in none."""
        return self.look.file if self.look.file != self.handed_name else ""

    @property
    def difference(self) -> Money | None:
        """The closing balance less what it should be by the others; None where one is not told."""
        look = self.look
        if look.opening is None or look.closing is None:
            return None
        return look.closing - look.opening - look.income - look.expense


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCard:
    """One file of an import that waits, with the form for what it does not say."""

    look: FileLook
    statements: tuple[StatementCard, ...]
    form: FileForm | None

    @property
    def file(self) -> HandedFile:
        return self.look.file

    @property
    def error(self) -> str:
        """Why the file cannot be read, in the reader's language; empty where it can."""
        return translated(self.look.error)

    @property
    def is_csv(self) -> bool:
        return self.look.format.startswith("csv")

    @property
    def needs_columns(self) -> bool:
        return "profile" in self.look.needs

    @property
    def stands_in_the_way(self) -> bool:
        """Whether the import cannot be confirmed before something is said about this file."""
        return bool(self.look.error or self.look.needs)


@dataclass(frozen=True, slots=True)
class Look:
    """What an import would bring, file by file."""

    cards: tuple[FileCard, ...]

    @property
    def new(self) -> int:
        return sum(one.look.new for card in self.cards for one in card.statements)

    @property
    def open_files(self) -> int:
        """How many files something has to be said about before the import can be confirmed."""
        return sum(card.stands_in_the_way for card in self.cards)


def latest(access: Access) -> list[Entry]:
    """Return the latest imports, the newest first."""
    files = HandedFile.objects.defer("sealed", "profile")
    rows = access.within(StatementImport.objects.all()).select_related("run")
    rows = rows.prefetch_related(Prefetch("files", files))
    return [_entry(row) for row in rows.order_by("-id")[:LATEST]]


def look_at(row: StatementImport, access: Access, filled: FileForm | None = None) -> Look:
    """Read the files of an import that waits; `filled` takes the place of the form of its file."""
    return Look(tuple(_card(look, access, filled) for look in imports.look(row)))


def _entry(row: StatementImport) -> Entry:
    return Entry(row=row, state=_state(row), files=tuple(row.files.all()))


def _state(row: StatementImport) -> str:
    if row.run is None:
        return "unconfirmed" if row.state == StatementImport.State.WAITING else "discarded"
    return "undone" if row.run.reverted_at else str(row.run.status)


def _card(look: FileLook, access: Access, filled: FileForm | None) -> FileCard:
    form = filled if filled is not None and filled.file == look.file else FileForm(look, access=access)
    return FileCard(
        look=look,
        statements=tuple(StatementCard(one, look.file.name) for one in look.statements),
        form=form if form.fields else None,
    )
