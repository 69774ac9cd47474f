"""Invented CSV exports in the dialects of several banks."""

from __future__ import annotations

from collections.abc import Sequence

FIO_HEADER = (
    '"ID operace";"Datum";"Objem";"Měna";"Protiúčet";"Název protiúčtu";"Kód banky";"Název banky";"KS";"VS";'
    '"SS";"Poznámka";"Zpráva pro příjemce";"Typ";"Provedl";"Upřesnění";"Poznámka";"BIC";"ID pokynu"'
)
REVOLUT_HEADER = "Type,Product,Started Date,Completed Date,Description,Amount,Fee,Currency,State,Balance"
KVIT_HEADER = (
    "account,currency,booked_on,value_on,amount,external_id,is_bank_id,counterparty_name,counterparty_account,"
    "variable_symbol,constant_symbol,specific_symbol,message,reference,pending"
)


def table(*lines: str, end: str = "\n", encoding: str = "utf-8") -> bytes:
    return "".join(line + end for line in lines).encode(encoding)


def fio(*rows: str, encoding: str = "utf-8", closing: str = "1 150,00") -> bytes:
    return table(
        '"Výpis č. 3/2026 z účtu ""2000145399/2010"""',
        '"Majitel účtu: Zkušební firma, Pokusná 1, Praha"',
        '"Období: 01.03.2026 - 31.03.2026"',
        '"Počáteční stav účtu k 01.03.2026: 1 000,00 CZK"',
        f'"Koncový stav účtu k 31.03.2026: {closing} CZK"',
        "",
        FIO_HEADER,
        *rows,
        end="\r\n",
        encoding=encoding,
    )


def fio_row(
    id: str = "26000000001",
    day: str = "02.03.2026",
    amount: str = "150,00",
    *,
    account: str = "19-2000145399",
    variable: str = "2026001",
    message: str = "za fakturu",
) -> str:
    cells = [
        id,
        day,
        amount,
        "CZK",
        account,
        "Jana Pokusná",
        "0800",
        "Banka",
        "0308",
        variable,
        "",
        "Jana",
        message,
    ]
    return ";".join(f'"{cell}"' for cell in [*cells, "Příjem", "", "", "pozn.", "", "1"])


def revolut(*rows: str) -> bytes:
    return table(REVOLUT_HEADER, *rows)


def unknown(rows: Sequence[Sequence[str]], header: Sequence[str], delimiter: str = ";") -> bytes:
    return table(*(delimiter.join(row) for row in (header, *rows)))
