"""A whole Kvit (`kvit serve`), a pretend Fio bank and a real Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.banks.fio import FioBank, running_fio_bank
from tests.commands import PASSWORD, Kvit, database_variables
from tests.postgres import fresh_database

EMAIL = "eva@example.com"


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    kvit: Kvit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing.")
        pytest.skip("Chromium is missing; install Debian's package “chromium”.")
    with sync_playwright() as playwright:  # while it runs, Django refuses databases in this process
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        yield playwright.chromium.launch(executable_path=path, args=arguments)


@pytest.fixture
def bank() -> Iterator[FioBank]:
    with running_fio_bank(interval_seconds=0.2) as running:
        yield running


@pytest.fixture
def served(template: Kvit, tmp_path: Path) -> Iterator[Served]:
    """`kvit serve` on an installation with one owner, on the database of this run of the suite."""
    shutil.copytree(template.folder, tmp_path / "data")
    with fresh_database(like=template.env.get("KVIT_DATABASE_URL", "")) as url:
        kvit = Kvit(tmp_path / "data", database_variables(url))
        port = _free_port()
        process = kvit.start("serve", "--port", str(port))
        try:
            _wait_until_it_answers(f"http://127.0.0.1:{port}/health/")
            yield Served(f"http://127.0.0.1:{port}", kvit)
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A desktop page in English, nobody signed in yet."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(served.url)
    yield page
    context.close()


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(url)
