"""Small writers of invented MT940 and MT942 messages, so that a test shows only what it is about."""

from __future__ import annotations

from tests.kernel.statements.writers import IBAN


def mt940(
    *fields: str,
    account: str = IBAN,
    number: str = "3/1",
    opening: str = "C260301CZK1000,00",
    closing: str = "C260331CZK1100,00",
    end: str = "\r\n",
) -> bytes:
    """One statement; an empty balance is left out."""
    head = [":20:STATEMENT", f":25:{account}", f":28C:{number}"]
    before = [f":60F:{opening}"] if opening else []
    after = [f":62F:{closing}"] if closing else []
    return (end.join((*head, *before, *fields, *after, "-")) + end).encode()


def mt942(*fields: str, floor: str = "CZK0,", made: str = "2603021200+0100") -> bytes:
    """One interim report; `fields` are its movements and what it counts."""
    head = [":20:REPORT", f":25:{IBAN}", ":28C:1", f":34F:{floor}", f":13D:{made}"]
    return ("\n".join((*head, *fields, "-")) + "\n").encode()


def movement(
    amount: str = "100,00",
    mark: str = "C",
    *,
    days: str = "2603020303",
    references: str = "NONREF",
    information: str = "Platba za marec",
) -> str:
    """A movement and its information; without information there is no :86:."""
    line = f":61:{days}{mark}{amount}NTRF{references}"
    return f"{line}\n:86:{information}" if information else line
