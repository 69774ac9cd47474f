"""Invented payout reports in the shapes of several providers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from kvit.kernel.matching.payouts import Payout, PayoutLine

PLAIN_HEADER = "payout;paid_on;reference;gross;fee;currency"
STRIPE_HEADER = (
    "automatic_payout_id,automatic_payout_effective_at,balance_transaction_id,created_utc,available_on_utc,currency,"
    "gross,fee,net,reporting_category,description,payment_metadata[order_id]"
)
COMGATE_HEADER = (
    '"Merchant";"Datum založení";"Datum zaplacení";"Datum převodu";"ID ComGate";"Metoda";"Produkt";"Popis";'
    '"E-mail plátce";"Variabilní symbol plátce";"Variabilní symbol převodu";"ID od klienta";"Měna";'
    '"Potvrzená částka";"Převedená částka";"Poplatek celkem";"Typ karty"'
)
COMGATE_DAILY_HEADER = (
    '"Merchant";"ID ComGate";"Metoda";"Potvrzená částka";"Převedená částka";"Produkt";'
    '"Variabilní symbol převodu";"ID od klienta"'
)
GOPAY_HEADER = (
    "ID pohybu;Datum;Typ;Protistrana;Subjekt/E-mail;Bank.účet - prefix;Bank.účet - číslo;"
    "Bank.účet - kód banky;ID objednávky/VS;Částka;Počáteční stav;Koncový stav;Měna;ID referenčního pohybu"
)
PAYPAL_HEADER = (
    '"Date","Time","TimeZone","Name","Type","Status","Currency","Gross","Fee","Net","From Email Address",'
    '"Transaction ID","Reference Txn ID","Invoice Number","Balance","Balance Impact"'
)
SUMUP_HEADER = (
    "Zeitstempel,Transaktionscode,Typ,Beschreibung,Betrag,Gebührenbetrag,Auszahlungsbetrag,Auszahlungsdatum,"
    "Auszahlungs-ID,Währung"
)
SUMUP_PAYOUTS_HEADER = "id,type,amount,date,currency,fee,status,reference,transaction_code"


def table(*lines: str, end: str = "\r\n", encoding: str = "utf-8") -> bytes:
    return "".join(line + end for line in lines).encode(encoding)


def stripe_row(
    id: str,
    gross: str,
    fee: str,
    net: str,
    kind: str = "charge",
    *,
    text: str = "",
    order: str = "",
    payout: str = "po_1Autumn",
    paid_on: str = "2026-10-07 00:00:00",
    currency: str = "eur",
) -> str:
    return (
        f"{payout},{paid_on},{id},2026-10-01 09:12:00,2026-10-06 00:00:00,{currency},"
        f'{gross},{fee},{net},{kind},"{text}",{order}'
    )


def stripe(*rows: str) -> bytes:
    return table(STRIPE_HEADER, *rows)


def comgate_row(
    id: str,
    gross: str,
    net: str,
    fee: str,
    *,
    order: str = "",
    symbol: str = "",
    text: str = "",
    payout: str = "1816480742",
    paid_on: str = "28.03.2026",
    merchant: str = "123456",
) -> str:
    cells = [
        merchant,
        "27.03.2026 09:15",
        "27.03.2026 09:16",
        paid_on,
        id,
        "Karta online",
        "",
        text,
        "jana@example.com",
        symbol,
        payout,
        order,
        "CZK",
        gross,
        net,
        fee,
        "VISA",
    ]
    return ";".join(f'"{cell}"' for cell in cells)


def comgate(*rows: str, encoding: str = "utf-8-sig") -> bytes:
    return table(COMGATE_HEADER, *rows, encoding=encoding)


def comgate_daily(*rows: str, encoding: str = "cp1250") -> bytes:
    return table(COMGATE_DAILY_HEADER, *rows, encoding=encoding)


def gopay_row(
    id: str, day: str, kind: str, amount: str, *, order: str = "", currency: str = "CZK", whose: str = ""
) -> str:
    account = "123456789;0800" if kind.startswith("Výplata") else ";"
    return f"{id};{day};{kind};Jan Zkušební;;;{account};{order};{amount};0,00;0,00;{currency};{whose}"


def gopay(*rows: str, encoding: str = "cp1250") -> bytes:
    return table(GOPAY_HEADER, *rows, encoding=encoding)


def paypal_row(
    id: str,
    day: str,
    kind: str,
    gross: str,
    fee: str = "0.00",
    net: str = "",
    *,
    invoice: str = "",
    status: str = "Completed",
    currency: str = "EUR",
) -> str:
    cells = [day, "10:00:00", "CEST", "Jana", kind, status, currency, gross, fee, net or gross]
    cells += ["jana@example.com", id, "", invoice, "0.00", "Credit"]
    return ",".join(f'"{cell}"' for cell in cells)


def paypal(*rows: str) -> bytes:
    return table(PAYPAL_HEADER, *rows)


def plain(*rows: str) -> bytes:
    return table(PLAIN_HEADER, *rows)


def plain_report(payouts: Iterable[Payout], *, decimal: str = ".", delimiter: str = ";") -> bytes:
    """Write payouts in Kvit's own format."""
    rows = [
        (each.reference, each.paid_on.isoformat(), *_cells(line, decimal), each.currency, each.account)
        for each in payouts
        for line in each.lines
    ]
    header = (*PLAIN_HEADER.split(";"), "account")
    return table(*(_written(row, delimiter) for row in (header, *rows)))


def stripe_report(payouts: Iterable[Payout]) -> bytes:
    """Write payouts as Stripe does: the currency in small letters, what it keeps for itself as a category."""
    rows = []
    for payout in payouts:
        for number, (reference, gross, fee) in enumerate(payout.lines):
            kind = "refund" if gross < 0 else "charge"
            amounts = (gross, fee, gross - fee) if gross else (-fee, 0, -fee)
            texts = [_amount(each, ".") for each in amounts]
            rows.append(
                stripe_row(
                    f"txn_{number}",
                    texts[0],
                    texts[1],
                    texts[2],
                    kind if gross else "fee",
                    order=_written((reference,), ","),
                    payout=_written((payout.reference,), ","),
                    paid_on=f"{payout.paid_on} 00:00:00",
                    currency=payout.currency.lower(),
                )
            )
    return stripe(*rows)


def _cells(line: PayoutLine, decimal: str) -> tuple[str, str, str]:
    return line.reference, _amount(line.gross_minor, decimal), _amount(line.fee_minor, decimal)


def _amount(minor: int, decimal: str) -> str:
    return str(Decimal(minor).scaleb(-2)).replace(".", decimal)


def _written(cells: Sequence[str], delimiter: str) -> str:
    return delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)
