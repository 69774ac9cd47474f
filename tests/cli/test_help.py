"""What every command has in common: help, wrong words, and an entry in the docs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kvit import __version__
from kvit.cli.commands import COMMANDS, Command
from tests.commands import ROOT, Kvit

DOCS = ROOT / "docs" / "commands.md"
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)


def test_help_shows_every_command_on_a_line_of_its_own(fresh: Kvit) -> None:
    lines = fresh.ok("--help").splitlines()
    for command in COMMANDS:
        assert [line for line in lines if line.split("  ")[1:2] == [command.words]], command.words
    assert max(map(len, lines)) <= 100
    assert "Examples:" in lines


@every_command
def test_a_command_has_code_behind_it(command: Command) -> None:
    module, _, name = command.target.partition(":")
    assert callable(getattr(import_module(module), name))


@every_command
def test_a_command_and_its_options_are_in_the_docs(command: Command) -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert f"`kvit {command.words}" in text
    section = text.split(f"`kvit {command.words}")[1].split("\n### ")[0]
    parser = argparse.ArgumentParser(add_help=False)
    command.arguments(parser)
    for action in parser._actions:
        for option in action.option_strings:
            assert option in section, f"{command.words} {option}"


def test_version(fresh: Kvit) -> None:
    assert fresh.ok("--version") == f"kvit {__version__}\n"


def test_the_installed_command_is_the_same(fresh: Kvit) -> None:
    command = Path(sys.executable).with_name("kvit")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == fresh.ok("--version")


def test_help_and_wrong_words_leave_no_data_folder(fresh: Kvit) -> None:
    fresh.ok("sync", "--help")
    assert fresh.run("nonsense").code == 2
    assert fresh.run().code == 2
    assert not fresh.folder.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["user"],
        ["user", "add", "eva@example.com"],
        ["sync"],
        ["import"],
        ["web", "--port", "0"],
        ["connection", "add", "fio", "--name", "Fio", "--setting", "base_url"],
    ],
)
def test_wrong_words_end_with_2(fresh: Kvit, words: list[str]) -> None:
    answer = fresh.run(*words)
    assert answer.code == 2
    assert "Traceback" not in answer.everything


def test_an_unknown_option_is_named_without_its_value(fresh: Kvit) -> None:
    words = ["user", "add", "eva@example.com", "--organization", "Eva", "--password"]
    for answer in (fresh.run(*words, "hunter2hunter2"), fresh.run(*words[:-1], "--password=hunter2hunter2")):
        assert answer.code == 2
        assert "--password" in answer.err
        assert "hunter2" not in answer.everything


def test_a_command_that_needs_the_database_says_how_to_make_it(fresh: Kvit) -> None:
    for words in (["match"], ["transactions"], ["sync", "Fio"], ["web"], ["worker"], ["connection", "list"]):
        answer = fresh.run(*words)
        assert answer.code == 1
        assert "kvit migrate" in answer.sentence()


def test_migrating_twice_says_that_there_was_nothing_to_do(fresh: Kvit) -> None:
    assert "applied" in fresh.ok("migrate")
    assert fresh.ok("migrate") == "The database is up to date.\n"


def test_a_database_that_does_not_answer_is_one_sentence(fresh: Kvit) -> None:
    url = "postgres://kvit:s3cr3t-word@127.0.0.1:1/kvit"
    answer = fresh.run("match", KVIT_DATABASE_URL=url)
    assert answer.code == 1
    assert "KVIT_DATABASE_URL" in answer.sentence()
    assert "s3cr3t-word" not in answer.everything


def test_a_wrong_database_url_is_one_sentence(fresh: Kvit) -> None:
    answer = fresh.run("match", KVIT_DATABASE_URL="mongo://kvit:s3cr3t-word@localhost/kvit")
    assert answer.code == 1
    assert "KVIT_DATABASE_URL" in answer.sentence()
    assert "s3cr3t-word" not in answer.everything


def test_production_names_every_variable_to_set(fresh: Kvit) -> None:
    for command in ("web", "worker", "serve", "migrate"):
        answer = fresh.run(command, KVIT_ENV="production", KVIT_DEBUG="1")
        assert answer.code == 1
        said = answer.sentence()
        for name in ("KVIT_SECRET_KEY", "KVIT_ALLOWED_HOSTS", "KVIT_MASTER_KEY", "KVIT_DEBUG"):
            assert name in said
