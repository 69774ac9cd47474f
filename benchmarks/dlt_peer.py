"""The peer dlt: upsert of the invented movements into PostgreSQL, in a Python of its own (`.venv-bench`).

`python -m benchmarks.dlt_peer DATABASE_URL COUNT FOLDER` prints the seconds of the load, of the same rows
again, and of the rows with every hundredth changed, as one JSON object. dlt writes no audit.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from importlib import import_module
from typing import Any

from benchmarks.movements import invented


def main(url: str, count: int, folder: str) -> None:
    os.environ.update(
        {
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": "ERROR",
            "DLT_DATA_DIR": folder,
            "DLT_PROJECT_DIR": folder,
        }
    )
    dlt = import_module("dlt")

    pipeline = dlt.pipeline(
        "kvit_bench",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(_with_libpq_host(url)),
        dataset_name="dlt_peer",
    )

    def movements(rows: list[dict[str, Any]]) -> Any:
        return dlt.resource(
            (rows[start : start + 5000] for start in range(0, len(rows), 5000)),
            name="movement",
            primary_key="external_id",
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        )

    rows = [asdict(movement) for movement in invented(count)]
    changed = [row | {"message": "changed"} if at % 100 == 0 else row for at, row in enumerate(rows)]
    took = {}
    for name, given in (("load", rows), ("same", rows), ("changed", changed)):
        started = time.perf_counter()
        pipeline.run(movements(given))
        took[name] = time.perf_counter() - started
    with pipeline.sql_client() as client:
        stored = client.execute_sql(
            "SELECT count(*), count(*) FILTER (WHERE message = 'changed') FROM movement"
        )
    assert tuple(stored[0]) == (count, (count + 99) // 100), stored
    print(json.dumps(took))


def _with_libpq_host(url: str) -> str:
    """Name the host twice: libpq takes the socket's folder from the query, dlt insists on one before it."""
    return url.replace("postgres://kvit@/", "postgresql://kvit:trust@localhost:5432/")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
