"""What every benchmark shares: timing, memory, and the one line it prints."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def seconds(act: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def peak_memory_mb() -> float:
    """Return the most memory this process ever held, in MB of 10^6 bytes.

    Linux's `getrusage` would count what the parent held when it forked (proc(5), VmHWM is of this program).
    """
    status = Path("/proc/self/status").read_text()
    (held,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(held) * 1024 / 1e6


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def report(
    name: str,
    value: float,
    *,
    unit: str,
    peer: str | None = None,
    peer_value: float | None = None,
    limit: str | None = None,
    limit_value: float | None = None,
    **more: object,
) -> None:
    """Print a figure as one JSON line; of rates, more is better."""
    line = {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 1),
        "ratio_to_peer": _ratio(value, peer_value),
        "limit": limit,
        "limit_value": None if limit_value is None else round(limit_value, 1),
        "ratio_to_limit": _ratio(value, limit_value),
        **more,
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)


def _ratio(value: float, other: float | None) -> float | None:
    return None if other is None else round(value / other, 3)
