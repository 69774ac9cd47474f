"""The two languages: the Czech catalogue is whole, and a page speaks one language from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Final

import pytest
from babel.messages.catalog import Message
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import ngettext, pgettext

from kvit.kernel.errors import Refused
from kvit.kernel.money import Money
from kvit.matching.reconcile import reconcile
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import User
from kvit.web import words
from scripts import messages
from tests.factories import a_client, a_draft, a_movement, a_payment, an_account, an_invoice, post
from tests.personas import Personas

NAVIGATION: Final = {
    "cs": ("Přehled", "Faktury", "Banka", "Klienti", "Propojení"),
    "en": ("Overview", "Invoices", "Bank", "Clients", "Connections"),
}
_PERCENT: Final = re.compile(r"%\((\w+)\)s")
_SPOKEN_ATTRIBUTES: Final = {"aria-label", "placeholder", "title", "alt"}


each_catalogue = pytest.mark.parametrize(
    "home", [pytest.param(home, id=home.name) for home in messages.homes()]
)


@each_catalogue
def test_a_catalogue_holds_exactly_the_texts_of_today(home: Path) -> None:
    assert (home / messages.IN_CZECH).read_bytes() == messages.written(messages.merged(home)), (
        "Texts have changed: run `python -m scripts.messages` and translate what it lists."
    )


@each_catalogue
def test_every_text_is_translated(home: Path) -> None:
    assert messages.untranslated(messages.merged(home)) == []


def test_every_kind_of_text_is_found() -> None:
    found = {text for home in messages.homes() for text in messages.texts(home)}
    assert messages.Text("Movements") in found  # a template
    assert messages.Text("%(count)s invoice", "%(count)s invoices") in found  # a plural of a template
    assert messages.Text("Draft saved.") in found  # a call of gettext
    assert messages.Text("name", context="of a person") in found
    assert messages.Text("The credentials were refused. Enter them again.") in found  # an error's docstring
    assert messages.Text("This is an Excel workbook. Export the statement as CSV.") in found
    assert messages.Text("payer's name alike") in found  # a reason of matching
    assert messages.Text("Fio asks for 30.") in found  # the help of a plugin's field
    assert messages.Text("Demo bank") in found  # the title of a plugin


def test_translations_have_the_placeholders_of_their_originals() -> None:
    wrong = [
        (original, czech)
        for message in _messages()
        for original, czech in _pairs(message)
        if _placeholders(original) != _placeholders(czech)
    ]
    assert wrong == []


def test_translations_keep_the_full_stop_and_czech_quotation_marks() -> None:
    wrong = [
        (original, czech)
        for message in _messages()
        for original, czech in _pairs(message)
        if original.endswith(".") != czech.endswith(".")
        or czech.count("„") != czech.count("“")
        or set(czech) & {'"', "”"}
        or czech != czech.strip()
    ]
    assert wrong == []


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    with translation.override("cs"):
        stale = [
            message.id
            for message in _messages()
            if isinstance(message.id, str) and _looked_up(message.id, message.context) != message.string
        ]
    assert stale == [], "Run `python -m scripts.messages`: it compiles the catalogue."


@pytest.mark.parametrize(
    ("count", "invoices", "days"),
    [
        (1, "1 faktura", "za 1 den"),
        (2, "2 faktury", "za 2 dny"),
        (4, "4 faktury", "za 4 dny"),
        (5, "5 faktur", "za 5 dní"),
        (21, "21 faktur", "za 21 dní"),
    ],
)
def test_czech_counts_in_three_forms(count: int, invoices: str, days: str) -> None:
    with translation.override("cs"):
        said = ngettext("%(count)s invoice", "%(count)s invoices", count) % {"count": count}
        assert said == invoices
        assert render_to_string("web/invoices/days.html", {"days": count}).strip() == days


def test_no_invoice_is_counted_with_the_third_form() -> None:
    with translation.override("cs"):
        assert ngettext("%(count)s invoice", "%(count)s invoices", 0) == "%(count)s faktur"


def test_an_error_is_told_in_czech_with_its_parts() -> None:
    error = Refused("Only {open} is open on {number}.", open=Money(30_000, "CZK"), number="2026-0042")
    with translation.override("cs"):
        assert words.error_text(error) == "Na faktuře 2026-0042 zbývá uhradit jen 300,00\u00a0Kč."
    with translation.override("en"):
        assert words.error_text(error) == "Only CZK\u00a0300.00 is open on 2026-0042."


def test_an_amount_in_a_reason_is_written_in_czech() -> None:
    values = {"paid": "1210.00 CZK", "open": "1500.00 CZK", "invoice": "2026-001"}
    reason = {"code": "amount.differs", "values": values}
    with translation.override("cs"):
        assert words.reason_text(reason) == (
            "Přišlo 1\u00a0210,00\u00a0Kč, ale na 2026-001 zbývá 1\u00a0500,00\u00a0Kč."
        )


def test_a_failed_run_and_its_advice_are_told_in_czech() -> None:
    run = SyncHistory(
        error_kind="RateLimited",
        error_message="The source allows one request every {seconds} seconds.",
        error_params={"seconds": 30},
    )
    with translation.override("cs"):
        assert words.run_error_text(run) == "Zdroj dovoluje jeden požadavek za 30 s."
        assert words.run_advice(run) == "Nemusíte nic dělat: Kvit počká, jak dlouho zdroj žádá."


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["cs", "en"])
def test_pages_speak_one_language(client: Client, personas: Personas, language: str) -> None:
    pages = _pages_of_a_busy_business(personas)
    User.objects.filter(pk=personas.owner.pk).update(language=language)
    client.force_login(personas.owner)
    foreign = _words_of_the_other_language(language)
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        spoken = set(_spoken(response.text))
        assert spoken.issuperset(NAVIGATION[language]), page
        assert spoken & foreign == set(), page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "headings"),
    [("cs", "\ufeffZaúčtováno;Vlastní účet;Částka;"), ("en", "\ufeffBooked on,Own account,Amount,")],
)
def test_an_export_is_in_the_readers_language(
    client: Client, personas: Personas, language: str, headings: str
) -> None:
    User.objects.filter(pk=personas.owner.pk).update(language=language)
    client.force_login(personas.owner)
    response = client.get("/transactions/export.csv")
    assert response.getvalue().decode().startswith(headings)


@pytest.mark.django_db
def test_a_missing_page_is_told_in_the_readers_language(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    for language, text in (("cs", "Tato stránka tu není"), ("en", "This page is not here")):
        User.objects.filter(pk=personas.owner.pk).update(language=language)
        response = client.get("/invoices/4242/")
        assert response.status_code == 404
        assert text in response.text


def _pages_of_a_busy_business(personas: Personas) -> list[str]:
    """Make something of everything a page may show, and return the pages."""
    organization, today = personas.organization, timezone.localdate()
    account = an_account(organization)
    customer = a_client(organization)
    draft = a_draft(customer)
    paid = an_invoice(customer, symbol="111", issued_on=today)
    late = an_invoice(
        customer, symbol="222", issued_on=today - timedelta(days=9), due_on=today - timedelta(days=5)
    )
    a_payment(account, variable_symbol="111", counterparty_name="Jan Novák", booked_on=today)
    doubtful = a_payment(account, "1000.00 CZK", variable_symbol="222", message="díky")
    unknown = a_payment(account, "77.00 CZK", booked_on=today)
    post(account, [a_movement(amount="-200.00 CZK", booked_on=today)])
    reconcile(organization)
    paid.refresh_from_db()
    assert paid.state == "paid"
    connection = PluginConfiguration.objects.create(
        organization=organization, plugin="fio", name="Fio", state="needs_attention"
    )
    runs = [
        SyncHistory.objects.create(
            organization=organization,
            connection=connection,
            status=status,
            trigger=trigger,
            requested_by="system",
            error_kind=kind,
            error_message=message,
        )
        for status, trigger, kind, message in (
            ("completed", "manual", "", ""),
            ("failed", "schedule", "AuthExpired", "The credentials were refused. Enter them again."),
            ("pending", "manual", "", ""),
        )
    ]
    return [
        *(reverse(name) for name in ("dashboard", "profile", "connections", "import", "transactions")),
        *(reverse(name) for name in ("review", "invoices", "invoice-new", "clients", "client-new")),
        *(reverse(name) for name in ("import-profiles", "accounts")),
        *(reverse(name) for name in ("matching", "matching-runs", "payouts", "payout-new")),
        reverse("account", args=[account.pk]),
        *(f"{reverse('review')}?tab={tab}" for tab in ("matched", "dismissed")),
        *(f"{reverse('invoices')}?tab={tab}" for tab in ("drafts", "open", "overdue", "paid")),
        *(reverse("invoice", args=[invoice.pk]) for invoice in (draft, paid, late)),
        reverse("invoice-edit", args=[draft.pk]),
        reverse("client", args=[customer.pk]),
        *(reverse("transaction", args=[row.pk]) for row in (doubtful, unknown)),
        reverse("connection-add", args=["fio"]),
        reverse("connection-add", args=["fio"]),
        reverse("connection-try", args=["demo_bank"]),
        reverse("connection", args=[connection.pk]),
        reverse("connection-settings", args=[connection.pk]),
        *(reverse("run", args=[run.pk]) for run in runs),
    ]


def _words_of_the_other_language(language: str) -> set[str]:
    """Whole texts that the language does not have, as the catalogue pairs them."""
    pairs = [pair for message in _messages() for pair in _pairs(message)]
    english, czech = {original for original, _ in pairs}, {translated for _, translated in pairs}
    return english - czech if language == "cs" else czech - english


def _messages() -> Iterator[Message]:
    return (message for home in messages.homes() for message in messages.merged(home) if message.id)


def _pairs(message: Message) -> Iterator[tuple[str, str]]:
    """Each translation beside its original; the first form of a plural is that of the singular."""
    if isinstance(message.id, str):
        assert isinstance(message.string, str)
        yield message.id, message.string
    else:
        assert isinstance(message.string, tuple)
        yield message.id[0], message.string[0]
        yield from ((message.id[1], other) for other in message.string[1:])


def _placeholders(text: str) -> tuple[set[str], set[str]]:
    return set(_PERCENT.findall(text)), {
        name for _, name, _, _ in Formatter().parse(text) if name is not None
    }


def _looked_up(text: str, context: str | None) -> str:
    return pgettext(context, text) if context else translation.gettext(text)


def _spoken(page: str) -> Iterator[str]:
    """What a page says to its reader: its texts and the attributes that are read aloud."""
    reader = _Reader()
    reader.feed(page)
    return (" ".join(text.split()) for text in reader.said if text.strip())


class _Reader(HTMLParser):
    """Collects what is said, but not what an element says in a language of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._of_own_language: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "html" and "lang" in given:
            self._of_own_language = tag
        self.said += [value for name, value in attrs if name in _SPOKEN_ATTRIBUTES and value]

    def handle_endtag(self, tag: str) -> None:
        if tag == self._of_own_language:
            self._of_own_language = None

    def handle_data(self, data: str) -> None:
        if self._of_own_language is None:
            self.said.append(data)
