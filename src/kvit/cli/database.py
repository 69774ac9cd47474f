"""Django set up for a command, and the state of the database it needs."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import django
from dj_database_url import ParseError, UnknownSchemeError
from django.utils import translation

from kvit.kernel.errors import KvitError, Refused, SettingsError


class DatabaseAway(KvitError):
    """The database does not answer. Check KVIT_DATABASE_URL and whether the server runs."""


def set_up(*, quiet: bool) -> None:
    """Read the settings and load the models; commands speak English. Raises SettingsError.

    `quiet` keeps log events off stderr: a command in the foreground says itself what happened.
    """
    name = os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvit.config.settings")
    try:
        import_module(name)
    except (ParseError, UnknownSchemeError):
        raise SettingsError(
            "KVIT_DATABASE_URL is not an address like postgres://user:password@host:5432/name."
        ) from None
    django.setup()
    translation.activate("en")
    if quiet:
        logging.getLogger().setLevel(logging.CRITICAL)


@contextmanager
def said_in_words() -> Iterator[None]:
    """Turn a database that does not answer into one sentence."""
    from django.db import InterfaceError, OperationalError

    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(
            "The database does not answer ({reason}). Check KVIT_DATABASE_URL and whether the server runs.",
            reason=" ".join(str(error).split()).rstrip("."),
        ) from error


def require_migrated() -> None:
    """Raise Refused unless the database has everything this version of Kvit needs."""
    if missing_migrations():
        raise Refused("The database is not ready for this version of Kvit. Run “kvit migrate”.")


def missing_migrations() -> int:
    """Count the migrations that were not applied yet."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def bring_up_to_date() -> int:
    """Apply what is missing and return how many migrations that was."""
    from django.core.management import call_command

    missing = missing_migrations()
    if missing:
        call_command("migrate", interactive=False, verbosity=0)
    return missing


def migrate(_options: argparse.Namespace) -> int:
    """Bring the database up to date and say what was done."""
    applied = bring_up_to_date()
    if applied:
        print(f"The database is up to date now: {applied} migration{'s' if applied > 1 else ''} applied.")
    else:
        print("The database is up to date.")
    return 0
