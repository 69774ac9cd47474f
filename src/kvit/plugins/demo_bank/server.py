"""The demo bank: a small HTTP server with a JSON API, filled from a JSON file.

`python -m kvit.plugins.demo_bank.server --port 0 --data FILE` prints its address as the first line. The file:

    {"token": "…", "accounts": [{"id": "1", "iban": "CZ…", "name": "…", "currency": "CZK", "transactions": [
        {"id": "…", "amount": "-1250.00", "currency": "CZK", "booked_on": "2026-01-31", "counterparty": "…",
         "account": "19-123457/0800", "vs": "0042", "ks": "", "ss": "", "message": "…"}]}]}

The server reads the file again for every request, so that editing it is how money arrives.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import html
import json
import sys
from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

PAGE_SIZE: Final = 100
INDEX: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Demo bank</title>
<h1>Demo bank</h1>
<p>This is a pretend bank for trying Kvit out. No money moves here.</p>
<p>In Kvit, add the connection “Demo bank” with this address and the API token <code>{token}</code>.</p>
<ul>{accounts}</ul></html>
"""


class DemoBankServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, path: Path) -> None:
        """Listen on this computer only; port 0 takes a free one."""
        super().__init__(("127.0.0.1", port), _Handler)
        self._path = path
        self.data()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return data


class _Handler(BaseHTTPRequestHandler):
    server: DemoBankServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the first line of the output is the address, and nobody reads the others."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        data = self.server.data()
        match url.path.strip("/").split("/"):
            case [""]:
                self._send(HTTPStatus.OK, _index(data), "text/html")
            case _ if not self._authorized(data["token"]):
                self._error(HTTPStatus.UNAUTHORIZED)
            case ["accounts"]:
                self._send_json({"accounts": [_described(account) for account in data["accounts"]]})
            case ["accounts", account_id, "transactions"]:
                account = next((one for one in data["accounts"] if one["id"] == account_id), None)
                if account is None:
                    self._error(HTTPStatus.NOT_FOUND)
                else:
                    self._send_page(account["transactions"], query)
            case _:
                self._error(HTTPStatus.NOT_FOUND)

    def _authorized(self, token: str) -> bool:
        given = self.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())

    def _send_page(self, transactions: Sequence[dict[str, Any]], query: dict[str, str]) -> None:
        try:
            since = date.fromisoformat(query.get("since", "0001-01-01"))
            page = max(1, int(query.get("page", "1")))
        except ValueError:
            self._error(HTTPStatus.BAD_REQUEST)
            return
        found = [one for one in transactions if date.fromisoformat(one["booked_on"]) >= since]
        found.sort(key=lambda one: (one["booked_on"], one["id"]))
        start = (page - 1) * PAGE_SIZE
        more = len(found) > start + PAGE_SIZE
        self._send_json(
            {"transactions": found[start : start + PAGE_SIZE], "next_page": page + 1 if more else None}
        )

    def _send_json(self, answer: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(answer, ensure_ascii=False), "application/json")

    def _error(self, status: HTTPStatus) -> None:
        self._send(status, json.dumps({"error": status.phrase}), "application/json")

    def _send(self, status: HTTPStatus, text: str, content_type: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _index(data: dict[str, Any]) -> str:
    rows = (
        f"<li>{html.escape(one['name'])}, {html.escape(one['iban'])}: "
        f"{len(one['transactions'])} transactions in {html.escape(one['currency'])}</li>"
        for one in data["accounts"]
    )
    return INDEX.format(token=html.escape(data["token"]), accounts="".join(rows))


def _described(account: dict[str, Any]) -> dict[str, Any]:
    return {key: account[key] for key in ("id", "iban", "name", "currency")}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A pretend bank for trying Kvit out.")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="JSON file with the token and the accounts")
    options = parser.parse_args(arguments)
    with DemoBankServer(options.port, options.data) as server, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"{server.address}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
