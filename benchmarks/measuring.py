"""What every benchmark shares: timing, and the one line it prints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


def seconds(act: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def report(
    name: str,
    value: float,
    *,
    unit: str,
    peer: str | None = None,
    peer_value: float | None = None,
    limit: str | None = None,
    limit_value: float | None = None,
) -> None:
    """Print a figure as one JSON line; rates, so that more is better."""
    line = {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "peer": peer,
        "ratio_to_peer": _ratio(value, peer_value),
        "limit": limit,
        "ratio_to_limit": _ratio(value, limit_value),
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)


def _ratio(value: float, other: float | None) -> float | None:
    return None if other is None else round(value / other, 3)
