"""Movements of GPC are read alike column by column and row by row, in files of any length."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.money import Money
from kvit.kernel.statements import Entry, Hints, read
from kvit.kernel.statements.accounts import account_of_digits, accounts_of_digits, is_valid
from tests.kernel.statements.writers import CZECH_ACCOUNT, gpc, gpc_head, gpc_movement

DIGITS = st.text("0123456789", min_size=16, max_size=16)
CODES = st.sampled_from(["", "0100", "2010"])
MOVEMENTS = st.builds(
    gpc_movement,
    st.integers(0, 10**12 - 1),
    st.sampled_from("1245"),
    other=DIGITS | st.just("0" * 16),
    reference=st.integers(0, 10**13 - 1).map("{:013}".format),
    variable=st.integers(0, 10**10 - 1).map("{:010}".format),
    constant=st.integers(0, 10**8 - 1).map("{:08}".format),
    specific=st.integers(0, 10**10 - 1).map("{:010}".format),
    valued=st.dates(date(1980, 1, 1), date(2079, 12, 31)).map("{:%d%m%y}".format) | st.just("000000"),
    name=st.text(" abcčř", max_size=20).map(lambda name: name.encode("cp1250")),
    currency=st.sampled_from(["0203", "0978", "0000"]),
    booked=st.dates(date(1980, 1, 1), date(2079, 12, 31)).map("{:%d%m%y}".format),
)
TEXTS = st.sampled_from([(), (b"078one  two",), (b"076" + b"0" * 32 + b"first", b"079second")])


def entries(*records: bytes) -> list[Entry]:
    (statement,) = read(gpc(gpc_head(), *records)).statements
    return [*statement.entries]


@given(st.lists(st.tuples(MOVEMENTS, TEXTS), min_size=1, max_size=5))
def test_columns_and_rows_give_the_same(movements: list[tuple[bytes, tuple[bytes, ...]]]) -> None:
    """A movement that cannot be read makes its neighbours be read row by row."""
    records = [record for movement, texts in movements for record in (movement, *texts)]
    assert entries(*records) == entries(*records, gpc_movement(code="9"))


@given(st.lists(st.tuples(DIGITS, CODES)))
def test_many_accounts_are_written_as_each_one(pairs: list[tuple[str, str]]) -> None:
    digits, codes = [each for each, _ in pairs], [code for _, code in pairs]
    assert accounts_of_digits(digits, codes) == [account_of_digits(*pair) for pair in pairs]


@given(DIGITS)
def test_the_check_of_an_account_weighs_its_digits(digits: str) -> None:
    prefix = sum(int(digit) * weight for digit, weight in zip(digits[:6], (10, 5, 8, 4, 2, 1), strict=True))
    weights = (6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
    number = sum(int(digit) * weight for digit, weight in zip(digits[6:], weights, strict=True))
    assert is_valid(digits) == (prefix % 11 == 0 and number % 11 == 0 and digits[6:] != "0" * 10)


def test_a_long_file_keeps_every_movement_its_text_and_its_line() -> None:
    count = 4_000
    days = [date(2026, 1, 1) + timedelta(days=n % 300) for n in range(count)]
    records = [
        record
        for n, day in enumerate(days)
        for record in (gpc_movement(n, booked=f"{day:%d%m%y}"), f"078text {n}".encode())
    ]
    found = entries(*records)
    assert [entry.minor for entry in found] == list(range(count))
    assert [entry.booked_on for entry in found] == days
    assert [entry.message for entry in found] == [f"text {n}" for n in range(count)]
    assert [entry.line for entry in found] == [2 + 2 * n for n in range(count)]


def test_blank_lines_are_counted_and_skipped() -> None:
    file = read(gpc(gpc_head(), b"", gpc_movement(), b"", b"078text"))
    assert [(each.line, each.message) for each in file.statements[0].entries] == [(3, "text")]


def test_balances_are_told_in_the_currency_of_the_movements() -> None:
    (statement,) = read(gpc(gpc_head(), gpc_movement(currency="0978"))).statements
    assert (statement.currency, statement.closing_balance) == ("EUR", Money(110000, "EUR"))


def test_a_person_who_knows_the_currency_ends_the_doubt() -> None:
    file = read(gpc(gpc_head(), gpc_movement(currency="    ")), hints=Hints(currency="CZK"))
    assert file.statements[0].opening_balance == Money(100000, "CZK")
    assert file.warnings == ()


def test_the_known_account_tells_the_internal_order() -> None:
    plain = "0000001234567890"
    internal = [""] * 16
    for digit, position in zip(plain, (11, 12, 13, 14, 15, 16, 5, 6, 7, 8, 9, 4, 10, 2, 3, 1), strict=True):
        internal[position - 1] = digit
    data = gpc(gpc_head(account="".join(internal)), gpc_movement(account="".join(internal)))
    assert read(data, hints=Hints(account="1234567890")).statements[0].account == "1234567890"
    assert read(data).statements[0].account == account_of_digits("".join(internal)) != "1234567890"
    assert account_of_digits(CZECH_ACCOUNT, known="1234567890") == CZECH_ACCOUNT.lstrip("0")
