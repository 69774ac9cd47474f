"""A small writer of invented OFX files, so that a test shows only what it is about."""

from __future__ import annotations

HEADER = (
    "OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\nSECURITY:NONE\r\nENCODING:USASCII\r\nCHARSET:1252\r\n"
    "COMPRESSION:NONE\r\nOLDFILEUID:NONE\r\nNEWFILEUID:NONE\r\n\r\n"
)
XML_HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
)
SIGN_ON = (
    "<SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1>\n"
)
ACCOUNT = "<BANKACCTFROM><BANKID>0800<ACCTID>2000145399<ACCTTYPE>CHECKING</BANKACCTFROM>"
PERIOD = "<DTSTART>20260301<DTEND>20260331"
CLOSING = "<LEDGERBAL><BALAMT>1100.00<DTASOF>20260331</LEDGERBAL>"


def movement(
    amount: str = "100.00",
    *,
    posted: str = "20260302120000.000[+1:CET]",
    fitid: str | None = "2026030200001",
    name: str | None = "Jana Pokusna",
    memo: str | None = None,
    more: str = "",
    tag: str = "STMTTRN",
) -> str:
    """Write a movement without end tags of its elements; None leaves an element out."""
    day = "DTTRAN" if tag == "STMTTRNP" else "DTPOSTED"
    elements = {"TRNTYPE": "OTHER", day: posted, "TRNAMT": amount, "FITID": fitid, "NAME": name, "MEMO": memo}
    texts = "".join(f"<{each}>{value}" for each, value in elements.items() if value is not None)
    return f"<{tag}>{texts}{more}</{tag}>"


def xml_movement(**elements: str) -> str:
    """Write a movement with every end tag."""
    values = {
        "TRNTYPE": "OTHER",
        "DTPOSTED": "20260302",
        "TRNAMT": "100.00",
        "FITID": "2026030200001",
    } | elements
    return f"<STMTTRN>{''.join(f'<{name}>{value}</{name}>' for name, value in values.items())}</STMTTRN>"


def statement(
    *movements: str,
    currency: str = "<CURDEF>CZK",
    account: str = ACCOUNT,
    period: str = PERIOD,
    end: str = CLOSING,
    tag: str = "STMTRS",
) -> str:
    lines = "\n".join(movements)
    transactions = f"<BANKTRANLIST>{period}\n{lines}\n</BANKTRANLIST>"
    return f"<{tag}>{currency}{account}{transactions}{end}</{tag}>"


def ofx(*statements: str, header: str = HEADER, sign_on: str = SIGN_ON, encoding: str = "ascii") -> bytes:
    body = "".join(f"<STMTTRNRS><TRNUID>1{each}</STMTTRNRS>" for each in statements)
    return f"{header}<OFX>{sign_on}<BANKMSGSRSV1>{body}</BANKMSGSRSV1></OFX>\n".encode(encoding)
