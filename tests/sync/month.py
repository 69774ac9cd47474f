"""One invented month of an account in every form in which a bank tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from tests.banks import fio
from tests.banks.fio import statement_json
from tests.kernel.statements import mt940_writer, ofx_writer
from tests.kernel.statements.writers import IBAN, camt, camt_balance, camt_entry, gpc, gpc_head, gpc_movement
from tests.sync.installation import movement

FIRST_ID: Final = 26_000_000_001
OPENING: Final = Decimal("1000.00")


def an_account() -> fio.Account:
    """Two equal payments of one day, the same amount a day later, money that leaves, a day of its own."""
    rows = [
        ("1210.00", 20, "42"),
        ("1210.00", 20, "42"),
        ("1210.00", 19, "43"),
        ("-99.90", 12, ""),
        ("0.01", 3, "7"),
    ]
    return fio.Account(
        opening=OPENING,
        movements=[
            movement(FIRST_ID + place, amount, days_ago=days_ago, variable_symbol=symbol)
            for place, (amount, days_ago, symbol) in enumerate(rows)
        ],
    )


def as_fio_json(account: fio.Account) -> bytes:
    """With the bank's ids."""
    return statement_json(account, first_day(account), last_day(account))


def as_camt(account: fio.Account) -> bytes:
    """With the bank's ids."""
    return _camt(account, with_ids=True)


def as_camt_without_ids(account: fio.Account) -> bytes:
    return _camt(account, with_ids=False)


def as_fio_gpc(account: fio.Account) -> bytes:
    """With the bank's ids: it names itself."""
    return _gpc(account, bank="FIO", first_id=FIRST_ID)


def as_gpc(account: fio.Account) -> bytes:
    """With references that are no ids."""
    return _gpc(account, bank="", first_id=77_000_000_000)


def as_mt940(account: fio.Account) -> bytes:
    fields = [
        mt940_writer.movement(
            str(abs(row.amount)).replace(".", ","),
            "C" if row.amount > 0 else "D",
            days=f"{row.booked_on:%y%m%d%m%d}",
            information=f"Platba VS:{row.variable_symbol}" if row.variable_symbol else "Karta",
        )
        for row in account.movements
    ]
    return mt940_writer.mt940(
        *fields,
        account=account.iban,
        opening=_swift(OPENING, f"{first_day(account):%y%m%d}"),
        closing=_swift(_closing(account), f"{last_day(account):%y%m%d}"),
    )


def as_ofx(account: fio.Account) -> bytes:
    """With ids that the file makes up."""
    movements = [
        ofx_writer.movement(
            str(row.amount), posted=f"{row.booked_on:%Y%m%d}", fitid=f"OFX{place}", memo=row.variable_symbol
        )
        for place, row in enumerate(account.movements)
    ]
    own = f"<BANKACCTFROM><BANKID>{account.bank}<ACCTID>{account.number}<ACCTTYPE>CHECKING</BANKACCTFROM>"
    body = ofx_writer.statement(*movements, account=own, period="", end="")
    return ofx_writer.ofx(body)


def as_csv(account: fio.Account) -> bytes:
    """A table that names neither account nor currency, from no bank that Kvit knows."""
    lines = ["Date;Amount;Variable symbol;Note"]
    lines += [
        f"{row.booked_on:%d.%m.%Y};{str(row.amount).replace('.', ',')};{row.variable_symbol};platba"
        for row in account.movements
    ]
    return "\r\n".join(lines).encode() + b"\r\n"


FORMS: Final[Mapping[str, Callable[[fio.Account], bytes]]] = {
    "fio.json": as_fio_json,
    "camt.xml": as_camt,
    "plain-camt.xml": as_camt_without_ids,
    "fio.gpc": as_fio_gpc,
    "bank.gpc": as_gpc,
    "bank.sta": as_mt940,
    "bank.ofx": as_ofx,
    "table.csv": as_csv,
}


def first_day(account: fio.Account) -> date:
    return min(row.booked_on for row in account.movements)


def last_day(account: fio.Account) -> date:
    return max(row.booked_on for row in account.movements)


def _camt(account: fio.Account, *, with_ids: bool) -> bytes:
    first, last = first_day(account), last_day(account)
    head = (
        f"<ElctrncSeqNb>7</ElctrncSeqNb><FrToDt><FrDtTm>{first}T00:00:00</FrDtTm>"
        f"<ToDtTm>{last}T23:59:59</ToDtTm></FrToDt>"
        + camt_balance("OPBD", str(OPENING), day=str(first))
        + camt_balance("CLBD", str(_closing(account)), day=str(last))
    )
    entries = [
        camt_entry(
            str(abs(row.amount)),
            "CRDT" if row.amount > 0 else "DBIT",
            booked=str(row.booked_on),
            more=f"<AcctSvcrRef>{row.id}</AcctSvcrRef>" if with_ids else "",
            details=[f"<RmtInf><Ustrd>VS:{row.variable_symbol}</Ustrd></RmtInf>"],
        )
        for row in account.movements
    ]
    return camt(*entries, head=head).replace(IBAN.encode(), account.iban.encode())


def _gpc(account: fio.Account, *, bank: str, first_id: int) -> bytes:
    number = account.number.zfill(16)
    lines = [
        gpc_movement(
            int(abs(row.amount) * 100),
            "2" if row.amount > 0 else "1",
            account=number,
            reference=f"{first_id + place:013}",
            variable=row.variable_symbol.zfill(10),
            booked=f"{row.booked_on:%d%m%y}",
            valued=f"{row.booked_on:%d%m%y}",
        )
        for place, row in enumerate(account.movements)
    ]
    opening, closing = (f"{int(money * 100):014}+" for money in (OPENING, _closing(account)))
    return gpc(gpc_head(opening, closing, account=number, bank=bank), *lines)


def _closing(account: fio.Account) -> Decimal:
    return OPENING + sum(row.amount for row in account.movements)


def _swift(amount: Decimal, day: str) -> str:
    return f"C{day}CZK{str(amount).replace('.', ',')}"
