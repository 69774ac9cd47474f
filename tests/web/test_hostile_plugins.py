"""Broken and hostile plugins: every page goes on, and says what is wrong."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from kvit.sync import configuring, registry
from kvit.sync.models import PluginConfiguration, SyncHistory
from tests.personas import Personas
from tests.sync.installation import sync

pytestmark = pytest.mark.django_db(transaction=True)

ACME = """
from dataclasses import dataclass
from kvit.plugin import Identity, Plugin, Secret, field

@dataclass(frozen=True, kw_only=True)
class Config:
    town: str = field("Town", default="Brno")

{before}
class Acme(Plugin[Config]{bases}):
    name, title, version, Config = "acme", "Acme", "1", Config
{body}
    def check(self):
        return Identity(key="1", label="Acme")

    def sync(self, ctx):
        yield from ()
{after}
"""


def plugin(*, before: str = "", bases: str = "", body: str = "", after: str = "") -> str:
    return ACME.format(before=before, bases=bases, body=f"    {body}" if body else "", after=after)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(settings, "KVIT", dataclasses.replace(settings.KVIT, plugins_dir=tmp_path))
    registry.forget()
    yield tmp_path
    registry.forget()
    configuring.config_fields.cache_clear()


@pytest.fixture
def owner(client: Client, personas: Personas) -> Client:
    client.force_login(personas.owner)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


COMPUTED_LATER = """
class Rude(type(Plugin)):
    reads = 0

    @property
    def title(cls):
        Rude.reads += 1
        if Rude.reads > 9:
            raise RuntimeError("not today")
        return "Acme"
"""
NEVER_READ = """
class Rude(type(Plugin)):
    def __getattribute__(cls, name):
        if name == "{name}":
            raise RuntimeError("never")
        return super().__getattribute__(name)
