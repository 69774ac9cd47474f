"""ZIP archives are opened within limits, and one bad file in them does not hide the others."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest

from kvit.kernel.errors import StatementUnreadable, UnknownFormat
from kvit.kernel.statements import Statement, parse, read
from kvit.kernel.statements.archives import LARGEST_BYTES, MOST_FILES
from tests.kernel.statements.clean_files import CLEAN, zipped

GPC, MT940 = CLEAN["gpc"], CLEAN["mt940"]


def refusal(data: bytes) -> str:
    with pytest.raises(StatementUnreadable) as caught:
        read(data, source="statements.zip")
    return str(caught.value)


def test_the_files_are_read_in_their_order_and_named() -> None:
    file = read(zipped([("2026/03.gpc", GPC), ("2026/03.sta", MT940)]))
    assert file.format == "zip"
    assert [(each.file, each.format) for each in file.statements] == [
        ("2026/03.gpc", "gpc"),
        ("2026/03.sta", "mt940"),
    ]


def test_an_archive_of_one_format_has_that_format() -> None:
    assert read(zipped([("a.gpc", GPC), ("b.gpc", GPC)])).format == "gpc"


def test_a_stream_is_opened_too() -> None:
    events = list(parse(BytesIO(zipped([("a.gpc", GPC)]))))
    assert [each.file for each in events if isinstance(each, Statement)] == ["a.gpc"]


def test_what_systems_add_is_passed_over() -> None:
    aside = [("__MACOSX/a.gpc", b"x"), ("..", b"x"), (".DS_Store", b"x"), ("folder/", b"")]
    file = read(zipped([*aside, ("a.gpc", GPC)]))
    assert (len(file.statements), file.errors) == (1, ())


def test_a_file_that_cannot_be_read_is_an_error_beside_the_others() -> None:
    file = read(zipped([("letter.pdf", b"%PDF-1.7"), ("a.gpc", GPC), ("cut.xml", CLEAN["camt053"][:900])]))
    assert [each.file for each in file.statements if each.entries] == ["a.gpc"]
    assert [each.message.partition(":")[0] for each in file.errors] == ["letter.pdf", "cut.xml"]


def test_an_archive_of_nothing_readable_is_refused_with_the_first_reason() -> None:
    with pytest.raises(UnknownFormat, match="PDF"):
        read(zipped([("letter.pdf", b"%PDF-1.7"), ("note.txt", b"hello")]))


def test_a_workbook_is_no_archive_of_statements() -> None:
    for name in ("[Content_Types].xml", "META-INF/manifest.xml"):
        with pytest.raises(UnknownFormat, match="CSV"):
            read(zipped([(name, b"<Types/>"), ("xl/workbook.xml", b"<workbook/>")]))


def test_an_archive_without_files_is_refused() -> None:
    assert "empty" in refusal(zipped([]))
    assert "empty" in refusal(zipped([("folder/", b"")]))


def test_an_archive_within_the_archive_is_refused() -> None:
    assert "within the archive" in refusal(zipped([("inner.zip", zipped([("a.gpc", GPC)]))]))


def test_too_many_files_are_refused() -> None:
    assert str(MOST_FILES) in refusal(zipped((f"{number}.gpc", b"") for number in range(MOST_FILES + 1)))


def test_an_encrypted_file_is_refused() -> None:
    data = bytearray(zipped([("a.gpc", GPC)]))
    for beginning, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(beginning) + flags] |= 1
    assert "encrypted" in refusal(bytes(data))


def test_what_is_packed_like_no_statement_is_refused() -> None:
    assert "packed like no statement" in refusal(zipped([("a.gpc", b"0" * 20_000_000)]))


def test_files_too_large_together_are_refused() -> None:
    data = zipped((f"{number}.gpc", GPC) for number in range(3))
    for number in range(3):
        data = with_size(data, number, LARGEST_BYTES // 2)
    assert "too large" in refusal(data)


@pytest.mark.parametrize("size", [0, 10, len(GPC) - 1, len(GPC) + 1, 500_000])
def test_a_lie_about_the_size_is_refused(size: int) -> None:
    assert refusal(with_size(zipped([("a.gpc", GPC)]), 0, size))


def test_a_changed_byte_is_found_by_the_checksum() -> None:
    stored = BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.gpc", GPC)
    data = bytearray(stored.getvalue())
    data[data.index(GPC) + 100] ^= 1
    assert "damaged" in refusal(bytes(data))


def test_an_archive_cut_anywhere_is_refused() -> None:
    data = zipped([("a.gpc", GPC), ("b.sta", MT940)])
    for length in range(4, len(data) - 1, 7):
        assert refusal(data[:length])


def with_size(data: bytes, number: int, size: int) -> bytes:
    """Let the archive's list say another unpacked size of one file."""
    changed, place = bytearray(data), -1
    for _ in range(number + 1):
        place = data.index(b"PK\x01\x02", place + 1)
    struct.pack_into("<L", changed, place + 24, size)
    return bytes(changed)


@pytest.mark.parametrize("name", ["./a.gpc", "../a.gpc", "../../bank/a.gpc", "bank/a.gpc"])
def test_a_file_is_read_wherever_its_path_seems_to_lead(name: str) -> None:
    assert len(read(zipped([(name, GPC)])).statements) == len(read(zipped([("a.gpc", GPC)])).statements) == 1
