"""Damage that files suffer on their way, and damage that somebody does on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Final

type Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]

_HUGE: Final = (
    b"9" * 40,
    b"9" * 5000,
    b"1e999",
    b"-1E+99999999",
    b"0.00000000001",
    b"00000000000000000000001",
    b"99999999999999.99",
    b"NaN",
    b"Infinity",
)
_HOSTILE: Final = (
    b"\0",
    b"\0" * 100,
    b"\xff",
    b"\xff" * 20,
    b"\xef\xbb\xbf",
    b"\x1a",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
)
_BRACKETS: Final = (
    b"<a>",
    b"[",
    b"{",
    b'"',
    b"'",
    b"<!--",
    b"<![CDATA[",
    b"]]>",
    b"&",
    b"<?",
    b":",
    b"\n:61:",
    b"(",
)
_ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-16-be", "cp1250", "cp852", "latin-1", "utf-8-sig", "utf-32")


def mutated(random: Random, clean: bytes, others: Sequence[bytes]) -> bytes:
    """Damage a file one to three times; `others` are files that may be mixed into it."""
    data = clean
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(MUTATIONS)(random, data, others) or clean
    return data


def cut(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: random.randint(0, len(data))]


def cut_beginning(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[random.randint(0, len(data)) :]


def remove(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    begin, end = _span(random, data, 200)
    return data[:begin] + data[end:]


def flip_bits(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.randint(1, 8)):
        if damaged:
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def change_digits(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change what is read as amounts and days, and leave the frame whole."""
    damaged = bytearray(data)
    digits = [place for place, byte in enumerate(damaged) if 48 <= byte <= 57]
    for place in random.sample(digits, min(len(digits), random.randint(1, 6))):
        damaged[place] = random.choice(b"0123456789.,-+ eE")
    return bytes(damaged)


def duplicate_line(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    place = random.randrange(len(lines))
    return b"".join((*lines[:place], lines[place], *lines[place:]))


def duplicate_block(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    begin, end = _span(random, data, 2000)
    return data[:end] + data[begin:end] * random.randint(1, 3) + data[end:]


def swap_lines(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def swap_blocks(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    begin, end = _span(random, data, 500)
    return data[:begin] + data[end : end + 100] + data[begin:end] + data[end + 100 :]


def insert_hostile(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _inserted(random, data, random.choice(_HOSTILE))


def insert_number(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _inserted(random, data, random.choice(_HUGE))


def insert_brackets(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _inserted(random, data, random.choice(_BRACKETS) * random.choice((1, 1, 2, 50, 1000)))


def reencode(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    with suppress(UnicodeError):
        return data.decode("utf-8").encode(random.choice(_ENCODINGS), "replace")
    return data


def repeat_head(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: random.randint(0, min(len(data), 600))] * random.randint(1, 4) + data


def change_line_ends(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", random.choice((b"\r", b"\r\n", b"", b"\n\n", b"\n\r")))


def mix(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Put a part of a file of another format somewhere into it, or behind its beginning."""
    other = random.choice(others)
    begin, end = _span(random, other, 1000)
    if random.random() < 0.5:
        return _inserted(random, data, other[begin:end])
    return data[: random.randint(0, len(data))] + other[begin:]


MUTATIONS: Final[Sequence[Mutation]] = (
    cut,
    cut_beginning,
    remove,
    flip_bits,
    change_digits,
    duplicate_line,
    duplicate_block,
    swap_lines,
    swap_blocks,
    insert_hostile,
    insert_number,
    insert_brackets,
    reencode,
    repeat_head,
    change_line_ends,
    mix,
)


def _inserted(random: Random, data: bytes, what: bytes) -> bytes:
    place = random.randint(0, len(data))
    return data[:place] + what + data[place:]


def _span(random: Random, data: bytes, longest: int) -> tuple[int, int]:
    begin = random.randint(0, len(data))
    return begin, min(len(data), begin + random.randint(0, longest))