"""
OF_RUDE = ", metaclass=Rude"
LAZY = "from django.utils.translation import gettext_lazy as _\nAcme.title = _('Acme')"
CONFIG = "import dataclasses\n@dataclass(frozen=True, kw_only=True)\nclass C:\n    {field}\nAcme.Config = C"


def with_field(field: str) -> str:
    return plugin(after=CONFIG.format(field=field))


def with_hosts(host: str) -> str:
    return plugin(after=f"Acme.hosts = [{host!r}]")


BROKEN = {
    "computed at once": (plugin(after="Acme.title = property(lambda self: 1 / 0)"), "title is not a text"),
    "computed later": (plugin(before=COMPUTED_LATER, bases=OF_RUDE), "title is computed"),
    "unreadable api": (plugin(before=NEVER_READ.format(name="api"), bases=OF_RUDE), "RuntimeError: never"),
    "unreadable name": (plugin(before=NEVER_READ.format(name="name"), bases=OF_RUDE), "RuntimeError: never"),
    "lazy title": (plugin(after=LAZY), "title is not a text"),
    "empty title": (plugin(after="Acme.title = ' '"), "title is empty"),
    "empty version": (plugin(after="Acme.version = ''"), "version is empty"),
    "long version": (plugin(after="Acme.version = '1' * 41"), "version is longer than 40"),
    "half a character": (plugin(after="Acme.title = 'Ac\\udcffme'"), "no page can show"),
    "half a character in a step": (plugin(after="Acme.guide = ['Ac\\udcffme']"), "no page can show"),
    "NUL": (plugin(after="Acme.description = 'Ac\\0me'"), "no page can show"),
    "ten megabytes of picture": (plugin(after="Acme.picture = '<svg/>' * 2_000_000"), "picture is longer"),
    "ten megabytes of guide": (plugin(after="Acme.guide = ['x' * 10_000_000]"), "guide is longer"),
    "a million steps": (plugin(after="Acme.guide = ['x'] * 1_000_000"), "guide is longer"),
    "switch that is none": (plugin(after="Acme.accepts_files = 'no'"), "accepts_files is not True or False"),
    "no method": (plugin(after="Acme.check = 3"), "does not define check"),
    "every .com": (with_hosts(".com"), "hosts name “.com”"),
    "every host": (with_hosts("*"), "hosts name “*”"),
    "hosts below one": (with_hosts("*.bank.example"), "hosts name “*.bank.example”"),
    "a dot": (with_hosts("."), "hosts name “.”"),
    "no host": (with_hosts(""), "hosts name “”"),
    "an address": (with_hosts("https://api.bank.example"), "without https://"),
    "a port in words": (with_hosts("api.bank.example:x"), "hosts name"),
    "unknown annotation": (plugin(after="Config.__annotations__['town'] = 'Nowhere'"), "name 'Nowhere'"),
    "minimum that is text": (with_field("n: int = field('N', default=1, min='a')"), "min and max of n"),
    "default of another kind": (with_field("n: int = field('N', default='a')"), "default of n is no int"),
    "not in the form": (
        with_field("n: str = dataclasses.field(init=False, default='')"),
        "left out of __init__",
    ),
    "mute error": ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "acme.py: E"),
    "no ordinary error": ("class E(BaseException): pass\nraise E('x')", "acme.py: E: x"),
    "endless error": ("raise ValueError('x' * 100_000)", "xxx…"),
    "half a character in an error": ("raise ValueError('x\\udcff')", "ValueError: x?"),
    "no text at all": ("\0", "null bytes"),
    "a part of another plugin": (
        "from kvit.plugins.fio import Fio\nclass Acme(Fio):\n    pass\n",
        "Its name “fio” is not “acme”",
    ),
}


@pytest.fixture
def row(personas: Personas) -> PluginConfiguration:
    return PluginConfiguration.objects.create(
        organization=personas.organization, plugin="acme", name="Mine", settings={"town": "Praha"}
    )


def pages_of(row: PluginConfiguration) -> list[str]:
    run = SyncHistory.objects.create(
        organization=row.organization, connection=row, trigger="manual", status="failed", requested_by="x"
    )
    own = [f"/connections/{row.pk}/{tab}" for tab in ("", "settings/", "history/", "events/", "diagnostics/")]
    return ["/", "/connections/", "/health/", f"/runs/{run.pk}/", "/connections/new/acme/", *own]


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_breaks_no_page_and_says_why(
    folder: Path, owner: Client, row: PluginConfiguration, case: str
) -> None:
    text, says = BROKEN[case]
    (folder / "acme.py").write_text(text)
    (listing,) = (found for found in registry.catalogue() if found.name == "acme")
    assert listing.plugin is None
    assert says in listing.problem
    pages = {page: owner.get(page) for page in pages_of(row)}
    assert {page: answer.status_code for page, answer in pages.items()} == dict.fromkeys(pages, 200)
    assert max(len(answer.content) for answer in pages.values()) < 200_000
    for page in ("/connections/", f"/connections/{row.pk}/settings/", "/connections/new/acme/"):
        assert listing.problem in unescape(pages[page].text)


@pytest.mark.parametrize(
    "file", ["my acme (1).py", "acme.v2.py", "Fio.py", "fio.py", "žluťoučký.py", os.fsdecode(b"kvit_\xff.py")]
)
def test_a_file_of_any_name_breaks_no_page(folder: Path, owner: Client, file: str) -> None:
    (folder / file).write_text(plugin())
    assert owner.get("/connections/").status_code == 200
    assert registry.plugin_class("fio").title == "Fio banka"


def test_what_is_no_file_is_said_and_breaks_no_page(folder: Path, owner: Client) -> None:
    (folder / "directory.py").mkdir()
    (folder / "dangling.py").symlink_to(folder / "nowhere")
    (folder / "linked.py").symlink_to(folder / "sub" / "linked.py")
    (folder / "sub").mkdir()
    (folder / "sub" / "linked.py").write_text(plugin(after="Acme.name = 'linked'"))
    page = owner.get("/connections/").text
    found = {listing.name: listing.problem for listing in registry.catalogue()}
    assert (found["linked"], "IsADirectoryError" in found["directory"]) == ("", True)
    assert "FileNotFoundError" in found["dangling"]
    assert page.count("FileNotFoundError") == 1


def test_a_plugin_that_builds_on_another_and_uses_django_works(folder: Path, owner: Client) -> None:
    (folder / "acme.py").write_text(
        "from django.utils.html import escape\nfrom kvit.plugins.fio import Fio\n"
        "class Acme(Fio):\n    name, title = 'acme', 'Acme'\n"
    )
    assert registry.plugin_class("acme").title == "Acme"
    assert owner.get("/connections/new/acme/credentials/").status_code == 200


def test_a_file_taken_away_leaves_its_connection_and_says_so(
    folder: Path, owner: Client, row: PluginConfiguration
) -> None:
    (folder / "acme.py").write_text(plugin())
    assert "Praha" in owner.get(f"/connections/{row.pk}/settings/").text
    (folder / "acme.py").unlink()
    assert "not installed" in owner.get(f"/connections/{row.pk}/settings/").text
    assert {owner.get(page).status_code for page in pages_of(row)[:4]} == {200}


MIGRATING = """
    schema_version = 3
    @classmethod
    def migrate_settings(cls, stored, from_version):
        stored = dict(stored)
        if from_version < 2:
            stored["city"] = stored.pop("place")
        if from_version < 3:
            stored["town"] = stored.pop("city").upper()
        return stored
