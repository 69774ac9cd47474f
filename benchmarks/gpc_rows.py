"""Writes a GPC (ABO) statement of invented movements: the file that reading GPC is measured with."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final, TypedDict

_ACCOUNT: Final = "0000192000145399"


class Row(TypedDict):
    """One movement as the other formats of the benchmark have it."""

    d: date
    credit: bool
    cents: int
    ref: str
    vs: str
    name: str
    acct: str
    msg: str


def write(path: str | Path, n: int) -> None:
    """Write a statement of `n` movements, the same at every call."""
    write_rows(path, rows(n))


def write_rows(path: str | Path, movements: Iterable[Row]) -> None:
    """Write a statement of these movements; GPC holds 20 letters of the name and no message in its record."""
    with Path(path).open("w", encoding="cp1250", newline="") as file:
        file.write(f"{_head()}\r\n")
        file.writelines(f"{_movement(row)}\r\n" for row in movements)


def rows(n: int) -> Iterator[Row]:
    """Yield `n` invented movements of one year, in the order of their days."""
    chance = random.Random(7)
    for i in range(n):
        yield Row(
            cents=chance.randrange(100, 50_000_00),
            credit=chance.random() < 0.5,
            d=date(2025, 1, 1) + timedelta(days=i * 364 // n),
            ref=f"BR{i:010d}",
            vs=f"{2025000000 + i}",
            name=f"Obchod {chance.randrange(10**6):06d} s.r.o.",
            acct=f"{chance.randrange(10**9):010d}",
            msg=f"Faktura {2025000000 + i} dekujeme za platbu",
        )


def _head() -> str:
    balances = "010125" + "00000000100000+" * 2 + "00000000000000+" * 2 + "001311225"
    return f"074{_ACCOUNT}{'Zkusebni firma':20}{balances}".ljust(128)


def _movement(row: Row) -> str:
    day = f"{row['d']:%d%m%y}"
    number = row["ref"].strip("BR")
    return (
        f"075{_ACCOUNT}{_valid(row['acct']):0>16}{26 * 10**10 + int(number):013}{row['cents']:012}"
        f"{2 if row['credit'] else 1}{row['vs']:0>10}0008000558{0:010}{day}{row['name'][:20]:20}00203{day}"
    )


def _valid(account: str) -> str:
    """Return the nearest number that passes the check of Czech accounts, as every one in a bank's file does.

    The decree's weights are the powers of two modulo 11, which thirteen is as well.
    """
    number = int(account)
    while int(str(number), 13) % 11:
        number += 1
    return str(number)
