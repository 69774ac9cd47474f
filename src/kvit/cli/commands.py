"""The list of commands: what each is called, takes and needs; the code behind is imported when called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from kvit.cli import arguments

type Arguments = Callable[[argparse.ArgumentParser], None]


class Needs(Enum):
    """What must be there before a command runs."""

    NOTHING = auto()
    SETTINGS = auto()
    """The environment is read and Django knows the models; the database may be empty or away."""
    MIGRATED = auto()
    """And the database has all tables."""
    KEYS = auto()
    """And no master key is missing: the command opens or seals secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of `kvit`."""

    words: str
    group: str
    summary: str
    target: str
    """`module:function`, called with the parsed options; it returns the exit code."""
    arguments: Arguments
    needs: Needs = Needs.MIGRATED
    logs: bool = False
    """Whether log events are written to stderr; a command in the foreground answers by itself."""


COMMANDS: Final = (
    Command(
        words="serve",
        group="Run Kvit",
        summary="bring the database up to date, then run web and worker together",
        target="kvit.cli.serving:serve",
        arguments=arguments.web,
        needs=Needs.SETTINGS,
        logs=True,
    ),
    Command(
        words="web",
        group="Run Kvit",
        summary="run only the web pages",
        target="kvit.cli.serving:web",
        arguments=arguments.web,
        logs=True,
    ),
    Command(
        words="worker",
        group="Run Kvit",
        summary="run only the worker, which carries out syncs",
        target="kvit.cli.serving:work",
        arguments=arguments.none,
        logs=True,
    ),
    Command(
        words="demo",
        group="Run Kvit",
        summary="try Kvit out: a year of invoices and a pretend bank that pays them",
        target="kvit.cli.demo:demo",
        arguments=arguments.demo,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="migrate",
        group="Set up",
        summary="bring the database up to date",
        target="kvit.cli.database:migrate",
        arguments=arguments.none,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="doctor",
        group="Set up",
        summary="check this installation and say what to do about what is wrong",
        target="kvit.cli.doctor:doctor",
        arguments=arguments.none,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="keys status",
        group="Set up",
        summary="list master and data keys, what they seal, and what to do next",
        target="kvit.cli.keys:status",
        arguments=arguments.none,
    ),
    Command(
        words="keys rewrap",
        group="Set up",
        summary="wrap every data key with the first master key",
        target="kvit.cli.keys:rewrap",
        arguments=arguments.none,
        needs=Needs.KEYS,
    ),
    Command(
        words="keys rotate",
        group="Set up",
        summary="seal every stored secret anew with a new data key",
        target="kvit.cli.keys:rotate",
        arguments=arguments.only_organization,
        needs=Needs.KEYS,
    ),
    Command(
        words="user add",
        group="Set up",
        summary="add a person to an organization",
        target="kvit.cli.users:add",
        arguments=arguments.user_add,
    ),
    Command(
        words="connection add",
        group="Banks",
        summary="connect a bank; the connection is tested before it is kept",
        target="kvit.cli.connections:add",
        arguments=arguments.connection_add,
        needs=Needs.KEYS,
    ),
    Command(
        words="connection list",
        group="Banks",
        summary="list the connections",
        target="kvit.cli.connections:show",
        arguments=arguments.only_organization,
    ),
    Command(
        words="connection check",
        group="Banks",
        summary="test a connection",
        target="kvit.cli.connections:check",
        arguments=arguments.named_connection,
        needs=Needs.KEYS,
    ),
    Command(
        words="connection schedule",
        group="Banks",
        summary="change when a connection is synced",
        target="kvit.cli.connections:set_schedule",
        arguments=arguments.schedule,
    ),
    Command(
        words="sync",
        group="Banks",
        summary="fetch what is new on a connection and wait until it is done",
        target="kvit.cli.runs:sync",
        arguments=arguments.named_connection,
        needs=Needs.KEYS,
    ),
    Command(
        words="run list",
        group="Banks",
        summary="list the last runs of a connection",
        target="kvit.cli.runs:show",
        arguments=arguments.runs,
    ),
    Command(
        words="run cancel",
        group="Banks",
        summary="end a run that waits or is under way; what it has read is kept",
        target="kvit.cli.runs:cancel",
        arguments=arguments.numbered_run,
    ),
    Command(
        words="run replay",
        group="Banks",
        summary="read the recorded answers of a run again, with the plugin as it is now",
        target="kvit.cli.runs:replay",
        arguments=arguments.numbered_run,
        needs=Needs.KEYS,
    ),
    Command(
        words="run revert",
        group="Banks",
        summary="take back everything a run brought and changed, while none of it is settled",
        target="kvit.cli.runs:revert",
        arguments=arguments.numbered_run,
    ),
    Command(
        words="import",
        group="Banks",
        summary="import statement files: camt, GPC (ABO), MT940, OFX, CSV and others",
        target="kvit.cli.imports:import_files",
        arguments=arguments.import_files,
        needs=Needs.KEYS,
    ),
    Command(
        words="transactions",
        group="Money",
        summary="print the stored movements",
        target="kvit.cli.transactions:show",
        arguments=arguments.transactions,
    ),
    Command(
        words="match",
        group="Money",
        summary="look again which movements pay which invoices",
        target="kvit.cli.matching:match",
        arguments=arguments.match,
    ),
    Command(
        words="payout import",
        group="Money",
        summary="import a gateway's payout report and settle its invoices",
        target="kvit.cli.payouts:import_report",
        arguments=arguments.payout_import,
    ),
    Command(
        words="payout list",
        group="Money",
        summary="print the imported payouts and what is settled of them",
        target="kvit.cli.payouts:list_reports",
        arguments=arguments.only_organization,
    ),
    Command(
        words="payment list",
        group="Money",
        summary="print payment orders and the batches they were handed over in",
        target="kvit.cli.payments:list_orders",
        arguments=arguments.payment_list,
    ),
    Command(
        words="payment send",
        group="Money",
        summary="hand over the batches that wait; the worker does it by itself",
        target="kvit.cli.payments:send",
        arguments=arguments.none,
        needs=Needs.KEYS,
    ),
    Command(
        words="payment resolve",
        group="Money",
        summary="say whether the bank has a batch whose answer was lost",
        target="kvit.cli.payments:resolve",
        arguments=arguments.payment_resolve,
    ),
    Command(
        words="match-file",
        group="Money",
        summary="print what would pay what in files; nothing is stored",
        target="kvit.cli.match_file:match_file",
        arguments=arguments.match_file,
        needs=Needs.NOTHING,
    ),
    Command(
        words="parse-statement",
        group="Money",
        summary="print what statement files hold; nothing is stored",
        target="kvit.cli.statements:parse",
        arguments=arguments.parse_statement,
        needs=Needs.NOTHING,
    ),
    Command(
        words="convert",
        group="Money",
        summary="write a statement file in another format: CSV, OFX, JSON or camt.053",
        target="kvit.cli.converting:convert",
        arguments=arguments.convert,
        needs=Needs.NOTHING,
    ),
    Command(
        words="plugin list",
        group="Plugins",
        summary="list the plugins, where they come from and how complete they are",
        target="kvit.cli.plugins:show",
        arguments=arguments.none,
    ),
    Command(
        words="plugin new",
        group="Plugins",
        summary="write a working plugin and its test to start from",
        target="kvit.cli.plugins:new",
        arguments=arguments.plugin_new,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="plugin test",
        group="Plugins",
        summary="run the contract tests of a plugin",
        target="kvit.testing.command:test",
        arguments=arguments.plugin_name,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="plugin dev",
        group="Plugins",
        summary="show what a plugin would bring, again after every change; stores nothing",
        target="kvit.cli.plugins:dev",
        arguments=arguments.plugin_dev,
        needs=Needs.KEYS,
    ),
    Command(
        words="plugin record",
        group="Plugins",
        summary="record what a source answers, without secrets, for tests",
        target="kvit.cli.plugins:record",
        arguments=arguments.plugin_record,
        needs=Needs.KEYS,
    ),
    Command(
        words="plugin enable",
        group="Plugins",
        summary="let the connections of a plugin sync again",
        target="kvit.cli.plugins:enable",
        arguments=arguments.plugin_switch,
    ),
    Command(
        words="plugin disable",
        group="Plugins",
        summary="keep a plugin from being used; its connections stay",
        target="kvit.cli.plugins:disable",
        arguments=arguments.plugin_switch,
    ),
    Command(
        words="audit verify",
        group="Audit",
        summary="find what was changed past Kvit, and what was changed in the audit",
        target="kvit.cli.audit:verify",
        arguments=arguments.audit_verify,
    ),
    Command(
        words="audit seal",
        group="Audit",
        summary="seal the newest audit entries now; the worker does it by itself",
        target="kvit.cli.audit:seal",
        arguments=arguments.none,
    ),
)

EXAMPLES: Final = (
    "kvit demo --serve",
    "kvit user add eva@firma.example --organization 'Eva Nová'",
    "kvit connection add fio --name 'Fio CZK' --credential api_token=@env:FIO_TOKEN",
    "kvit sync 'Fio CZK'",
    "kvit import ~/Downloads/statement.gpc",
)
