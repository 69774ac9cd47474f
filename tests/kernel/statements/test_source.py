"""A file gives the same lines however it is cut into blocks."""

from __future__ import annotations

import re
from io import BytesIO
from itertools import chain
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import BLOCK_BYTES, LONGEST_LINE, Source


class Dripping(BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._size if size is None or size < 0 else min(size, self._size))


def lines(content: bytes, encoding: str = "utf-8", size: int = BLOCK_BYTES) -> list[str]:
    source = Source(cast("BinaryIO", Dripping(content, size)))
    return list(chain.from_iterable(source.lines(encoding)))


def expected(text: str) -> list[str]:
    """Return the lines as universal newlines have them; behind the last end there is no line."""
    found = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    return found[:-1] if found[-1] == "" else found


TEXTS = st.text(st.sampled_from(["a", "ž", "🧾", "\r", "\n", "\u2028", "\x85", ";"]), max_size=30)


@given(TEXTS, st.integers(1, 7), st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le"]))
def test_lines_do_not_depend_on_the_blocks(text: str, size: int, encoding: str) -> None:
    assert lines(text.encode(encoding), encoding.removesuffix("-sig"), size) == expected(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_end_may_be_cut_by_a_block(end: str) -> None:
    for length in range(BLOCK_BYTES - 3, BLOCK_BYTES + 3):
        assert lines(f"{'x' * length}{end}{end}y{end}".encode()) == ["x" * length, "", "y"]


def test_only_the_first_mark_of_byte_order_is_none_of_the_text() -> None:
    assert lines("\ufeffa\n\ufeffb".encode()) == ["a", "\ufeffb"]


def test_what_cannot_be_decoded_is_shown_as_such() -> None:
    assert lines(b"a\xffb\n\xc5") == ["a\ufffdb", "\ufffd"]


@pytest.mark.parametrize(("before", "number"), [(b"", 1), (b"a\nb\n", 3), (b"a\r\nb\r\nc\r\n", 4)])
def test_a_line_of_a_million_characters_is_refused_and_named(before: bytes, number: int) -> None:
    assert len(lines(before + b"x" * LONGEST_LINE)) == number
    for content in (before + b"x" * (LONGEST_LINE + 1), before + b"x" * (LONGEST_LINE * 2) + b"\nend"):
        with pytest.raises(StatementUnreadable) as caught:
            lines(content)
        assert caught.value.line == number


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("žluť".encode(), "utf-8"),
        ("žluť".encode("cp1250"), "cp1250"),
        ("žluť".encode("utf-16"), "utf-16-le"),
        (b"\xef\xbb\xbf\xff", "utf-8"),
        (("x" * BLOCK_BYTES * 2 + "ž").encode("cp1250"), "cp1250"),
        (("x" * (BLOCK_BYTES - 1) + "ž").encode(), "utf-8"),
    ],
)
def test_the_encoding_is_that_of_the_whole_file(content: bytes, encoding: str) -> None:
    assert Source(content).encoding() == encoding


def test_a_file_is_read_again_from_its_beginning() -> None:
    source = Source(BytesIO(b"one\ntwo\n"))
    assert [*source.lines("utf-8")] == [*source.lines("utf-8")]
    assert source.content() == b"one\ntwo\n" == b"".join(source.blocks())
