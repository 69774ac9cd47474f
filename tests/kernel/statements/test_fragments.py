"""XML as a stream: the same elements in every encoding and notation, and nothing that fills the memory."""

from __future__ import annotations

import random
from io import RawIOBase
from typing import BinaryIO, cast

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.fragments import LONGEST_ELEMENT, Fragment, Opened, fragments
from kvit.kernel.statements.source import BLOCK_BYTES, Source

SECTIONS = frozenset({"S"})


def taken(content: bytes | BinaryIO) -> list[Fragment]:
    return [each for each in fragments(Source(content, "f.xml"), SECTIONS) if isinstance(each, Fragment)]


def texts(content: bytes, path: str = "a/b") -> list[str]:
    return [each.element.text(path) for each in taken(content)]


def refused(content: bytes | BinaryIO) -> StatementUnreadable:
    with pytest.raises(StatementUnreadable) as caught:
        taken(content)
    assert caught.value.source == "f.xml"
    assert caught.value.line is not None
    return caught.value


@pytest.mark.parametrize("times", [1, 20])
@pytest.mark.parametrize(
    "inner",
    [
        "žluť &amp; kůň",
        "žluť <!-- </r><r> > -->&amp; kůň",
        "<![CDATA[žluť & ]]>kůň",
        "<?x </r>?>žluť &#38; k&#x16F;ň",
        " žluť &amp; kůň\n",
    ],
)
def test_a_text_is_the_same_in_every_notation(inner: str, times: int) -> None:
    record = f"<r x='a>b'><a><b>{inner}</b></a></r >"
    assert texts(f"<D><S>{record * times}</S></D>".encode()) == ["žluť & kůň"] * times


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1250", "iso-8859-2"]
)
def test_offset_and_line_lead_to_the_record_in_every_encoding(encoding: str) -> None:
    records = "".join(f"<r><a><b>žluť {number}</b></a></r>\n" for number in range(20))
    declared = encoding.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    data = f'<?xml version="1.0" encoding="{declared}"?>\n<D><S>\n{records}</S></D>'.encode(encoding)
    bare = encoding.removesuffix("-sig") if encoding != "utf-16" else "utf-16-le"
    for number, fragment in enumerate(taken(data)):
        assert fragment.line == number + 3
        assert data[fragment.offset :].startswith(fragment.raw.encode(bare))
        assert fragment.element.text("a/b") == f"žluť {number}"


def test_a_text_may_hold_what_looks_like_the_end_of_a_tag() -> None:
    forged = "x>/b>b>y"
    assert texts(f"<D><S>{f'<r><a><b>{forged}</b></a></r>' * 20}</S></D>".encode()) == [forged] * 20


def test_only_children_of_sections_are_taken_and_each_whole() -> None:
    data = b"<D><r/><S><r><S><r/></S><r>1</r></r><n:r xmlns:n='x'/></S><q><S/></q></D>"
    assert [each.raw for each in taken(data)] == ["<r><S><r/></S><r>1</r></r>", "<n:r xmlns:n='x'/>"]
    opened = [each for each in fragments(Source(data), SECTIONS) if isinstance(each, Opened)]
    assert len(opened) == 2


def test_the_first_element_of_a_path_counts_and_all_can_be_asked() -> None:
    (fragment,) = taken(b"<D><S><r><a/><a><b c='1'>x</b><b>y</b></a></r></S></D>")
    assert fragment.element.text("a/b") == "x"
    assert fragment.element.all_texts("a/b") == ["x", "y"]
    assert fragment.element.attribute("a/b", "c") == "1"
    assert fragment.element.text("a/z") == ""


def test_records_that_lie_over_the_edge_of_a_block_are_whole() -> None:
    random.seed(3)
    lengths = [random.randrange(1, 4000) for _ in range(300)]
    records = "".join(f"<r><a><b>{'ž' * length}</b></a></r>" for length in lengths)
    data = f"<D><S>{records}</S></D>".encode()
    assert len(data) > 2 * BLOCK_BYTES
    assert list(map(len, texts(data))) == lengths


def test_a_record_of_every_shape_is_read_as_it_is() -> None:
    random.seed(4)
    shapes = [random.choices("abc", k=random.randrange(1, 5)) for _ in range(2000)]
    records = (
        "<r>" + "".join(f"<{name}>{name}{place}</{name}>" for place, name in enumerate(shape)) + "</r>"
        for shape in shapes
    )
    for fragment, shape in zip(taken(f"<D><S>{''.join(records)}</S></D>".encode()), shapes, strict=True):
        for name in "abc":
            expected = [f"{name}{place}" for place, each in enumerate(shape) if each == name]
            assert fragment.element.all_texts(name) == expected


@pytest.mark.parametrize("place", ["<D>{}<S><r/></S></D>", "<D><S>{}</S></D>", "<D><S><r>{}</r></S></D>"])
def test_deep_nesting_is_refused(place: str) -> None:
    assert "nested" in str(refused(place.format("<a>" * 100_000 + "</a>" * 100_000).encode()))


@pytest.mark.parametrize(
    "data",
    [
        b"<D><S><r>\0</r></S></D>",
        b"<D><S><r></S></D>",
        b"<D><S><r/></S></D><x/>",
        b"<D><S>\n<r>&x;</r></S></D>",
        b"<D><S>\n<r>\xff</r></S></D>",
        b"\xff\xfe<\0D\0",
        b"<D",
        b"<D><S><r>",
    ],
)
def test_what_is_no_xml_is_refused_with_its_line(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("name", ["klingon", "utf-7", "zip", "rot13", "punycode"])
def test_an_unknown_encoding_is_refused(name: str) -> None:
    error = refused(f'<?xml version="1.0" encoding="{name}"?><D><S/></D>'.encode())
    assert name in str(error)


def test_a_declaration_that_its_own_bytes_deny_is_not_believed() -> None:
    assert texts('<?xml version="1.0" encoding="utf-16"?><D><S><r><a><b>ž</b></a></r></S></D>'.encode()) == [
        "ž"
    ]


class Endless(RawIOBase):
    """A file that begins as XML and then repeats one character a gigabyte long, without ever holding it."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning
        self._position = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        assert self._position < 3 * LONGEST_ELEMENT, "the reader goes on far beyond the longest element"
        piece = self._beginning[self._position : self._position + size]
        self._position += size
        return piece + b"x" * (size - len(piece))


@pytest.mark.parametrize(
    "beginning", [b"<D><S><r><a>", b"<D><S><r a='", b"<D><!--", b"<D><S><r><![CDATA[", b"<D><S><r><?p "]
)
def test_an_element_without_end_is_refused_before_it_fills_the_memory(beginning: bytes) -> None:
    assert "longer" in str(refused(cast("BinaryIO", Endless(beginning))))
