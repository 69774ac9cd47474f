"""Invented but lifelike movements, the same ones each time; this module needs neither Django nor Kvit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

ACCOUNT = "CZ6508000000192000145399"


@dataclass(frozen=True, slots=True)
class Invented:
    """One movement by the names of the plugin contract."""

    external_id: str
    amount: Decimal
    currency: str
    booked_on: date
    counterparty_name: str
    counterparty_account: str
    variable_symbol: str
    constant_symbol: str
    message: str


def invented(count: int) -> Iterator[Invented]:
    chance = random.Random(7)
    for number in range(count):
        yield Invented(
            external_id=str(26_000_000_000 + number),
            amount=Decimal(chance.randrange(-5_000_000, 5_000_000)).scaleb(-2),
            currency="CZK",
            booked_on=date(2025, 1, 1) + timedelta(days=number * 365 // count),
            counterparty_name=f"Obchod {chance.randrange(10**6):06d} s.r.o.",
            counterparty_account=f"{chance.randrange(10**9):010d}/0800",
            variable_symbol=f"{2_025_000_000 + number}",
            constant_symbol="0308",
            message=f"Faktura {2_025_000_000 + number} děkujeme za platbu",
        )
