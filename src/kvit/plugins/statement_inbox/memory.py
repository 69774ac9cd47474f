"""What the inbox remembers between two syncs: its cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from kvit.plugin import Json

MOST_FILES: Final = 1000
"""How many files of a folder are remembered; the cursor has room for no more."""

type Outcome = Literal["read", "unreadable"]


@dataclass(slots=True)
class Memory:
    """Which files lie in the folder that need not be read again, and up to where the mailbox was read."""

    about: str
    """Names the settings that decided; under other settings everything is looked at again."""
    files: dict[str, Outcome] = field(default_factory=dict)
    """By digest, in the order in which they were read."""
    uid_validity: int = 0
    uid: int = 0
    """The last message that was looked at, within that validity."""

    @classmethod
    def of(cls, cursor: Mapping[str, Any], *, about: str) -> Self:
        """Read a cursor of ours; one that was made under other settings is forgotten."""
        if cursor.get("about") != about:
            return cls(about)
        files: dict[str, Outcome] = dict.fromkeys(cursor["read"], "read")
        files |= dict.fromkeys(cursor["unreadable"], "unreadable")
        return cls(about, files, cursor["uid_validity"], cursor["uid"])

    def cursor(self) -> dict[str, Json]:
        return {
            "about": self.about,
            "read": [name for name, outcome in self.files.items() if outcome == "read"],
            "unreadable": [name for name, outcome in self.files.items() if outcome == "unreadable"],
            "uid_validity": self.uid_validity,
            "uid": self.uid,
        }

    def note(self, digest: str, outcome: Outcome) -> bool:
        """Remember a file; False where an older one had to be forgotten for it."""
        self.files[digest] = outcome
        if len(self.files) <= MOST_FILES:
            return True
        del self.files[next(iter(self.files))]
        return False

    def forget(self, digest: str) -> None:
        """Forget a file that lies in the folder no more."""
        self.files.pop(digest, None)

    def keep_only(self, present: set[str]) -> None:
        """Forget the files that no longer lie in the folder."""
        self.files = {digest: outcome for digest, outcome in self.files.items() if digest in present}

    def begin_mailbox(self, uid_validity: int) -> bool:
        """Begin from the first message where the server numbers anew, which is told by True."""
        known, self.uid_validity = self.uid_validity, uid_validity
        if known == uid_validity:
            return False
        self.uid = 0
        return known != 0
