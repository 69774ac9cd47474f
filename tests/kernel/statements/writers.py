"""Small writers of invented statements, so that a test shows only what it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable

CZECH_ACCOUNT = "0000002000145399"
"""An invented account that passes the mod-11 check; so does its number in the other formats."""
IBAN = "CZ5520100000002000145399"
OTHER_IBAN = "DE02120300000000202051"


def camt(*entries: str, head: str = "", message: str = "BkToCstmrStmt", section: str = "Stmt") -> bytes:
    version = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
    account = f"<Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>CZK</Ccy></Acct>"
    body = "\n".join(entries)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{version}"><{message}><{section}>'
        f"{account}{head}\n{body}\n</{section}></{message}></Document>"
    ).encode()


def camt_entry(
    amount: str = "100.00",
    mark: str = "CRDT",
    *,
    booked: str | None = "2026-03-02",
    valued: str | None = None,
    currency: str = "CZK",
    more: str = "",
    details: Iterable[str] = (),
) -> str:
    parts = [f'<Amt Ccy="{currency}">{amount}</Amt>', f"<CdtDbtInd>{mark}</CdtDbtInd>" if mark else ""]
    parts.append(f"<BookgDt><Dt>{booked}</Dt></BookgDt>" if booked else "")
    parts.append(f"<ValDt><Dt>{valued}</Dt></ValDt>" if valued else "")
    transactions = "".join(f"<TxDtls>{each}</TxDtls>" for each in details)
    return f"<Ntry>{''.join(parts)}{more}<NtryDtls>{transactions}</NtryDtls></Ntry>"


def camt_balance(
    code: str, amount: str, mark: str = "CRDT", *, currency: str = "CZK", day: str = "2026-03-02"
) -> str:
    sign = f"<CdtDbtInd>{mark}</CdtDbtInd>" if mark else ""
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount}</Amt>{sign}<Dt><Dt>{day}</Dt></Dt></Bal>'
    )


def gpc_head(
    opening: str = "00000000100000+",
    closing: str = "00000000110000+",
    *,
    account: str = CZECH_ACCOUNT,
    bank: str = "",
) -> bytes:
    """The head of a statement; Fio alone writes its name (`FIO`) behind it."""
    name = "Zkušební firma".encode("cp1250").ljust(20)
    turnovers = b"0" * 14 + b"+" + b"0" * 14 + b"+"
    numbers = b"010326" + (opening + closing).encode() + turnovers + b"003310326"
    return b"074" + account.encode() + name + numbers + bank.encode()


def gpc_movement(
    hundredths: int = 10_000,
    code: str = "2",
    *,
    account: str = CZECH_ACCOUNT,
    other: str = "0000190000002005",
    reference: str = "0026000000001",
    variable: str = "0002026001",
    constant: str = "08000308",
    specific: str = "0000000000",
    valued: str = "020326",
    name: bytes = b"Jana Pokusna",
    currency: str = "0203",
    booked: str = "030326",
) -> bytes:
    numbers = f"075{account}{other}{reference}{hundredths:012}{code}{variable}00{constant}{specific}{valued}"
    return numbers.encode() + name.ljust(20) + f"0{currency}{booked}".encode()


def gpc(*records: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join(records) + end


def fio_movement(**columns: object) -> dict[str, object]:
    """A movement with columns such as `c5="123"`; None leaves a column null."""
    values: dict[str, object] = {
        "c22": 26000000001,
        "c0": "2026-03-02+0100",
        "c1": 100.0,
        "c14": "CZK",
    } | columns
    return {
        f"column{name[1:]}": None if value is None else {"value": value, "name": "?", "id": int(name[1:])}
        for name, value in values.items()
    }


def fio(*movements: object, **info: object) -> bytes:
    head: dict[str, object] = {
        "accountId": "2000145399",
        "bankId": "2010",
        "currency": "CZK",
        "iban": IBAN,
        "openingBalance": None,
        "closingBalance": None,
    }
    statement = {"info": head | info, "transactionList": {"transaction": list(movements)}}
    return json.dumps({"accountStatement": statement}, ensure_ascii=False).encode()
