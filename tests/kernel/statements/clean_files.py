"""Invented files of every format that Kvit reads: the same month, in a short and a long form."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Final

from kvit.kernel.money import Money
from kvit.kernel.statements import Detail, Entry, Event, Statement, StatementEnd
from kvit.kernel.statements.writing import WRITERS, outline_of
from tests.kernel.statements.writers import IBAN, fio, fio_movement, gpc, gpc_head, gpc_movement

SHORT_ENTRIES: Final = 6
LONG_ENTRIES: Final = 150
_OPENING_MINOR: Final = 100_000


def entry(number: int) -> Entry:
    """Make an invented movement; each third one left, each seventh names nobody."""
    day = date(2026, 3, 1) + timedelta(days=number % 28)
    return Entry(
        booked_on=day,
        minor=(number * 12_345 + 100) * (-1 if number % 3 == 0 else 1),
        currency="CZK",
        external_id=f"{26_000_000_001 + number}",
        is_bank_id=True,
        value_on=day,
        counterparty_name="" if number % 7 == 0 else f"Zkušební {number}, s.r.o.",
        counterparty_account="2000145399/0800",
        variable_symbol=f"{20_260_000 + number}",
        constant_symbol="0308",
        message=f"Faktura č. {number} & „děkujeme“",
        reference=f"E2E-{number}",
    )


def written(name: str, entries: list[Entry]) -> bytes:
    """Write a statement with `kvit convert`'s own writer of that name."""
    opening = Money(_OPENING_MINOR, "CZK")
    head = Statement(account=IBAN, currency="CZK", opening_balance=opening, number="3", format="invented")
    end = StatementEnd(closing_balance=opening + Money(sum(each.minor for each in entries), "CZK"))
    events: list[Event] = [head, *entries, end]
    return "".join(WRITERS[name](outline_of(events), events)).encode()


def as_gpc(entries: list[Entry]) -> bytes:
    movements = (
        gpc_movement(
            abs(each.minor),
            "2" if each.minor >= 0 else "1",
            reference=each.external_id.rjust(13, "0"),
            variable=each.variable_symbol.rjust(10, "0"),
            name=each.counterparty_name.encode("cp1250")[:20],
            booked=f"{each.booked_on:%d%m%y}",
        )
        for each in entries
    )
    return gpc(gpc_head(), *movements, b"078AV: invented message")


def as_mt940(entries: list[Entry]) -> bytes:
    lines = [":20:KVIT", f":25:{IBAN}", ":28C:3/1", f":60F:C260301CZK{comma(_OPENING_MINOR)}"]
    for each in entries:
        mark = "C" if each.minor >= 0 else "D"
        lines.append(
            f":61:{each.booked_on:%y%m%d%m%d}{mark}{comma(abs(each.minor))}NTRFNONREF//{each.external_id}"
        )
        lines.append(f":86:020?00PAYMENT?20VS{each.variable_symbol}?21KS0308?32INVENTED {each.minor}")
    closing_minor = _OPENING_MINOR + sum(each.minor for each in entries)
    lines.append(f":62F:{'C' if closing_minor >= 0 else 'D'}260331CZK{comma(abs(closing_minor))}")
    return "\r\n".join([*lines, "-", ""]).encode()


def as_ofx1(entries: list[Entry]) -> bytes:
    movements = "".join(
        f"<STMTTRN>\n<TRNTYPE>OTHER\n<DTPOSTED>{each.booked_on:%Y%m%d}120000\n<TRNAMT>{point(each.minor)}\n"
        f"<FITID>{each.external_id}\n<NAME>Invented\n<MEMO>VS:{each.variable_symbol}\n</STMTTRN>\n"
        for each in entries
    )
    return (
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:UTF-8\nCHARSET:NONE\n"
        "COMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n<OFX>\n<SIGNONMSGSRSV1><SONRS><STATUS><CODE>0"
        "<SEVERITY>INFO</STATUS></SONRS></SIGNONMSGSRSV1>\n<BANKMSGSRSV1><STMTTRNRS><STMTRS>\n<CURDEF>CZK\n"
        "<BANKACCTFROM><BANKID>0800<ACCTID>2000145399<ACCTTYPE>CHECKING</BANKACCTFROM>\n<BANKTRANLIST>\n"
        f"<DTSTART>20260301\n<DTEND>20260331\n{movements}</BANKTRANLIST>\n"
        "<LEDGERBAL><BALAMT>1000.00<DTASOF>20260331</LEDGERBAL>\n</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n"
    ).encode()


def as_fio_json(entries: list[Entry]) -> bytes:
    return fio(*(fio_movement(**columns(each)) for each in entries), openingBalance=1000, closingBalance=None)


def as_fio_xml(entries: list[Entry]) -> bytes:
    movements = "".join(
        "<Transaction>{}</Transaction>\n".format(
            "".join(
                f'<column_{name[1:]} id="{name[1:]}" name="?">{value}</column_{name[1:]}>'
                for name, value in columns(each).items()
            )
        )
        for each in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<AccountStatement>\n<Info>'
        f"<accountId>2000145399</accountId><bankId>2010</bankId><currency>CZK</currency><iban>{IBAN}</iban>"
        "<openingBalance>1000.00</openingBalance><dateStart>2026-03-01+01:00</dateStart></Info>\n"
        f"<TransactionList>\n{movements}</TransactionList>\n</AccountStatement>\n"
    ).encode()


