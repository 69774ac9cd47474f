"""Files made to do harm are refused clearly, or what is wrong is reported, in bounded time and memory."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final, cast

import pytest

from kvit.kernel.errors import StatementError, StatementUnreadable
from kvit.kernel.statements import Entry, Problem, StatementFile, parse, read
from tests.kernel.statements.clean_files import CLEAN, LONG, zipped
from tests.kernel.statements.writers import camt, camt_entry, fio, fio_movement, gpc, gpc_head, gpc_movement

MOST_SECONDS: Final = 10.0
"""Of processor time; each takes a fraction of it, and unbounded work takes minutes."""
MOST_MEMORY: Final = 220 << 20
"""A field of a million digits or an element of 32 million characters is looked at as a whole."""
GIGABYTE: Final = 1 << 30


class Lazy(io.RawIOBase):
    """A file as large as one likes: a head and then the same bytes over and over, which nobody stores."""

    def __init__(self, head: bytes, filler: bytes, size: int) -> None:
        self._head = head
        self._filler = filler * (1 + (1 << 20) // len(filler))
        self._filler_bytes = len(filler)
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = min(self._size - self._at, size if size >= 0 else GIGABYTE * 2)
        if size > (1 << 27):
            raise AssertionError("the whole of a gigabyte was asked for")
        parts = []
        while size > 0:
            part = self._part(size)
            parts.append(part)
            self._at += len(part)
            size -= len(part)
        return b"".join(parts)

    def _part(self, size: int) -> bytes:
        if self._at < len(self._head):
            return self._head[self._at : self._at + size]
        begin = (self._at - len(self._head)) % self._filler_bytes
        return self._filler[begin : begin + min(size, 1 << 20)]


@contextmanager
def bounded(most_memory: int = MOST_MEMORY) -> Iterator[None]:
    begin = time.process_time()
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= most_memory, f"{peak >> 20} MB of memory"
    assert time.process_time() - begin <= MOST_SECONDS


def refusal(data: bytes) -> str:
    with bounded(), pytest.raises(StatementUnreadable) as caught:
        read(data)
    return str(caught.value)


def read_or_refused(data: bytes) -> StatementFile | None:
    with bounded(), suppress(StatementError):
        return read(data)
    return None


ENTITIES: Final = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
CAMT_BODY: Final = CLEAN["camt053"].partition(b"?>")[2]
DOCTYPES: Final = {
    "billion laughs": f'<!DOCTYPE Document [<!ENTITY e0 "ha">{ENTITIES}]>',
    "quadratic blowup": f'<!DOCTYPE Document [<!ENTITY e0 "{"x" * 50_000}">]>',
    "external entity": '<!DOCTYPE Document [<!ENTITY e0 SYSTEM "file:///etc/passwd">]>',
    "parameter entity": '<!DOCTYPE Document [<!ENTITY % e0 SYSTEM "http://127.0.0.1:1/x.dtd"> %e0;]>',
    "external subset": '<!DOCTYPE Document SYSTEM "http://127.0.0.1:1/x.dtd">',
    "behind a comment": f"<!-- {'long ' * 1000} --><?pi x?>\n<!DOCTYPE Document>",
    "behind a comment longer than the head": f"<!-- {'long ' * 40_000} --><!DOCTYPE Document>",
}
XML_FORMATS: Final = ("camt053", "csob-xml", "fio-xml", "ofx2", "pain002")
every_xml = pytest.mark.parametrize("name", XML_FORMATS)


@every_xml
@pytest.mark.parametrize("kind", DOCTYPES)
def test_a_doctype_is_refused_wherever_it_stands(name: str, kind: str) -> None:
    body = (
        CLEAN[name]
        .partition(b"?>")[2]
        .replace(b"CZK", b"&e0;")
        .decode("cp1250" if name == "csob-xml" else "utf-8")
    )
    data = f'<?xml version="1.0" encoding="UTF-8"?>{DOCTYPES[kind]}{body}'.encode()
    assert read_or_refused(data) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_doctype_in_sixteen_bits_is_refused(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="UTF-16"?>{DOCTYPES["billion laughs"]}{CAMT_BODY.decode()}'
    assert read_or_refused(text.encode(encoding)) is None


def test_the_refusal_of_a_doctype_says_so() -> None:
    assert "DOCTYPE" in refusal(b'<?xml version="1.0"?>' + DOCTYPES["billion laughs"].encode() + CAMT_BODY)


def test_an_entity_that_nobody_declared_is_refused() -> None:
    assert refusal(camt(camt_entry()).replace(b"100.00", b"&e0;"))


HEADS: Final[dict[str, tuple[bytes, bytes]]] = {
    "camt053": (CLEAN["camt053"][:900], b"x"),
    "camt053 of tags": (CLEAN["camt053"][:900], b"<a>"),
    "camt053 of open comments": (CLEAN["camt053"][:900] + b"<!--", b"- "),
    "csv": (CLEAN["csv"][:100], b"x"),
    "csv of quotes": (CLEAN["csv"] + b'1.3.2026;"', b"x\n"),
    "csv of delimiters": (CLEAN["csv"][:100], b";"),
    "fio-json": (CLEAN["fio-json"][:700], b"x"),
    "fio-json of brackets": (CLEAN["fio-json"][:700], b"["),
    "fio-xml": (CLEAN["fio-xml"][:700], b"x"),
    "csob-xml": (CLEAN["csob-xml"][:700], b"x"),
    "gpc": (CLEAN["gpc"][:200], b"0"),
    "kvit-csv": (CLEAN["kvit-csv"][:400], b"x"),
    "kvit-json": (CLEAN["kvit-json"][:700], b"x"),
    "kvit-json of brackets": (CLEAN["kvit-json"].partition(b'"entries": [')[0] + b'"entries": [', b"["),
    "mt940": (CLEAN["mt940"][:200], b"x"),
    "ofx1": (CLEAN["ofx1"][:600], b"x"),
    "ofx2": (CLEAN["ofx2"][:900], b"x"),
    "pain002": (CLEAN["pain002"][:500], b"x"),
    "nothing": (b"", b"x"),
    "null bytes": (b"", b"\0"),
    "blanks": (b"", b" "),
    "line ends": (b"", b"\n"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_line_of_a_gigabyte_is_refused_without_being_kept(name: str) -> None:
    head, filler = HEADS[name]
    stream = cast("BinaryIO", Lazy(head, filler, GIGABYTE))
    with bounded(), pytest.raises(StatementError):
        for event in parse(stream):
            assert isinstance(event, Entry) or event is not None


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_null_bytes_are_survived(name: str) -> None:
    data = CLEAN[name]
    for damaged in (
        b"\0" + data,
        data + b"\0" * 1000,
        data.replace(b"2", b"\0", 5),
        data[:100] + b"\0" * 100_000,
    ):
        read_or_refused(damaged)


def test_a_file_of_null_bytes_is_refused_in_words() -> None:
    with pytest.raises(StatementError, match="null bytes"):
        read(b"\0" * 100_000)


@every_xml
def test_deep_xml_is_refused_or_passed_over(name: str) -> None:
    data = CLEAN[name]
    place = data.rindex(b"</")
    for tag in (b"a", b"Ntry", b"TxDtls", b"Transaction", b"STMTTRN"):
        deep = b"<" + tag + b">"
        read_or_refused(data[:place] + deep * 20_000 + data[place:])
        read_or_refused(data[:place] + deep * 3_000 + (b"</" + tag + b">") * 3_000 + data[place:])


@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"entries":'])
def test_deep_json_is_refused(bracket: bytes) -> None:
    for name, place in (("fio-json", b'"transaction": ['), ("kvit-json", b'"entries": [')):
        data = CLEAN[name]
        assert place in data
        for depth in (500, 3_000, 100_000):
            read_or_refused(data.replace(place, place + bracket * depth, 1))
            read_or_refused(data.replace(place, place + b"[" * depth + b"]" * depth + b",", 1))


@pytest.mark.parametrize(
    "number", ["9" * 1_000_000, "0." + "0" * 1_000_000 + "1", "-" + "9" * 1_000_000 + ".00"]
)
def test_a_number_of_a_million_digits_stops_its_record_only(number: str) -> None:
    file = read_or_refused(camt(camt_entry(number), camt_entry("7.00")))
    assert file is not None
    assert [entry.minor for entry in file.statements[0].entries] == [700]
    assert [error.field for error in file.errors] == ["Amt"]
    assert len(file.errors[0].message) < 200


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_a_million_digits_anywhere_are_survived(name: str) -> None:
    data = CLEAN[name]
    for place in (len(data) // 4, len(data) // 2, len(data) * 3 // 4):
        read_or_refused(data[:place] + b"9" * 1_000_000 + data[place:])


@pytest.mark.parametrize(
    "number", [b"1e999999999", b"1E+99999", b"-1e-999999999", b"1e15", b"1e28", b"1e-3", b"Infinity", b"NaN"]
)
@pytest.mark.parametrize(("name", "old"), [("fio-json", b"124.45"), ("kvit-json", b'"124.45"')])
def test_a_number_with_a_huge_exponent_is_no_amount(name: str, old: bytes, number: bytes) -> None:
    assert old in CLEAN[name]
    file = read_or_refused(CLEAN[name].replace(old, number))
    if file is not None:
        assert file.errors
        assert len(file.statements[0].entries) == 5


@pytest.mark.parametrize(
    "day", ["0000-00-00", "0000-01-01", "9999-12-32", "2026-02-29", "99999-01-01", "-001-01-01"]
)
def test_a_day_that_is_in_no_calendar_stops_its_record_only(day: str) -> None:
    for file in (
        read(camt(camt_entry(booked=day), camt_entry())),
        read(fio(fio_movement(c0=f"{day}+0100"), fio_movement(c22=5))),
    ):
        assert len(file.statements[0].entries) == 1
        assert len(file.errors) == 1


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_of_the_calendar_are_days(day: str) -> None:
    for data in (camt(camt_entry(booked=day)), fio(fio_movement(c0=f"{day}+0100"))):
        [entry] = read(data).statements[0].entries
        assert entry.booked_on.isoformat() == day


@pytest.mark.parametrize("milliseconds", [10**13, 10**14, 10**30, -(10**14)])
def test_milliseconds_beyond_the_calendar_are_no_day(milliseconds: int) -> None:
    file = read(fio(fio_movement(c0=milliseconds), fio_movement(c22=5)))
    assert len(file.statements[0].entries) + len(file.errors) == 2


def test_a_day_of_gpc_that_is_in_no_calendar_stops_its_record_only() -> None:
    file = read(gpc(gpc_head(), gpc_movement(booked="320226"), gpc_movement(booked="000000"), gpc_movement()))
    assert len(file.statements[0].entries) + len(file.errors) >= 3
    assert file.errors or file.warnings


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "ratio": lambda: zipped([("a.xml", b"<a>" + b" " * 100_000_000)]),
    "nested": lambda: zipped([("a.zip", zipped([("b.zip", zipped([("c.gpc", CLEAN["gpc"])]))]))]),
    "many": lambda: zipped((f"{number}", b"x") for number in range(5_000)),
    "names": lambda: zipped([("n" * 60_000, CLEAN["gpc"])] * 1),
    "all": lambda: zipped((f"{number}.xml", b" " * 1_000_000) for number in range(400)),
}


@pytest.mark.parametrize("kind", sorted(BOMBS.keys() - {"names"}))
def test_a_zip_bomb_is_refused(kind: str) -> None:
    data = BOMBS[kind]()
    with bounded(64 << 20), pytest.raises(StatementError):
        read(data)


def test_a_very_long_name_in_an_archive_is_no_danger() -> None:
    assert read_or_refused(BOMBS["names"]()) is not None


RECORDS: Final[dict[str, bytes]] = {
    "camt053": b"<Ntry>",
    "csob-xml": b"<FINSTA05>",
    "fio-json": b'{"column22"',
    "fio-xml": b"<Transaction>",
    "gpc": b"075",
    "kvit-json": b'{"external_id"',
    "mt940": b":61:",
    "ofx1": b"<STMTTRN>",
}
"""How a record of the format begins."""


@pytest.mark.parametrize("name", RECORDS)
def test_a_stream_keeps_little_of_a_long_file(name: str) -> None:
    head, *records = LONG[name].split(RECORDS[name])
    record = RECORDS[name] + records[0]
    stream = cast("BinaryIO", Lazy(head, record, 2_000_000))
    entries = 0
    with bounded(12 << 20), suppress(StatementUnreadable):
        for event in parse(stream):
            entries += isinstance(event, Entry)
    assert entries > 1_500


def test_many_problems_are_each_reported() -> None:
    file = read(camt(*(camt_entry("x") for _ in range(1000))))
    assert len(file.errors) == 1000
    assert all(isinstance(error, Problem) and error.line for error in file.errors)


@pytest.mark.parametrize("data", [fio(*[7] * 3000), camt(*["<Ntry/>"] * 3000)], ids=["fio-json", "camt"])
def test_a_file_of_nothing_but_unreadable_records_is_refused(data: bytes) -> None:
    with pytest.raises(StatementUnreadable, match="More than 1000 records cannot be read"):
        read(data)
