"""Plain tables for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines with their cells padded to columns; the first line is the heading."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()


def shown(text: str) -> str:
    """Return text from a file so that it cannot command the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def counted(number: int, one: str, many: str) -> str:
    """Return “1 movement”, “2 movements”."""
    return f"{number} {one if number == 1 else many}"
