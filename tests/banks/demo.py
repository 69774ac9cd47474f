"""The bundled demo bank, run in its own process with a test's data."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

TOKEN: Final = "demo-token-of-the-tests"

type Record = Mapping[str, Any]


def account(*transactions: Record, number: str = "1", currency: str = "CZK") -> dict[str, Any]:
    """Describe an account of the demo bank; its id is `number`."""
    iban = f"CZ65080000001920001453{number:0>2}"
    return {
        "id": number,
        "iban": iban,
        "name": f"Account {number}",
        "currency": currency,
        "transactions": list(transactions),
    }


def transaction(id: str, amount: str, booked_on: str, **texts: str) -> dict[str, str]:
    return {"id": id, "amount": amount, "currency": "CZK", "booked_on": booked_on, **texts}


def write(path: Path, accounts: Sequence[Record]) -> None:
    path.write_text(json.dumps({"token": TOKEN, "accounts": accounts}), encoding="utf-8")


@contextlib.contextmanager
def running_demo_bank(path: Path) -> Iterator[str]:
    """Run the bank from a file and give its address; a change of the file is seen at once."""
    command = [sys.executable, "-m", "kvit.plugins.demo_bank.server", "--port", "0", "--data", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "The demo bank did not start."
            yield address
        finally:
            process.terminate()
