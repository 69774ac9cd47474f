"""The rules by which MT940 and MT942 are read."""

from __future__ import annotations

from datetime import date

import pytest

from kvit.kernel.money import Money
from kvit.kernel.statements import NO_CURRENCY, Detection, Entry, Hints, StatementFile, detect, read
from kvit.kernel.statements import mt940 as mt940_reader
from tests.kernel.statements.mt940_writer import movement, mt940, mt942
from tests.kernel.statements.writers import CZECH_ACCOUNT, IBAN, camt, camt_entry, gpc, gpc_head, gpc_movement


def entries(file: StatementFile) -> list[Entry]:
    return [entry for statement in file.statements for entry in statement.entries]


def only_entry(*fields: str) -> Entry:
    (entry,) = entries(read(mt940(*fields)))
    return entry


def test_a_movement_is_read_with_both_its_days() -> None:
    entry = only_entry(movement(references="INVOICE 7//CT2603020001"))
    assert entry.amount == Money(10000, "CZK")
    assert (entry.value_on, entry.booked_on) == (date(2026, 3, 2), date(2026, 3, 3))
    assert (entry.external_id, entry.is_bank_id) == ("CT2603020001", False)
    assert (entry.reference, entry.message) == ("INVOICE 7", "Platba za marec")
    assert entry.raw == ":61:2603020303C100,00NTRFINVOICE 7//CT2603020001\n:86:Platba za marec"


def test_the_head_and_the_end_make_the_statement() -> None:
    (statement,) = read(mt940(movement())).statements
    assert (statement.account, statement.currency, statement.number) == (IBAN, "CZK", "3")
    assert statement.opening_balance == Money(100000, "CZK")
    assert statement.closing_balance == Money(110000, "CZK")
    assert (statement.from_date, statement.to_date) == (date(2026, 3, 1), date(2026, 3, 31))


@pytest.mark.parametrize(
    ("mark", "minor"),
    [("C", 10000), ("D", -10000), ("RC", -10000), ("RD", 10000), ("CK", 10000), ("DR", -10000)],
)
def test_the_mark_gives_the_sign(mark: str, minor: int) -> None:
    assert only_entry(movement(mark=mark)).minor == minor


def test_reversals_agree_with_the_balances() -> None:
    """A reversed credit went out again, a reversed debit came back: 1000 + 300 - 300 - 50 + 50."""
    fields = [movement("300,", "C"), movement("300,", "RC"), movement("50,", "D"), movement("50,", "RD")]
    file = read(mt940(*fields, closing="C260331CZK1000,00"))
    assert [entry.minor for entry in entries(file)] == [30000, -30000, -5000, 5000]
    assert file.warnings == ()


def test_a_wrong_sign_would_be_seen_by_the_balances() -> None:
    (warning,) = read(mt940(movement("300,", "RC"), closing="C260331CZK1300,00")).warnings
    assert "do not agree" in warning.message


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ("1,", 100),
        ("1,5", 150),
        ("1,50", 150),
        ("1,500", 150),
        ("000000001,00", 100),
        ("52.58", 5258),
        (",5", None),
    ],
)
def test_amounts_are_read_as_banks_write_them(amount: str, minor: int | None) -> None:
    file = read(mt940(movement(amount)))
    assert [entry.minor for entry in entries(file)] == ([] if minor is None else [minor])


@pytest.mark.parametrize("line", ["2603020303CCZK3000,00NTRFNONREF", "2603020303DCZK-3000,00NTRFNONREF"])
def test_the_currency_and_the_sign_of_fio_are_read(line: str) -> None:
    entry = only_entry(f":61:{line}")
    assert entry.amount == Money(-300000 if "-" in line else 300000, "CZK")


@pytest.mark.parametrize(
    "line",
    [
        "2603020303CCZK-3000,00NTRFNONREF",
        "2603020303CEUR3000,00NTRFNONREF",
        "2602300303C1,00NTRFNONREF",
        "2603020230C1,00NTRFNONREF",
        "2603020303C1,005NTRFNONREF",
        "2603020303C1000NTRFNONREF",
        "2603020303C1.000,00NTRFNONREF",
        "2603020303X1,00NTRFNONREF",
        "2603020303C1,00",
        "",
    ],
)
def test_a_movement_that_cannot_be_read_is_one_error_and_the_others_go_on(line: str) -> None:
    file = read(mt940(movement("1,"), f":61:{line}\r\n:86:text", movement("2,")))
    assert [entry.minor for entry in entries(file)] == [100, 200]
    assert [(problem.line, problem.field) for problem in file.errors] == [(7, ":61:")]


