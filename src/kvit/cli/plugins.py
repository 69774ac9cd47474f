"""`kvit plugin …`: the plugins there are, and what their authors work with."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from django.conf import settings

from kvit.audit.recording import COMMAND
from kvit.cli import watching
from kvit.cli.dry_run import dry_run, files_of, today_of
from kvit.cli.dry_run_given import Given, layer_above
from kvit.cli.dry_run_table import errors_of, lines_of
from kvit.cli.organizations import the_only
from kvit.cli.scaffold import scaffold, write
from kvit.cli.tables import counted, shown, table
from kvit.kernel.errors import KvitError, PluginUnavailable, Refused
from kvit.sync.models import PluginConfiguration
from kvit.sync.redaction import Redactor
from kvit.sync.registry import Listing, catalogue, plugin_class
from kvit.sync.switches import set_plugin_enabled, switched_off
from kvit.users.models import Organization

_HEADING: Final = ("Name", "Title", "Version", "State", "Quality", "Source")


def show(_options: argparse.Namespace) -> int:
    """Print every plugin: what it is, whether it can be used, how far it says it is and where it lies."""
    off = {
        organization.name: switched_off(organization)
        for organization in Organization.objects.order_by("name")
    }
    found = catalogue()
    rows = [
        _listed(listing, [name for name, names in off.items() if listing.name in names]) for listing in found
    ]
    print(*table([_HEADING, *rows]), sep="\n")
    for listing in found:
        if listing.plugin is None:
            print(shown(f"{listing.name}: {listing.problem}"))
    for name in sorted(_missing(listing.name for listing in found)):
        print(shown(f"{name}: not installed, but there are connections of it"))
    return 0


def new(options: argparse.Namespace) -> int:
    """Write a plugin to start from and its test."""
    name: str = options.name
    texts = scaffold(name, package=options.package)
    if any(name == listing.name for listing in catalogue()):
        raise Refused("There is a plugin named “{name}” already; take another name.", name=name)
    folder = options.into or _home_of(name, package=options.package)
    for path in write(texts, folder):
        print(f"wrote {path}")
    print(*_next_steps(name, folder, package=options.package), sep="\n")
    return 0


def dev(options: argparse.Namespace) -> int:
    """Show what a plugin would bring, and again whenever its files change, until Ctrl-C."""
    watching.cache_no_modules()
    given = Given(options)
    watched: frozenset[Path] = frozenset()
    code: int | None = None
    try:
        while True:
            watched = _files(options.name) or watched
            before = watching.look(watched | given.files)
            code = _show_dry_run(given, options, is_first=code is None)
            if options.once:
                return code
            print("Waiting for a change; Ctrl-C ends.", flush=True)
            before = {**watching.look(given.files), **before}
            watching.wait_for_change(before)
            watching.forget(before)
    except KeyboardInterrupt:
        return 0


def record(options: argparse.Namespace) -> int:
    """Run a plugin once and write what its source answered to a cassette, without secrets."""
    path = options.output or Path(f"{options.name}.cassette.json")
    if path.exists():
        raise Refused("{path} is there already; name another file with --output.", path=path)
    given = Given(options)
    plugin, connection = plugin_class(options.name), given.connection()
    values, organization = given.values(plugin, connection), given.organization(connection)
    credentials = values.credentials.values()
    redactor = Redactor(credentials)
    recording = layer_above("kvit.testing.cassettes").Recording(
        credentials, today=today_of(organization), redactor=redactor
    )
    run = dry_run(
        plugin,
        values,
        organization=organization,
        connection=connection,
        redactor=redactor,
        recorder=recording,
    )
    if run.error:
        print(*errors_of(run), "Nothing was recorded.", sep="\n")
        return 1
    recording.save(path)
    print(f"Wrote {path}: {counted(len(recording), 'answer', 'answers')} without credentials.")
    print("Names, account numbers and amounts are still in it: change them before you publish it.")
    return 0


def enable(options: argparse.Namespace) -> int:
    """Switch a plugin on for an organization."""
    return _switch(options, enabled=True)


def disable(options: argparse.Namespace) -> int:
    """Switch a plugin off for an organization; its connections stay."""
    return _switch(options, enabled=False)


def _missing(known: Iterable[str]) -> set[str]:
    """The plugins that connections need and nobody has."""
    return set(PluginConfiguration.objects.values_list("plugin", flat=True)) - set(known)


def _listed(listing: Listing, off_for: Iterable[str]) -> list[str]:
    names = ", ".join(off_for)
    state = "broken" if listing.plugin is None else f"off for {names}" if names else "on"
    quality = listing.quality
    cells = (
        listing.name,
        listing.title,
        listing.version or "–",
        state,
        "–" if quality is None else f"{quality.done} of {quality.owed}",
        listing.source,
    )
    return [shown(cell) for cell in cells]


def _home_of(name: str, *, package: bool) -> Path:
    """A single file goes where Kvit finds it by itself; a package is a folder of its own, here."""
    if package:
        return Path(f"kvit-{name.replace('_', '-')}")
    folder: Path = settings.KVIT.plugins_dir
    return folder


def _next_steps(name: str, folder: Path, *, package: bool) -> Iterator[str]:
    yield ""
    if package:
        yield f"Install it:         pip install --editable {folder}"
    elif folder.resolve() != settings.KVIT.plugins_dir.resolve():
        yield f"Let Kvit find it:   export KVIT_PLUGINS_DIR={folder.resolve()}"
    yield f"Test it:            kvit plugin test {name}"
    yield f"See what it brings: kvit plugin dev {name} --pretend"
    yield "Connect it:         kvit serve, then Connections"


def _show_dry_run(given: Given, options: argparse.Namespace, *, is_first: bool) -> int:
    """Print one dry run and return 1 where it failed.

    What cannot even be started is raised; with a plugin that was or may be mended, it is only told.
    """
    try:
        plugin = plugin_class(options.name)
        connection = given.connection()
        run = dry_run(
            plugin,
            given.values(plugin, connection),
            organization=given.organization(connection),
            connection=connection,
            from_start=options.from_start,
            transport=given.transport,
        )
    except KvitError as error:
        is_broken = isinstance(error, PluginUnavailable) and bool(_files(options.name))
        if options.once or (is_first and not is_broken):
            raise
        print(shown(str(error)))
        return 1
    print(*lines_of(run, most_rows=options.rows), sep="\n", flush=True)
    return 1 if run.error else 0


def _files(name: str) -> frozenset[Path]:
    """The files of the plugin as it is now; of a broken one the file it lies in, else none."""
    listing = next((one for one in catalogue() if one.name == name), None)
    if listing is None:
        return frozenset()
    if listing.plugin is not None:
        return files_of(listing.plugin)
    return frozenset() if listing.path is None else frozenset({listing.path})


def _switch(options: argparse.Namespace, *, enabled: bool) -> int:
    organization = the_only(options.organization)
    changed = set_plugin_enabled(organization, options.name, enabled, actor=COMMAND)
    if not changed and all(listing.name != options.name for listing in catalogue()):
        raise PluginUnavailable("The plugin “{name}” is not installed.", name=options.name)
    state = "on" if enabled else "off"
    before = "" if changed else " already"
    print(f"“{options.name}” is switched {state}{before} for {organization.name}.")
    return 0