"""


def test_the_form_shows_what_an_earlier_version_stored_by_the_fields_of_today(
    folder: Path, owner: Client, row: PluginConfiguration
) -> None:
    (folder / "acme.py").write_text(plugin(body=MIGRATING.strip("\n ")))
    for version, settings_of_then in ((1, {"place": "Zlin"}), (2, {"city": "Zlin"}), (3, {"town": "ZLIN"})):
        PluginConfiguration.objects.filter(pk=row.pk).update(
            schema_version=version, settings=settings_of_then
        )
        page = owner.get(f"/connections/{row.pk}/settings/").text
        assert 'value="ZLIN"' in page
        assert "Brno" not in page
    written = {"name": "Mine", "setting-town": "ZLIN"}
    assert owner.post(f"/connections/{row.pk}/settings/", written).status_code == 302
    row.refresh_from_db()
    assert (row.schema_version, row.settings) == (3, {"town": "ZLIN"})


@pytest.mark.parametrize(
    ("version", "settings_of_then", "says"),
    [(4, {"town": "Zlin"}, "newer version of the plugin"), (1, {}, "KeyError in migrate_settings")],
)
def test_settings_that_the_plugin_of_today_does_not_know_are_never_overwritten(
    folder: Path,
    owner: Client,
    row: PluginConfiguration,
    version: int,
    settings_of_then: dict[str, str],
    says: str,
) -> None:
    (folder / "acme.py").write_text(plugin(body=MIGRATING.strip("\n ")))
    kept = PluginConfiguration.objects.filter(pk=row.pk)
    kept.update(schema_version=version, settings=settings_of_then)
    pages = [page for page in pages_of(row) if "/new/" not in page]
    assert {owner.get(page).status_code for page in pages} == {200}
    page = f"/connections/{row.pk}/settings/"
    for answer in (owner.get(page), owner.post(page, {"name": "Mine", "setting-town": "Brno"})):
        assert says in answer.text
    assert owner.get(f"/connections/{row.pk}/credentials/", follow=True).redirect_chain[-1][0] == page
    row.refresh_from_db()
    assert (row.schema_version, row.settings) == (version, settings_of_then)


def test_a_stored_setting_that_is_not_allowed_any_more_is_said_and_mended_in_the_form(
    folder: Path, owner: Client, row: PluginConfiguration
) -> None:
    field = "town: str = field('Town', choices=('Brno', 'Zlin'))"
    (folder / "acme.py").write_text(with_field(field))
    run = sync(row)
    assert (run.error_kind, run.error_params["choices"]) == ("Misconfigured", "Brno, Zlin")
    assert owner.get(f"/connections/{row.pk}/settings/").status_code == 200
    owner.post(f"/connections/{row.pk}/settings/", {"name": "Mine", "setting-town": "Zlin"})
    assert sync(row).status == SyncHistory.Status.COMPLETED
