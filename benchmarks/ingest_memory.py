"""A process that streams movements through posting in batches and prints what memory it took, in MB."""

from __future__ import annotations

import json
import sys
from itertools import batched

import django


def main(count: int, batch: int) -> None:
    django.setup()
    from benchmarks import ingest
    from benchmarks.measuring import peak_memory_mb

    after_imports = peak_memory_mb()
    account = ingest.own_account()
    created = sum(ingest.post(account, some).created for some in batched(ingest.checked(count), batch))
    assert created == count, created
    print(json.dumps({"after_imports": round(after_imports, 1), "peak": round(peak_memory_mb(), 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