def test_movements_are_read_alike_one_by_one_and_together() -> None:
    """A movement that cannot be read makes its neighbours be read one by one."""
    fields = [
        movement(f"{n},{n:02}", information=f"?20VS{n}" if n % 2 else f"Platba {n}") for n in range(1, 40)
    ]
    together = entries(read(mt940(*fields)))
    apart = entries(read(mt940(*fields, ":61:nothing")))
    assert together == apart


def test_the_entry_day_may_stand_in_another_year_or_be_blank() -> None:
    assert only_entry(movement(days="2601011230")).booked_on == date(2025, 12, 30)
    assert only_entry(movement(days="2512310102")).booked_on == date(2026, 1, 2)
    assert only_entry(movement(days="260302    ")).booked_on == date(2026, 3, 2)
    assert only_entry(movement(days="260302")).booked_on == date(2026, 3, 2)


@pytest.mark.parametrize(("reference", "kept"), [("NONREF", ""), ("KREF+", ""), ("2026001", "2026001")])
def test_a_word_for_no_reference_is_none(reference: str, kept: str) -> None:
    assert only_entry(movement(references=reference)).reference == kept


@pytest.mark.parametrize("reference", ["000001", "55555", "nota", "NONREF", ""])
def test_counters_and_words_are_no_ids_of_the_bank(reference: str) -> None:
    entry = only_entry(movement(references=f"NONREF//{reference}"))
    assert entry.external_id.startswith("h1:")


def test_a_page_is_a_statement_with_its_own_balances() -> None:
    first = mt940(movement("10,"), closing="").removesuffix(b"-\r\n") + b":62M:C260331CZK1010,00\r\n-\r\n"
    second = mt940(movement("20,"), number="3/2", opening="", closing="C260331CZK1030,00")
    file = read(first + second.replace(b":28C:3/2", b":28C:3/2\r\n:60M:C260331CZK1010,00"))
    assert [statement.number for statement in file.statements] == ["3", "3"]
    assert [str(each.closing_balance) for each in file.statements] == ["1010.00 CZK", "1030.00 CZK"]
    assert file.warnings == ()


def test_accounts_in_one_file_do_not_mix() -> None:
    other = mt940(movement("5,"), account="2010/2000145399", closing="C260331CZK1005,00")
    file = read(mt940(movement()) + other)
    assert [each.account for each in file.statements] == [IBAN, "2000145399/2010"]
    assert [len(each.entries) for each in file.statements] == [1, 1]


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("NL68INGB0000012345EUR", "NL68INGB0000012345"),
        ("NL50RABO0156750961 EUR", "NL50RABO0156750961"),
        ("20070000/0123456601", "20070000/0123456601"),
        ("2010/19-2000145399", "19-2000145399/2010"),
    ],
)
def test_the_account_is_written_without_the_currency_behind_it(text: str, account: str) -> None:
    assert read(mt940(account=text)).statements[0].account == account


def test_swift_blocks_and_the_banks_lines_between_messages_are_no_text() -> None:
    message = mt940(movement(information="last"), closing="", end="\n")
    wrapped = b"{1:F01BANKXX}{2:O940BANKXX}{3:}{4:\n" + message.removesuffix(b"-\n") + b"-}{5:}\n"
    named = b"ABNANL2A\n940\nABNANL2A\n" + message
    assert [entry.message for entry in entries(read(wrapped + wrapped))] == ["last", "last"]
    assert [entry.message for entry in entries(read(named + named))] == ["last", "last"]


def test_a_line_that_begins_with_a_hyphen_stays_in_the_text() -> None:
    texts = [
        entry.message
        for entry in entries(read(mt940(movement(information="one\n-two\n-\nthree"), movement())))
    ]
    assert texts == ["one -two - three", "Platba za marec"]


def test_information_behind_the_closing_balance_belongs_to_no_movement() -> None:
    data = mt940(movement()).replace(b"-\r\n", b":86:all\r\n:86:more\r\n:64:C260331CZK1,00\r\n-\r\n")
    (entry,) = entries(read(data))
    assert entry.message == "Platba za marec"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1250", "cp852"])
def test_czech_letters_are_read_in_every_encoding_banks_use(encoding: str) -> None:
    data = mt940(movement(information="Žofie Řeháčková, příliš žluťoučký kůň")).decode().encode(encoding)
    assert entries(read(data))[0].message == "Žofie Řeháčková, příliš žluťoučký kůň"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "@@"])
def test_every_end_of_line_is_known(end: str) -> None:
    data = mt940(movement("1,").replace("\n", end), movement("2,").replace("\n", end), end=end)
    data = end.encode() + data
    assert [(each.minor, each.line) for each in entries(read(data))] == [(100, 6), (200, 8)]


def test_stray_control_characters_are_skipped() -> None:
    data = b"\x01" + mt940(movement()).replace(b"Platba", b"Pla\0tba") + b"\x03"
    assert entries(read(data))[0].message == "Platba za marec"


