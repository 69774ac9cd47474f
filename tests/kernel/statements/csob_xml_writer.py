"""A small writer of invented statements in ČSOB's XML (FINSTA)."""

from __future__ import annotations

from collections.abc import Mapping


def csob_movement(**fields: str | None) -> str:
    """A movement with fields such as `PART_ACCNO="19"`; None leaves one out."""
    values: dict[str, str | None] = {
        "S28_POR_CISLO": "1",
        "REF_TRANS_SYS": "1",
        "S61_DATUM": "02.03.2026",
        "DPROCD": "03.03.2026",
        "S61_CD_INDIK": "C",
        "S61_MENA": "CZK",
        "S61_CASTKA": "+100,00",
        "S61_POST_NAR": "Příchozí úhrada",
        **fields,
    }
    return f"<FINSTA05>{_written(values)}</FINSTA05>"


def csob_statement(*movements: str, **fields: str | None) -> str:
    values: dict[str, str | None] = {
        "S28_CISLO_VYPISU": "23",
        "S25_CISLO_UCTU": "2000145399/0300",
        "S60_CD_INDIK": "C",
        "S60_DATUM": "01.03.2026",
        "S60_MENA": "CZK",
        "S60_CASTKA": "1000,00",
        "S62_CD_INDIK": "C",
        "S62_DATUM": "03.03.2026",
        "S62_CASTKA": "1100,00",
        "S64_CASTKA": "-",
        **fields,
    }
    return "\n".join(["<FINSTA03>", _written(values), *movements, "</FINSTA03>"])


def csob(*statements: str) -> bytes:
    body = "\n".join(statements)
    return f'<?xml version="1.0" encoding="windows-1250"?>\n<FINSTA>\n{body}\n</FINSTA>'.encode("cp1250")


def _written(fields: Mapping[str, str | None]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value is not None)
