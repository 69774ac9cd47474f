"""The plugin of statement files, on invented files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from kvit.kernel.errors import FileIncomplete
from kvit.plugin import (
    Account,
    AccountStatement,
    Checkpoint,
    Identity,
    Item,
    Misconfigured,
    PluginError,
    SourceFile,
    Transaction,
    Unreadable,
)
from kvit.plugins.statement_file import StatementFile, StatementFileConfig
from kvit.sync.http import HttpClient
from tests.banks.fio import Account as FioAccount
from tests.banks.fio import Movement, statement_json
from tests.plugins.harness import Run, http_client

TODAY = date(2025, 6, 30)
IBAN = "CZ6508000000192000145399"


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with http_client() as client:
        yield client


def camt(*entries: str, currency: str = "CZK", account: str = f"<IBAN>{IBAN}</IBAN>") -> bytes:
    """Write a camt.053 statement of one account; no account currency where `currency` is empty."""
    stated = f"<Ccy>{currency}</Ccy>" if currency else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
        "<GrpHdr><MsgId>1</MsgId><CreDtTm>2025-06-30T08:00:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>1</Id><Acct><Id>{account}</Id>{stated}</Acct>{''.join(entries)}</Stmt>"
        "</BkToCstmrStmt></Document>"
    ).encode()


def ntry(id: str, amount: str, currency: str = "CZK", *, status: str = "BOOK", text: str = "") -> str:
    sign, digits = ("DBIT", amount[1:]) if amount.startswith("-") else ("CRDT", amount)
    return (
        f'<Ntry><NtryRef>{id}</NtryRef><Amt Ccy="{currency}">{digits}</Amt><CdtDbtInd>{sign}</CdtDbtInd>'
        f"<Sts>{status}</Sts><BookgDt><Dt>2025-06-27</Dt></BookgDt><AcctSvcrRef>{id}</AcctSvcrRef>"
        f"<NtryDtls><TxDtls><RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def gpc(*, currency: str = "0203", amount: str = "000000125010") -> bytes:
    """Write a GPC (ABO) statement with one incoming payment; currency `0000` is none."""
    account = "0000192000145399"
    balance = "00000000125010"
    head = f"074{account}{'NOVAK JAN':<20}260625{'0' * 14}+{balance}+{'0' * 14}0{balance}0001270625{' ' * 14}"
    symbols = "000000001200201003080000000042"
    item = f"075{account}0000002600170205{7:013}{amount}2{symbols}270625{'CIZEK REHOR':<20}0{currency}270625"
    lines = [head, item]
    assert {len(line) for line in lines} == {128}
    return "".join(f"{line}\r\n" for line in lines).encode("cp1250")


def synced(http: HttpClient, run: Run, currency: str = "") -> list[Item]:
    return list(StatementFile(StatementFileConfig(currency=currency), http).sync(run))


def handed(*files: bytes) -> Run:
    named = [SourceFile(name=f"file-{place}", data=data) for place, data in enumerate(files, start=1)]
    return Run(today=TODAY, files=named)


def transactions(items: list[Item]) -> list[Transaction]:
    return [item for item in items if isinstance(item, Transaction)]


def accounts(items: list[Item]) -> list[Account]:
    return [item for item in items if isinstance(item, Account)]


def test_a_connection_of_files_needs_no_network(http: HttpClient) -> None:
    plugin = StatementFile(StatementFileConfig(), http)

    assert plugin.check() == Identity(key="statement_file", label="Statement files")
    assert list(plugin.sync(handed())) == []


def test_a_fio_file_keeps_ids_symbols_and_exact_amounts(http: HttpClient) -> None:
    movement = Movement(
        id=26_000_000_001,
        booked_on=TODAY,
        amount=Decimal("-1250.10"),
        variable_symbol="0000000012",
        message="Kočka & pes",
    )
    own = FioAccount(movements=[movement])

    items = synced(http, handed(statement_json(own, TODAY, TODAY)))

    (account,), (read,) = accounts(items), transactions(items)
    assert (account.external_id, account.number, account.currency) == (
        f"{own.iban} CZK fio-json",
        own.iban,
        "CZK",
    )
    assert (read.account_id, read.external_id) == (account.external_id, "26000000001")
    assert (read.amount, read.variable_symbol, read.message) == (
        Decimal("-1250.10"),
        "0000000012",
        "Kočka & pes",
    )
    assert "26000000001" in read.raw["text"]


def test_ids_are_told_as_the_bank_s_own_only_where_the_format_proves_it(http: HttpClient) -> None:
    own = FioAccount(movements=[Movement(id=26_000_000_001, booked_on=TODAY, amount=Decimal(1))])

    (of_fio,) = transactions(synced(http, handed(statement_json(own, TODAY, TODAY))))
    (of_camt,) = transactions(synced(http, handed(camt(ntry("B-1", "10.00")))))
    (of_gpc,) = transactions(synced(http, handed(gpc())))

    assert (of_fio.is_bank_id, of_camt.is_bank_id, of_gpc.is_bank_id) == (True, True, False)


def test_the_same_file_twice_says_the_same(http: HttpClient) -> None:
    data = camt(ntry("A", "10.00"), ntry("B", "10.00"))

    assert synced(http, handed(data)) == synced(http, handed(data))


def test_two_currencies_in_one_statement_are_two_accounts(http: HttpClient) -> None:
    data = camt(ntry("A", "10.00"), ntry("B", "-3.50", "EUR"), ntry("C", "20.00"))

    items = synced(http, handed(data))

    assert [(one.external_id, one.number, one.currency) for one in accounts(items)] == [
        (f"{IBAN} CZK camt.053", IBAN, "CZK"),
        (f"{IBAN} EUR camt.053", IBAN, "EUR"),
    ]
    assert {(one.external_id, one.account_id, one.amount) for one in transactions(items)} == {
        ("A", f"{IBAN} CZK camt.053", Decimal("10.00")),
        ("C", f"{IBAN} CZK camt.053", Decimal("20.00")),
        ("B", f"{IBAN} EUR camt.053", Decimal("-3.50")),
    }


def test_one_number_with_statements_in_two_currencies_is_two_accounts(http: HttpClient) -> None:
    items = synced(http, handed(camt(ntry("A", "10.00")), camt(ntry("A", "9.00", "EUR"), currency="EUR")))

    assert [(one.account_id, one.currency) for one in transactions(items)] == [
        (f"{IBAN} CZK camt.053", "CZK"),
        (f"{IBAN} EUR camt.053", "EUR"),
    ]


def test_a_statement_without_movements_still_names_its_account(http: HttpClient) -> None:
    items = synced(http, handed(camt()))

    assert [one.external_id for one in accounts(items)] == [f"{IBAN} CZK camt.053"]


def test_a_currency_is_taken_from_the_movements_where_only_they_say_it(http: HttpClient) -> None:
    items = synced(http, handed(camt(ntry("A", "10.00", "EUR"), currency="")))

    assert [one.currency for one in accounts(items)] == ["EUR"]


def test_a_gpc_file_is_read_with_its_symbols(http: HttpClient) -> None:
    (read,) = transactions(synced(http, handed(gpc())))

    assert (read.amount, read.currency, read.booked_on) == (Decimal("1250.10"), "CZK", date(2025, 6, 27))
    assert (read.variable_symbol.lstrip("0"), read.counterparty_account) == ("12", "2600170205/2010")


def test_a_file_without_a_currency_asks_the_person_for_it(http: HttpClient) -> None:
    data = gpc(currency="0000")

    with pytest.raises(FileIncomplete, match="does not say the currency") as raised:
        synced(http, handed(data))
    assert raised.value.field == "currency"
    assert raised.value.needs == {"currency"}

    said = Run(today=TODAY, files=[SourceFile(name="a.gpc", data=data, currency="CZK")])
    for items in (synced(http, handed(data), currency="CZK"), synced(http, said)):
        (account,), (read,) = accounts(items), transactions(items)
        assert account.currency == read.currency == "CZK"


def test_a_file_without_an_account_asks_the_person_for_it(http: HttpClient) -> None:
    data = camt(ntry("A", "10.00"), account="")

    with pytest.raises(FileIncomplete) as raised:
        synced(http, handed(data))
    assert raised.value.needs == {"account"}

    (account,) = accounts(
        synced(http, Run(today=TODAY, files=[SourceFile(name="a.xml", data=data, account=IBAN)]))
    )
    assert (account.number, account.external_id) == (IBAN, f"{IBAN} CZK camt.053")


def test_two_formats_are_two_sources_of_one_account(http: HttpClient) -> None:
    own = FioAccount(movements=[Movement(id=26_000_000_001, booked_on=TODAY, amount=Decimal(1))])
    as_camt = camt(ntry("26000000001", "1.00"), account=f"<IBAN>{own.iban}</IBAN>")

    found = accounts(synced(http, handed(statement_json(own, TODAY, TODAY), as_camt)))

    assert {(one.number, one.former_id) for one in found} == {(own.iban, f"{own.iban} CZK")}
    assert len({one.external_id for one in found}) == 2


def test_a_statement_is_told_after_its_movements(http: HttpClient) -> None:
    body = statement_json(FioAccount(), TODAY, TODAY)

    items = synced(http, handed(body))
    (told,) = (item for item in items if isinstance(item, AccountStatement))

    assert items.index(told) == len(items) - 2
    assert (told.format, told.entries, told.file) == ("fio-json", 0, "file-1")
    assert told.closing_balance == Decimal("1000.00")


def test_a_stated_currency_is_not_overruled_by_the_setting(http: HttpClient) -> None:
    (read,) = transactions(synced(http, handed(gpc()), currency="EUR"))

    assert read.currency == "CZK"


def test_pending_movements_are_said_to_be_pending(http: HttpClient) -> None:
    items = synced(http, handed(camt(ntry("A", "10.00"), ntry("B", "20.00", status="PDNG"))))

    assert [one.status for one in transactions(items)] == ["booked", "pending"]


def test_a_broken_record_is_put_aside_with_its_place(http: HttpClient) -> None:
    own = FioAccount(
        movements=[
            Movement(id=26_000_000_001, booked_on=TODAY, amount=Decimal("1.00")),
            Movement(id=26_000_000_002, booked_on=TODAY, amount=Decimal("77.77")),
        ]
    )
    data = statement_json(own, TODAY, TODAY).replace(b"77.77", b'"{broken}"')

    items = synced(http, handed(data))

    (aside,) = (item for item in items if isinstance(item, Unreadable))
    assert aside.field == "column1"
    assert aside.raw["file"] == "file-1"
    assert "{broken}" in aside.reason
    assert [one.external_id for one in transactions(items)] == ["26000000001"]


def test_doubts_about_a_file_are_told(http: HttpClient) -> None:
    body = statement_json(FioAccount(), TODAY, TODAY).replace(
        b'"closingBalance":1000.00', b'"closingBalance":7'
    )
    run = handed(body)

    synced(http, run)

    assert any(line.startswith("file-1: ") and "do not agree" in line for line in run.lines)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "file-2: The file is empty."),
        (b"%PDF-1.7 {x}", "file-2: This is a PDF."),
        (b"hello {name}", "file-2: This is not a statement"),
        (camt(ntry("A", "10.00"))[:-60], "file-2: "),
        (statement_json(FioAccount(), TODAY, TODAY)[:-9], "file-2: "),
        (camt(ntry("A", "10.00"), account=""), "file-2"),
    ],
)
def test_a_refused_file_is_named_after_the_others_were_read(
    http: HttpClient, data: bytes, message: str
) -> None:
    source = StatementFile(StatementFileConfig(), http).sync(
        handed(camt(ntry("A", "10.00")), data, camt(ntry("B", "20.00")))
    )
    items: list[Item] = []
    with pytest.raises(PluginError) as raised:  # what came before the error counts
        for item in source:
            items.append(item)  # noqa: PERF402  # `extend` promises nothing where the source raises

    assert isinstance(raised.value, Misconfigured)
    assert str(raised.value).startswith(message)
    assert [one.external_id for one in transactions(items)] == ["A", "B"]
    assert items[-1] == Checkpoint({})


def test_every_refused_file_is_named(http: HttpClient) -> None:
    run = handed(b"", camt(ntry("A", "10.00")), b"<html>", b"")

    with pytest.raises(Misconfigured, match="file-1: "):
        list(StatementFile(StatementFileConfig(), http).sync(run))

    assert [warning.partition(": ")[0] for warning in run.warnings] == ["file-3", "file-4"]


def test_a_batch_is_told_whole_with_its_payments_in_the_record(http: HttpClient) -> None:
    single = '<TxDtls><Refs/><AmtDtls><TxAmt><Amt Ccy="CZK">{}</Amt></TxAmt></AmtDtls></TxDtls>'
    batch = ntry("BATCH", "30.00").split("<NtryDtls>", maxsplit=1)[0]
    batch += f"<NtryDtls>{single.format('10.00')}{single.format('20.00')}</NtryDtls></Ntry>"

    (read,) = transactions(synced(http, handed(camt(batch))))

    assert (read.external_id, read.amount) == ("BATCH", Decimal("30.00"))
    assert [detail["minor"] for detail in read.raw["details"]] == [1000, 2000]
