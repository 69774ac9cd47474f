"""The fields of a Config dataclass, from which a connection's form is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any


def field(
    label: str,
    *,
    help: str = "",
    default: Any = MISSING,
    choices: Sequence[str] = (),
    pattern: str = "",
    min: int | None = None,
    max: int | None = None,
) -> Any:
    """Describe one field of a Config dataclass; the form of the connection is made from it.

    The annotation decides what it is: `Secret` is a credential, `str`, `int` and `bool` are settings.
    `pattern` is a regular expression that the whole value must match; `min` and `max` are inclusive.
    """
    options = {
        "label": label,
        "help": help,
        "choices": tuple(choices),
        "pattern": pattern,
        "min": min,
        "max": max,
    }
    return dataclasses.field(default=default, metadata=options)
