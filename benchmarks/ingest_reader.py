"""A process that reads the first page of the transactions until its input ends, then tells how long it took.

One JSON line of milliseconds: half of the reads took at most `p50`, 99 of 100 at most `p99`.
"""

from __future__ import annotations

import json
import select
import sys

import django

PAGE = 50


def main() -> None:
    django.setup()
    from benchmarks.ingest import own_account
    from benchmarks.measuring import percentile, seconds
    from kvit.ledger.models import MoneyTransaction

    rows = MoneyTransaction.objects.filter(organization=own_account().organization)
    page = rows.select_related("account").order_by("-booked_on", "-id")[:PAGE]
    assert len(list(page.all())) == PAGE
    print("ready", flush=True)
    took = []
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        took.append(seconds(lambda: list(page.all())) * 1000)
    told = {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "longest": max(took)}
    print(json.dumps({**told, "reads": len(took)}))


if __name__ == "__main__":
    main()
