"""A small writer of invented statements in Fio's XML."""

from __future__ import annotations

from tests.kernel.statements.writers import IBAN


def fio_xml_movement(**columns: str | None) -> str:
    """A movement with columns such as `c5="123"`; None leaves a column out."""
    values: dict[str, str | None] = {
        "c22": "26000000001",
        "c0": "2026-03-02+01:00",
        "c1": "100.00",
        "c14": "CZK",
        **columns,
    }
    written = (
        f'<column_{name[1:]} id="{name[1:]}" name="?">{value}</column_{name[1:]}>'
        for name, value in values.items()
        if value is not None
    )
    return f"<Transaction>{''.join(written)}</Transaction>"


def fio_xml(*movements: str, **info: str | None) -> bytes:
    head: dict[str, str | None] = {
        "accountId": "2000145399",
        "bankId": "2010",
        "currency": "CZK",
        "iban": IBAN,
        "openingBalance": "0.00",
        "closingBalance": None,
        **info,
    }
    told = "".join(f"<{name}>{value}</{name}>" for name, value in head.items() if value is not None)
    body = "\n".join(movements)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<AccountStatement><Info>{told}</Info>\n<TransactionList>\n{body}\n"
        "</TransactionList></AccountStatement>"
    ).encode()
