"""The rules by which camt.053 is read."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from datetime import date

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import Detection, Entry, StatementFile, detect, read
from tests.kernel.statements.writers import IBAN, OTHER_IBAN, camt, camt_balance, camt_entry


def only_entry(data: bytes) -> Entry:
    (statement,) = read(data).statements
    (entry,) = statement.entries
    return entry


def messages(file: StatementFile) -> str:
    return " ".join(problem.message for problem in (*file.warnings, *file.errors))


def test_incoming_money_is_positive_and_outgoing_negative() -> None:
    (statement,) = read(camt(camt_entry("100.00", "CRDT"), camt_entry("30.5", "DBIT"))).statements
    assert [entry.amount for entry in statement.entries] == [Money(10000, "CZK"), Money(-3050, "CZK")]


def test_a_reversal_keeps_the_sign_that_the_bank_wrote() -> None:
    entry = only_entry(camt(camt_entry("100.00", "CRDT", more="<RvslInd>true</RvslInd>")))
    assert entry.amount == Money(10000, "CZK")


def test_a_reversal_is_turned_round_only_where_the_balances_prove_it() -> None:
    head = camt_balance("OPBD", "500.00") + camt_balance("CLBD", "400.00")
    file = read(camt(camt_entry("100.00", "CRDT", more="<RvslInd>true</RvslInd>"), head=head))
    assert file.statements[0].entries[0].amount == Money(-10000, "CZK")
    assert "Reversals were turned round" in messages(file)


def test_the_balances_are_opening_booked_and_closing_booked() -> None:
    head = camt_balance("CLAV", "1.00") + camt_balance("OPBD", "0.00") + camt_balance("CLBD", "100.00")
    (statement,) = read(camt(camt_entry(), head=head)).statements
    assert (statement.opening_balance, statement.closing_balance) == (Money(0, "CZK"), Money(10000, "CZK"))


def test_the_previously_closed_balance_opens_where_no_opening_one_is_given() -> None:
    (statement,) = read(camt(head=camt_balance("PRCD", "7.00", "DBIT"))).statements
    assert statement.opening_balance == Money(-700, "CZK")


def test_balances_that_do_not_agree_are_a_warning_and_the_movements_stay() -> None:
    file = read(camt(camt_entry(), head=camt_balance("OPBD", "1.00") + camt_balance("CLBD", "2.00")))
    assert len(file.statements[0].entries) == 1
    assert file.errors == ()
    assert "do not agree" in messages(file)


def test_a_balance_that_cannot_be_read_is_an_error_and_absent() -> None:
    file = read(camt(camt_entry(), head=camt_balance("OPBD", "1.005")))
    assert file.statements[0].opening_balance is None
    assert [problem.field for problem in file.errors] == ["Bal/Amt"]


@pytest.mark.parametrize("amount", ["", "abc", "8.855", "1,50", "1e3", "NaN", "1_000", "9" * 20, "１２"])
def test_an_amount_that_cannot_be_read_stops_its_entry_only(amount: str) -> None:
    file = read(camt(camt_entry(amount), camt_entry("5.00")))
    assert [entry.amount for entry in file.statements[0].entries] == [Money(500, "CZK")]
    assert [(problem.field, problem.line) for problem in file.errors] == [("Amt", 3)]


def test_zeros_behind_two_decimals_do_no_harm() -> None:
    assert only_entry(camt(camt_entry("8.85000"))).amount == Money(885, "CZK")


@pytest.mark.parametrize("currency", ["", "czk", "KČ"])
def test_an_unknown_currency_stops_its_entry(currency: str) -> None:
    file = read(camt(camt_entry(currency=currency)))
    assert file.statements[0].entries == ()
    assert file.errors[0].field == "Amt"


@pytest.mark.parametrize(
    ("day", "mark"), [("2026-02-30", "CRDT"), ("2.3.2026", "CRDT"), ("2026-03-02", "XXXX")]
)
def test_an_entry_with_a_wrong_day_or_mark_is_left_out_with_an_error(day: str, mark: str) -> None:
    file = read(camt(camt_entry(booked=day, mark=mark), camt_entry()))
    assert len(file.statements[0].entries) == 1
    assert file.errors[0].field in {"BookgDt", "CdtDbtInd"}


def test_the_day_of_a_moment_is_taken_as_it_is_written() -> None:
    moment = "<BookgDt><DtTm>2026-03-01T23:30:00.000-05:00</DtTm></BookgDt>"
    assert only_entry(camt(camt_entry(booked=None, more=moment))).booked_on == date(2026, 3, 1)


def test_an_entry_without_booking_day_takes_the_value_day_with_a_warning() -> None:
    file = read(camt(camt_entry(booked=None, valued="2026-03-04")))
    assert file.statements[0].entries[0].booked_on == date(2026, 3, 4)
    assert [problem.field for problem in file.warnings] == ["BookgDt"]


def test_an_entry_without_any_day_takes_the_only_day_of_its_statement() -> None:
    one_day = camt_balance("OPBD", "0.00") + camt_balance("CLBD", "100.00")
    assert only_entry(camt(camt_entry(booked=None), head=one_day)).booked_on == date(2026, 3, 2)


def test_an_entry_without_any_day_is_an_error_where_the_statement_has_two() -> None:
    two_days = camt_balance("OPBD", "0.00", day="2026-03-01") + camt_balance("CLBD", "100.00")
    file = read(camt(camt_entry(booked=None), head=two_days))
    assert file.statements[0].entries == ()
    assert [problem.field for problem in file.errors] == ["BookgDt"]


@pytest.mark.parametrize("state", ["PDNG", "<Cd>PDNG</Cd>", "<Cd>FUTR</Cd>"])
def test_an_announced_entry_is_pending_and_outside_the_balances(state: str) -> None:
    head = camt_balance("OPBD", "5.00") + camt_balance("CLBD", "5.00")
    file = read(camt(camt_entry(more=f"<Sts>{state}</Sts>"), head=head))
    assert file.statements[0].entries[0].pending
    assert file.warnings == ()


def test_an_entry_for_information_is_skipped_with_a_warning() -> None:
    file = read(camt(camt_entry(more="<Sts>INFO</Sts>")))
    assert file.statements[0].entries == ()
    assert [problem.field for problem in file.warnings] == ["Sts"]


def test_an_unknown_state_is_an_error() -> None:
    assert read(camt(camt_entry(more="<Sts>WHAT</Sts>"))).errors[0].field == "Sts"


def party(role: str, name: str, iban: str) -> str:
    return f"<{role}><Pty><Nm>{name}</Nm></Pty></{role}><{role}Acct><Id><IBAN>{iban}</IBAN></Id></{role}Acct>"


@pytest.mark.parametrize("mark", ["CRDT", "DBIT"])
@pytest.mark.parametrize("roles", [("Dbtr", "Cdtr"), ("Cdtr", "Dbtr")])
def test_the_counterparty_is_the_party_that_is_not_the_own_account(mark: str, roles: tuple[str, str]) -> None:
    parties = party(roles[0], "Kvit", IBAN) + party(roles[1], "Jana Pokusná", OTHER_IBAN)
    entry = only_entry(camt(camt_entry("1.00", mark, details=[f"<RltdPties>{parties}</RltdPties>"])))
    assert (entry.counterparty_name, entry.counterparty_account) == ("Jana Pokusná", OTHER_IBAN)


def test_a_domestic_account_is_written_with_its_bank_code() -> None:
    details = (
        "<RltdPties><DbtrAcct><Id><Othr><Id>0000192000145399</Id></Othr></Id></DbtrAcct></RltdPties>"
        "<RltdAgts><DbtrAgt><FinInstnId><Othr><Id>0800</Id></Othr></FinInstnId></DbtrAgt></RltdAgts>"
    )
    assert only_entry(camt(camt_entry(details=[details]))).counterparty_account == "19-2000145399/0800"


@pytest.mark.parametrize(
    "details",
    [
        "<Refs><EndToEndId>/VS/2026001/SS/22/KS/0308</EndToEndId></Refs>",
        "<Refs><EndToEndId>/VS2026001/SS22/KS0308</EndToEndId></Refs>",
        "<RmtInf><Ustrd>VS:2026001SS:22KS:0308</Ustrd></RmtInf>",
        "<RmtInf><Strd>"
        + "".join(f"<CdtrRefInf><Ref>{ref}</Ref></CdtrRefInf>" for ref in ("VS:2026001", "SS:22", "KS:0308"))
        + "</Strd></RmtInf>",
    ],
)
def test_czech_symbols_are_found_where_banks_write_them(details: str) -> None:
    entry = only_entry(camt(camt_entry(details=[details])))
    assert (entry.variable_symbol, entry.specific_symbol, entry.constant_symbol) == ("2026001", "22", "0308")


@pytest.mark.parametrize("text", ["NOTPROVIDED", "VS:", "VS:0000", "DVS:12", "VS:12345678901"])
def test_what_is_no_symbol_gives_none(text: str) -> None:
    assert (
        only_entry(
            camt(camt_entry(details=[f"<Refs><EndToEndId>{text}</EndToEndId></Refs>"]))
        ).variable_symbol
        == ""
    )


def test_two_different_variable_symbols_in_one_payment_give_none_and_a_warning() -> None:
    file = read(camt(camt_entry(details=["<RmtInf><Ustrd>VS:1</Ustrd><Ustrd>VS:2</Ustrd></RmtInf>"])))
    assert file.statements[0].entries[0].variable_symbol == ""
    assert "variable symbols" in messages(file)


def test_a_batch_stays_one_entry_and_tells_only_what_all_its_payments_share() -> None:
    details = [
        f"<RltdPties>{party('Dbtr', name, OTHER_IBAN)}</RltdPties><RmtInf><Ustrd>VS:7</Ustrd></RmtInf>"
        for name in ("Anna", "Bruno")
    ]
    entry = only_entry(camt(camt_entry("200.00", details=details)))
    assert entry.amount == Money(20000, "CZK")
    assert (entry.counterparty_name, entry.counterparty_account, entry.variable_symbol) == (
        "",
        OTHER_IBAN,
        "7",
    )


def test_the_message_joins_free_text_and_references_that_are_no_symbols() -> None:
    details = (
        "<RmtInf><Ustrd>Faktura</Ustrd><Strd><RfrdDocInf><Nb>2026-17</Nb></RfrdDocInf>"
        "<CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf><CdtrRefInf><Ref>VS:17</Ref></CdtrRefInf></Strd></RmtInf>"
    )
    assert only_entry(camt(camt_entry(details=[details]))).message == "Faktura RF18539007547034 2026-17"


def test_text_of_the_entry_is_the_message_where_the_payment_has_none() -> None:
    assert only_entry(camt(camt_entry(more="<AddtlNtryInf>Poplatek</AddtlNtryInf>"))).message == "Poplatek"


@pytest.mark.parametrize("version", ["", ' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.14"'])
def test_any_version_and_no_namespace_are_read_alike(version: str) -> None:
    data = camt(camt_entry()).replace(
        b' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', version.encode()
    )
    assert only_entry(data).amount == Money(10000, "CZK")


def test_a_prefixed_namespace_is_read_alike() -> None:
    data = b'<n:Document xmlns:n="x"><n:BkToCstmrStmt><n:Stmt/></n:BkToCstmrStmt></n:Document>'
    assert detect(data) == Detection(format="camt.053")
    assert len(read(data).statements) == 1


def test_the_sister_messages_have_their_own_format_names() -> None:
    report = camt(camt_entry(), message="BkToCstmrAcctRpt", section="Rpt")
    notification = camt(camt_entry(), message="BkToCstmrDbtCdtNtfctn", section="Ntfctn")
    assert [read(data).format for data in (report, notification)] == ["camt.052", "camt.054"]
    assert len(read(notification).statements[0].entries) == 1


def test_a_message_without_statement_is_refused() -> None:
    with pytest.raises(StatementUnreadable):
        read(b"<Document><BkToCstmrStmt><GrpHdr/></BkToCstmrStmt></Document>")


def test_cut_xml_is_refused_with_source_and_line() -> None:
    with pytest.raises(StatementUnreadable) as caught:
        read(camt(camt_entry(), camt_entry())[:-60], source="march.xml")
    assert caught.value.source == "march.xml"
    assert caught.value.line is not None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_multiply_are_refused_at_once(encoding: str) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    text = (
        f'<!-- x --><!DOCTYPE Document [<!ENTITY l0 "ha">{laughs}]>\n'
        + camt(camt_entry("&l11;")).decode()[38:]
    )
    began = time.monotonic()
    with pytest.raises(StatementUnreadable, match="DOCTYPE"):
        read(text.encode(encoding))
    assert time.monotonic() - began < 2


def test_an_outside_entity_is_never_fetched() -> None:
    doctype = b'<!DOCTYPE Document [<!ENTITY f SYSTEM "file:///etc/hostname">]>\n<Document'
    with pytest.raises(StatementUnreadable, match="DOCTYPE"):
        read(camt(camt_entry("&f;")).replace(b"<Document", doctype, 1))


@pytest.mark.parametrize(("told", "reference"), [("E-1", "E-1"), ("NOTPROVIDED", "")])
def test_the_payers_own_reference_is_kept(told: str, reference: str) -> None:
    details = [f"<Refs><EndToEndId>{told}</EndToEndId></Refs>"]
    assert only_entry(camt(camt_entry(details=details))).reference == reference


def test_the_sister_messages_name_a_movement_alike() -> None:
    entry = camt_entry(more="<AcctSvcrRef>BANK-1</AcctSvcrRef>")
    messages = (("BkToCstmrAcctRpt", "Rpt"), ("BkToCstmrStmt", "Stmt"), ("BkToCstmrDbtCdtNtfctn", "Ntfctn"))
    entries = [only_entry(camt(entry, message=message, section=section)) for message, section in messages]
    assert {(each.external_id, each.is_bank_id) for each in entries} == {("BANK-1", True)}


def test_only_the_statement_whose_balances_prove_it_has_its_reversals_turned() -> None:
    reversal = camt_entry("100.00", "CRDT", more="<RvslInd>1</RvslInd>")
    heads = [
        camt_balance("OPBD", "500.00") + camt_balance("CLBD", closing) for closing in ("600.00", "400.00")
    ]
    first, second = (camt(reversal, head=head) for head in heads)
    section = second[second.index(b"<Stmt>") : second.index(b"</BkToCstmrStmt>")]
    file = read(first.replace(b"</BkToCstmrStmt>", section + b"</BkToCstmrStmt>"))
    assert [each.entries[0].minor for each in file.statements] == [10000, -10000]
    assert len(file.warnings) == 1


def test_a_reversal_is_not_turned_where_an_entry_could_not_be_read() -> None:
    head = camt_balance("OPBD", "500.00") + camt_balance("CLBD", "400.00")
    data = camt(camt_entry(more="<RvslInd>true</RvslInd>"), camt_entry("x"), head=head)
    assert read(data).statements[0].entries[0].minor == 10000


def test_balances_behind_the_entries_count_too() -> None:
    data = camt(camt_entry(), camt_balance("OPBD", "0.00"), camt_balance("CLBD", "90.00"))
    file = read(data)
    assert file.statements[0].closing_balance == Money(9000, "CZK")
    assert "do not agree" in messages(file)


def test_the_day_a_report_was_made_serves_only_where_it_tells_no_other() -> None:
    made = "<CreDtTm>2026-03-05T10:00:00</CreDtTm>"
    period = "<FrToDt><FrDt>2026-03-01</FrDt><ToDt>2026-03-31</ToDt></FrToDt>"
    entry = camt_entry(booked=None)
    assert only_entry(camt(entry, head=made)).booked_on == date(2026, 3, 5)
    assert [problem.field for problem in read(camt(entry, head=made)).warnings] == ["BookgDt"]
    assert read(camt(entry, head=made + period)).statements[0].entries == ()


def test_a_statement_without_currency_has_that_of_its_entries() -> None:
    data = camt(camt_entry()).replace(b"<Ccy>CZK</Ccy>", b"")
    assert read(data).statements[0].currency == "CZK"


def test_many_entries_in_two_shapes_are_read_each_as_it_is() -> None:
    written = [
        camt_entry(f"{number}.00", more=f"<NtryRef>ref-{number}</NtryRef>") for number in range(1, 2500)
    ]
    written[1::2] = [
        entry.replace("CRDT", "DBIT").replace("<BookgDt>", "<BookgDt >") for entry in written[1::2]
    ]
    entries = read(camt(*written)).statements[0].entries
    assert [entry.minor for entry in entries] == [
        number * 100 * (1 if number % 2 else -1) for number in range(1, 2500)
    ]
    assert [entry.raw for entry in entries] == written
    assert [entry.line for entry in entries] == list(range(3, 2502))


@pytest.mark.parametrize("seed", range(60))
def test_damage_ends_in_entries_or_the_one_error(seed: int) -> None:
    chance = random.Random(seed)
    details = [
        "<RmtInf><Ustrd>VS:1 &amp; x</Ustrd></RmtInf><RltdPties><Dbtr><Nm>Žofie</Nm></Dbtr></RltdPties>"
    ]
    data = bytearray(
        camt(*[camt_entry(details=details) for _ in range(12)], head=camt_balance("OPBD", "1.00"))
    )
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(200, len(data))
        end = min(len(data), start + chance.randrange(1, 60))
        match chance.randrange(3):
            case 0:
                del data[start:end]
            case 1:
                data[start:start] = data[start:end]
            case _:
                data[start] = chance.randrange(256)
    text = data.decode(errors="replace")
    with suppress(StatementUnreadable):
        file = read(bytes(data))
        assert all(entry.raw in text for each in file.statements for entry in each.entries)


def test_the_line_of_an_entry_is_where_it_begins() -> None:
    (statement,) = read(camt(camt_entry(), camt_entry())).statements
    assert [entry.line for entry in statement.entries] == [3, 4]