def columns(each: Entry) -> dict[str, object]:
    return {
        "c22": int(each.external_id),
        "c0": f"{each.booked_on}+01:00",
        "c1": float(point(each.minor)),
        "c14": "CZK",
        "c2": "2000145399",
        "c3": "0800",
        "c5": each.variable_symbol,
        "c16": f"Faktura {each.variable_symbol}",
    }


def as_csob_xml(entries: list[Entry]) -> bytes:
    movements = "".join(
        f"<FINSTA05>\n<S28_POR_CISLO>{number}</S28_POR_CISLO>\n<REF_TRANS_SYS>{each.external_id}</REF_TRANS_SYS>\n"
        f"<DPROCD>{each.booked_on:%d.%m.%Y}</DPROCD>\n<S61_DATUM>{each.booked_on:%d.%m.%Y}</S61_DATUM>\n"
        f"<S61_CD_INDIK>{'C' if each.minor >= 0 else 'D'}</S61_CD_INDIK>\n<S61_MENA>CZK</S61_MENA>\n"
        f"<S61_CASTKA>{'+' if each.minor >= 0 else '-'}{comma(abs(each.minor))}</S61_CASTKA>\n"
        f"<S86_VARSYMPAR>{each.variable_symbol}</S86_VARSYMPAR>\n<PART_ACC_ID>Zkušební</PART_ACC_ID>\n</FINSTA05>\n"
        for number, each in enumerate(entries, 1)
    )
    return (
        '<?xml version="1.0" encoding="windows-1250"?>\n<FINSTA>\n<FINSTA03>\n'
        "<S28_CISLO_VYPISU>3</S28_CISLO_VYPISU>\n"
        "<S25_CISLO_UCTU>2000145399/0300</S25_CISLO_UCTU>\n<S60_CD_INDIK>C</S60_CD_INDIK>\n"
        "<S60_DATUM>01.03.2026</S60_DATUM>\n<S60_MENA>CZK</S60_MENA>\n<S60_CASTKA>1000,00</S60_CASTKA>\n"
        f"{movements}</FINSTA03>\n</FINSTA>\n"
    ).encode("cp1250")


def as_bank_csv(entries: list[Entry]) -> bytes:
    rows = "".join(
        f"{each.booked_on:%d.%m.%Y};{comma(each.minor)};CZK;2000145399/0800;{each.variable_symbol};"
        f'"Faktura; č. {each.variable_symbol}"\r\n'
        for each in entries
    )
    head = "Datum zaúčtování;Částka;Měna;Protiúčet;Variabilní symbol;Zpráva pro příjemce\r\n"
    return (head + rows).encode("cp1250")


def as_pain002(entries: list[Entry]) -> bytes:
    statuses = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{each.reference}</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn>"
        f"<Cd>AC01</Cd></Rsn></StsRsnInf></TxInfAndSts>\n"
        for each in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">'
        "<CstmrPmtStsRpt><GrpHdr><MsgId>1</MsgId></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>KVIT-1</OrgnlMsgId>"
        "<OrgnlMsgNmId>pain.001</OrgnlMsgNmId><GrpSts>PART</GrpSts></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>"
        f"<OrgnlPmtInfId>1</OrgnlPmtInfId>\n{statuses}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>\n"
    ).encode()


def as_batch(entries: list[Entry]) -> bytes:
    """Write one entry that holds them all as details."""
    details = tuple(
        Detail(minor=abs(each.minor), variable_symbol=each.variable_symbol, reference=each.reference)
        for each in entries
    )
    whole = Entry(date(2026, 3, 2), sum(each.minor for each in details), "CZK", "B-1", details=details)
    return written("camt053", [whole])


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    kept = BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return kept.getvalue()


def comma(minor: int) -> str:
    return point(minor).replace(".", ",")


def point(minor: int) -> str:
    return str(Decimal(minor).scaleb(-2))


FORMS: Final[dict[str, Callable[[list[Entry]], bytes]]] = {
    "camt053": lambda entries: written("camt053", entries),
    "batch": as_batch,
    "csob-xml": as_csob_xml,
    "csv": as_bank_csv,
    "fio-json": as_fio_json,
    "fio-xml": as_fio_xml,
    "gpc": as_gpc,
    "kvit-csv": lambda entries: written("csv", entries),
    "kvit-json": lambda entries: written("json", entries),
    "mt940": as_mt940,
    "ofx1": as_ofx1,
    "ofx2": lambda entries: written("ofx", entries),
    "pain002": as_pain002,
    "zip": lambda entries: zipped([("a.gpc", as_gpc(entries)), ("b.sta", as_mt940(entries))]),
}
CLEAN: Final = {
    name: form([entry(number) for number in range(SHORT_ENTRIES)]) for name, form in FORMS.items()
}
LONG: Final = {name: form([entry(number) for number in range(LONG_ENTRIES)]) for name, form in FORMS.items()}
