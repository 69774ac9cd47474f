"""What a verification found to be wrong, told so that the row is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One row, of the audit's own tables or of a followed one, that is not as the audit says."""

    table: str
    object_id: int
    problem: str
    column: str = ""

    @classmethod
    def differs(cls, table: str, object_id: int, column: str, *, expected: Any, found: Any) -> Self:
        """A column that holds something else than the audit says."""
        problem = f"{column} is {_shown(found)}, the audit says {_shown(expected)}"
        return cls(table, object_id, problem, column)

    def __str__(self) -> str:
        return f"{self.table} {self.object_id}: {self.problem}"


def _shown(value: Any) -> str:
    return "empty" if value is None or value == "" else str(value)