def test_a_cut_tag_is_put_together() -> None:
    data = mt940(":61:2603020303CR\n30,00N062NONREF\n:\n86:text", closing="")
    (entry,) = entries(read(data))
    assert (entry.minor, entry.message) == (3000, "text")


def test_an_unknown_field_is_one_warning() -> None:
    file = read(mt940(":99:x", movement(), ":99:y"))
    assert [(problem.message, problem.line) for problem in file.warnings] == [
        ("Fields of the kind :99: are not read.", 5)
    ]


def test_movements_without_a_head_keep_no_currency() -> None:
    data = f"{movement()}\n".encode()
    file = read(data)
    assert [(each.account, each.currency) for each in file.statements] == [("", "")]
    assert [entry.currency for entry in entries(file)] == [NO_CURRENCY]
    assert "no head" in file.warnings[0].message
    assert [entry.currency for entry in entries(read(data, hints=Hints(currency="EUR")))] == ["EUR"]


def test_a_balance_that_cannot_be_read_is_an_error_and_absent() -> None:
    file = read(mt940(movement(), closing="C260331CZK11 00,00"))
    assert file.statements[0].closing_balance is None
    assert [(problem.line, problem.field) for problem in file.errors] == [(7, ":62F:")]


def test_a_balance_without_currency_is_never_guessed() -> None:
    file = read(mt940(movement(), closing="C2603311100,00"))
    assert file.statements[0].closing_balance is None
    assert "currency" in file.warnings[0].message


def test_a_second_opening_balance_is_a_doubt() -> None:
    file = read(mt940(":60F:C260301CZK7,00", movement()))
    assert file.statements[0].opening_balance == Money(100000, "CZK")
    assert "second opening balance" in file.warnings[0].message


def test_movements_behind_the_closing_balance_are_kept_with_a_doubt() -> None:
    file = read(mt940(movement()) + f"{movement('5,', days='260301')}\n".encode())
    assert [entry.minor for entry in entries(file)] == [10000, 500]
    assert any("behind the closing balance" in problem.message for problem in file.warnings)


def test_a_movement_of_a_day_after_the_end_is_a_doubt() -> None:
    (warning,) = read(mt940(movement(days="260401"))).warnings
    assert "2026-04-01" in warning.message


def test_an_interim_report_has_no_balances_and_counts_its_movements() -> None:
    report = (movement("10,", "D", days="260302"), movement("20,", days="260302"))
    file = read(mt942(*report, ":90D:1CZK10,", ":90C:1CZK20,00"))
    (statement,) = file.statements
    assert (statement.currency, statement.opening_balance, statement.closing_balance) == ("CZK", None, None)
    assert [entry.minor for entry in statement.entries] == [-1000, 2000]
    assert (file.warnings, file.errors) == ((), ())


@pytest.mark.parametrize("counted", [":90D:2CZK10,00", ":90D:1CZK10,01", ":90D:nothing"])
def test_a_report_that_counts_otherwise_is_a_doubt(counted: str) -> None:
    (warning,) = read(mt942(movement("10,", "D", days="260302"), counted)).warnings
    assert warning.field == ":90D:"


def test_what_is_only_expected_is_pending() -> None:
    report = [
        movement(mark=mark, days=days) for mark, days in (("EC", "260302"), ("C", "260303"), ("C", "260302"))
    ]
    assert [entry.pending for entry in entries(read(mt942(*report)))] == [True, True, False]


def test_a_long_file_keeps_every_movement_and_its_line() -> None:
    count = 9_000
    fields = [movement(f"{n},00", references=f"{n}//CT{n:010}") for n in range(1, count + 1)]
    found = entries(read(mt940(*fields, closing="", end="\n")))
    assert [entry.minor for entry in found] == [n * 100 for n in range(1, count + 1)]
    assert [entry.line for entry in found] == [5 + 2 * n for n in range(count)]


@pytest.mark.parametrize(
    "data",
    [
        gpc(gpc_head(), gpc_movement()),
        camt(camt_entry(more="<AddtlNtryInf>\n:61:2603020303C1,00NTRF\n:86:x</AddtlNtryInf>")),
        b'{"note": "\\n:61:"}',
        b"date;amount\r\n:20:15;1\r\n",
        CZECH_ACCOUNT.encode(),
    ],
)
def test_other_files_are_not_claimed(data: bytes) -> None:
    assert mt940_reader.detect(data) is None


def test_a_message_is_known_for_sure() -> None:
    assert detect(mt940()) == Detection(format="mt940")
    assert detect(b"\xef\xbb\xbfpreface\r\n" + mt942()) == Detection(format="mt940")
