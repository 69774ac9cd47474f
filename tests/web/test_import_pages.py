"""Importing statement files: handing them over, looking, mapping columns, confirming, taking back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from kvit import tasks
from kvit.ledger.models import BankAccount, BankStatement, MoneyTransaction
from kvit.sync.models import CsvProfile, HandedFile, StatementImport, SyncHistory
from kvit.web.forms_imports import MOST_FILES
from tests.factories import an_account
from tests.kernel.statements.writers import IBAN, camt, camt_balance, camt_entry, gpc, gpc_head, gpc_movement
from tests.personas import Personas

pytestmark = pytest.mark.django_db

CAMT = camt(
    camt_balance("OPBD", "1000.00", day="2026-03-01"),
    camt_balance("CLBD", "1250.50", day="2026-03-31"),
    camt_entry("300.50", more="<AcctSvcrRef>A-1</AcctSvcrRef>"),
    camt_entry("50.00", "DBIT", booked="2026-03-09", more="<AcctSvcrRef>A-2</AcctSvcrRef>"),
)
SILENT_GPC = gpc(gpc_head(), gpc_movement(currency="0000"))
"""It does not say its currency."""
CSV = """\
Kdy;Kolik;Kdo;K čemu
02.03.2026;1 200,00;Kavárna Na Rohu;káva
05.03.2026;-300,50;Papírnictví Sova;papír
""".encode()
COLUMNS = {
    "column-0": "booked_on",
    "column-1": "amount",
    "column-2": "counterparty_name",
    "column-3": "message",
}
WHOSE = {"number": "CZ65 0800 0000 1920 0014 5399", "currency": "CZK"}


def upload(client: Client, **files: bytes) -> HttpResponse:
    """Hand over files; their names end as `a_xml` says."""
    handed = [SimpleUploadedFile(name.replace("_", "."), data) for name, data in files.items()]
    return client.post("/import/", {"statements": handed})  # type: ignore[return-value]  # a response all the same


def staged(client: Client, **files: bytes) -> StatementImport:
    response = upload(client, **files)
    row = StatementImport.objects.latest("id")
    assert response.headers["Location"] == f"/imports/{row.pk}/"
    return row


def mapping_of(row: StatementImport) -> str:
    return f"/imports/{row.pk}/files/{row.files.get().pk}/mapping/"


def confirmed(client: Client, row: StatementImport) -> SyncHistory:
    """Confirm an import and let its run end."""
    client.post(f"/imports/{row.pk}/confirmation/")
    row.refresh_from_db()
    assert row.run is not None
    return tasks.run_to_the_end(row.run, patience=timedelta(0))


@pytest.fixture
def owner(client: Client, personas: Personas) -> Client:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


def test_the_look_tells_what_a_file_holds_and_writes_nothing(owner: Client) -> None:
    row = staged(owner, a_xml=CAMT)
    text = owner.get(f"/imports/{row.pk}/").text.replace("\N{NO-BREAK SPACE}", " ")
    for word in (
        "Nothing is written yet.",
        "a.xml",
        "camt.053",
        "new account",
        "2 new",
        "agree",
        "CZK 300.50",
    ):
        assert word in text
    assert "Import 2 movements" in text
    assert not MoneyTransaction.objects.exists()
    assert not BankAccount.objects.exists()
    assert not SyncHistory.objects.exists()


def test_balances_that_do_not_agree_are_told_with_the_difference(owner: Client) -> None:
    row = staged(owner, a_xml=CAMT.replace(b"1250.50", b"1350.50"))
    text = owner.get(f"/imports/{row.pk}/").text.replace("\N{NO-BREAK SPACE}", " ")
    assert "differ by CZK 100.00" in text


@pytest.mark.django_db(transaction=True)
def test_a_confirmed_import_is_one_run_and_can_be_taken_back(owner: Client) -> None:
    row = staged(owner, a_xml=CAMT)
    run = confirmed(owner, row)
    assert (run.status, run.created) == ("completed", 2)
    assert owner.get(f"/imports/{row.pk}/").headers["Location"] == f"/runs/{run.pk}/"

    again = staged(owner, b_xml=CAMT)
    text = owner.get(f"/imports/{again.pk}/").text
    assert "2 known already" in text
    assert "Nothing in them is new." in text

    assert "Take the import back" in owner.get("/import/").text
    response = owner.post(f"/imports/{row.pk}/reversal/", follow=True)
    assert "2 movements were taken back." in response.text
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"withdrawn"}
    assert "Take the import back" not in response.text
    assert "message error" in owner.post(f"/imports/{row.pk}/reversal/", follow=True).text


def test_the_slower_of_two_confirmations_is_told_so(owner: Client) -> None:
    row = staged(owner, a_xml=CAMT)
    for _ in range(2):
        response = owner.post(f"/imports/{row.pk}/confirmation/", follow=True)
    assert "confirmed already" in response.text
    assert SyncHistory.objects.count() == 1


def test_files_thrown_away_leave_nothing(owner: Client) -> None:
    row = staged(owner, a_xml=CAMT)
    response = owner.post(f"/imports/{row.pk}/discarding/", follow=True)
    assert "nothing of them was imported" in response.text
    assert "thrown away" in owner.get(f"/imports/{row.pk}/").text
    assert "message error" in owner.post(f"/imports/{row.pk}/confirmation/", follow=True).text
    assert not SyncHistory.objects.exists()


def test_a_file_nobody_can_read_stops_the_confirmation_until_it_is_left_out(owner: Client) -> None:
    row = staged(owner, a_xml=CAMT, faktura_pdf=b"%PDF-1.7")
    page = owner.get(f"/imports/{row.pk}/").text
    assert "This is a PDF." in page
    assert "1 file cannot be imported as it is" in page
    assert "disabled" in page
    assert "faktura.pdf" in owner.post(f"/imports/{row.pk}/confirmation/", follow=True).text
    assert not SyncHistory.objects.exists()

    file = row.files.get(name="faktura.pdf")
    response = owner.post(f"/imports/{row.pk}/files/{file.pk}/removal/", follow=True)
    assert "faktura.pdf is left out" in response.text
    assert "disabled" not in response.text
    owner.post(f"/imports/{row.pk}/confirmation/")
    assert SyncHistory.objects.count() == 1


def test_what_a_file_does_not_say_is_asked_for(owner: Client) -> None:
    row = staged(owner, a_gpc=SILENT_GPC)
    page, file = owner.get(f"/imports/{row.pk}/").text, row.files.get()
    field = f"file-{file.pk}-currency"
    assert f'name="{field}"' in page
    url = f"/imports/{row.pk}/files/{file.pk}/"
    assert "Choose the currency." in owner.post(url, {field: ""}).text
    assert "disabled" not in owner.post(url, {field: "EUR"}, follow=True).text
    file.refresh_from_db()
    assert file.currency == "EUR"


def test_an_unknown_csv_is_mapped_by_pointing_at_its_columns(owner: Client) -> None:
    row = staged(owner, a_csv=CSV)
    url = mapping_of(row)
    assert url in owner.get(f"/imports/{row.pk}/").text
    page = owner.get(url).text
    assert "Papírnictví Sova" in page
    assert "K čemu" in page

    shown = owner.post(url, COLUMNS | WHOSE | {"act": "show"}, headers={"hx-request": "true"}).text
    assert "<html" not in shown
    assert "2 movements" in shown
    assert "+CZK\N{NO-BREAK SPACE}1,200.00" in shown
    assert row.files.get().profile == ""

    response = owner.post(url, COLUMNS | WHOSE | {"act": "use", "save_as": "Má banka"}, follow=True)
    assert response.redirect_chain == [(f"/imports/{row.pk}/", 302)]
    assert "Import 2 movements" in response.text
    assert CsvProfile.objects.get().name == "Má banka"

    file = row.files.get()
    other = {f"file-{file.pk}-number": IBAN, f"file-{file.pk}-currency": "EUR"}
    corrected = owner.post(f"/imports/{row.pk}/files/{file.pk}/", other, follow=True).text
    assert "CZ55 2010 0000 0020 0014 5399" in corrected

    next_month = staged(owner, b_csv=CSV.replace(b".03.", b".04."))
    text = owner.get(f"/imports/{next_month.pk}/").text
    assert "Map the columns" not in text
    assert "CZ65 0800 0000 1920 0014 5399" in text
    assert "disabled" not in text


def test_columns_that_make_no_movement_are_told_in_words(owner: Client) -> None:
    row = staged(owner, a_csv=CSV)
    for act in ("show", "use"):
        response = owner.post(mapping_of(row), {"column-2": "message", "act": act})
        assert response.status_code == 200
        assert 'class="banner warn"' in response.text
        assert "<tbody>" not in response.text.partition('id="result"')[2]
    assert row.files.get().profile == ""


def test_a_profile_to_start_from_fills_the_choices_in(owner: Client, personas: Personas) -> None:
    row = staged(owner, a_csv=CSV)
    owner.post(mapping_of(row), COLUMNS | WHOSE | {"act": "use", "save_as": "Má banka"})
    other = staged(owner, b_csv=CSV.replace(b"Kolik", b"Kolik to bylo"))
    profile = CsvProfile.objects.get()
    chosen = owner.get(f"{mapping_of(other)}?profile=saved-{profile.pk}").context["form"]
    assert chosen["column-2"].value() == "counterparty_name"
    assert owner.get(f"{mapping_of(other)}?profile=nonsense").status_code == 200


def test_profiles_are_shared_as_toml(owner: Client) -> None:
    row = staged(owner, a_csv=CSV)
    owner.post(mapping_of(row), COLUMNS | WHOSE | {"act": "use", "save_as": "Má banka"})
    profile = CsvProfile.objects.get()
    download = owner.get(f"/imports/profiles/{profile.pk}/profile.toml")
    assert download.headers["Content-Disposition"] == 'attachment; filename="ma-banka.toml"'
    assert 'name = "ma-banka"' in download.text
    assert "1920" not in download.text

    assert "is deleted" in owner.post(f"/imports/profiles/{profile.pk}/removal/", follow=True).text
    assert not CsvProfile.objects.exists()
    shared = SimpleUploadedFile("p.toml", download.content)
    response = owner.post("/imports/profiles/", {"name": "Sdílený", "toml": shared}, follow=True)
    assert "Sdílený" in response.text
    assert CsvProfile.objects.get().toml == download.text


@pytest.mark.parametrize("content", [b"not toml at all [", b"\xff\xfe", b"x" * 70_000])
def test_a_broken_profile_is_told_at_the_field(owner: Client, content: bytes) -> None:
    upload = SimpleUploadedFile("p.toml", content)
    response = owner.post("/imports/profiles/", {"name": "X", "toml": upload})
    assert list(response.context["form"].errors) == ["toml"]
    assert not CsvProfile.objects.exists()


def test_no_file_too_many_and_an_empty_one_are_told_at_the_field(owner: Client) -> None:
    assert "Choose a file first." in owner.post("/import/", {}).text
    many = [SimpleUploadedFile(f"{number}.xml", b"<a/>") for number in range(MOST_FILES + 1)]
    assert f"at most {MOST_FILES} files" in owner.post("/import/", {"statements": many}).text
    assert "prazdny.gpc: the file is empty." in upload(owner, a_xml=CAMT, prazdny_gpc=b"").content.decode()
    assert not StatementImport.objects.exists()
    assert not HandedFile.objects.exists()


def pages_of(row: StatementImport, profile: CsvProfile, account: BankAccount) -> list[str]:
    return [
        f"/imports/{row.pk}/",
        mapping_of(row),
        f"/imports/profiles/{profile.pk}/profile.toml",
        f"/accounts/{account.pk}/",
    ]


def acts_of(row: StatementImport, profile: CsvProfile) -> list[str]:
    file = row.files.get()
    return [
        f"/imports/{row.pk}/confirmation/",
        f"/imports/{row.pk}/discarding/",
        f"/imports/{row.pk}/reversal/",
        f"/imports/{row.pk}/files/{file.pk}/",
        f"/imports/{row.pk}/files/{file.pk}/removal/",
        mapping_of(row),
        f"/imports/profiles/{profile.pk}/removal/",
    ]


def test_an_accountant_looks_and_changes_nothing(owner: Client, personas: Personas) -> None:
    row, account = staged(owner, a_csv=CSV), an_account(personas.organization)
    owner.post(mapping_of(row), COLUMNS | WHOSE | {"act": "use", "save_as": "Má banka"})
    profile = CsvProfile.objects.get()
    owner.force_login(personas.accountant)
    for page in ["/import/", "/imports/profiles/", "/accounts/", *pages_of(row, profile, account)]:
        response = owner.get(page)
        assert response.status_code == 200, page
        assert 'class="button primary"' not in response.text, page
    for act in ["/import/", "/imports/profiles/", *acts_of(row, profile)]:
        assert owner.post(act).status_code == 403, act
    row.refresh_from_db()
    assert row.state == "waiting"
    assert row.files.count() == 1


def test_a_stranger_finds_nothing(owner: Client, personas: Personas) -> None:
    row, account = staged(owner, a_csv=CSV), an_account(personas.organization)
    owner.post(mapping_of(row), COLUMNS | WHOSE | {"act": "use", "save_as": "Má banka"})
    profile = CsvProfile.objects.get()
    owner.force_login(personas.stranger)
    for page in pages_of(row, profile, account):
        assert owner.get(page).status_code == 404, page
    for act in acts_of(row, profile):
        assert owner.post(act).status_code == 404, act
    for page in ("/import/", "/imports/profiles/", "/accounts/"):
        assert "Má banka" not in owner.get(page).text, page


def test_a_file_of_another_import_is_not_there(owner: Client) -> None:
    first, second = staged(owner, a_xml=CAMT), staged(owner, b_xml=CAMT)
    file = second.files.get()
    assert owner.post(f"/imports/{first.pk}/files/{file.pk}/removal/").status_code == 404
    assert second.files.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_page_of_an_account_tells_which_statement_is_missing(owner: Client) -> None:
    for number, month, opening, closing in ((3, "03", "1000", "1100"), (5, "05", "1300", "1400")):
        day = f"2026-{month}-02"
        row = staged(
            owner,
            a_xml=camt(
                camt_balance("OPBD", f"{opening}.00", day=f"2026-{month}-01"),
                camt_balance("CLBD", f"{closing}.00", day=f"2026-{month}-28"),
                camt_entry(booked=day),
                head=f"<LglSeqNb>{number}</LglSeqNb>"
                f"<FrToDt><FrDtTm>2026-{month}-01T00:00:00</FrDtTm><ToDtTm>2026-{month}-28T23:59:59</ToDtTm></FrToDt>",
            ),
        )
        assert confirmed(owner, row).status == "completed"
    account = BankAccount.objects.get()
    page = owner.get(f"/accounts/{account.pk}/").text.replace("\N{NO-BREAK SPACE}", " ")
    assert BankStatement.objects.count() == 2
    for word in ("No. 3", "No. 5", "CZK 1,300.00", "1 Mar 2026 – 28 Mar 2026", "camt.053"):
        assert word in page
    assert "Statement 4 is missing, for 29 Mar 2026 to" in page
    for page in ("/import/", "/accounts/"):
        assert "1 gap" in owner.get(page).text
