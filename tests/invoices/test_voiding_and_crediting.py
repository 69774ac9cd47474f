"""Documents declared void, and invoices taken back by credit notes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.dashboard.figures import overview
from kvit.invoices import crediting, settling
from kvit.invoices.models import Invoice, InvoiceLine, Settlement
from kvit.kernel.errors import KvitError, Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from kvit.work.clients import add_payer_account
from kvit.work.models import Client
from tests.factories import (
    TODAY,
    a_client,
    a_draft,
    a_payment,
    an_account,
    an_invoice,
    an_organization,
    money,
)

OWNER = Actor(name="user:owner@example.com")
PAYER = "CZ5508000000001234567899"


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Run the acts in threads that start together; an error of ours is a result too."""
    together = Barrier(len(acts))

    def one(act: Callable[[], object]) -> object:
        try:
            together.wait()
            return act()
        except KvitError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def a_credit_note(invoice: Invoice, total: str = "") -> Invoice:
    """An issued credit note over the whole of an invoice, or over this much of it."""
    note = a_note_draft(invoice, total)
    pipeline.issue(note, TODAY, actor=OWNER)
    return note


def a_note_draft(invoice: Invoice, total: str = "") -> Invoice:
    note = crediting.draft_credit_note(invoice, TODAY, actor=OWNER)
    if total:
        note.write([InvoiceLine.of("Vráceno", Decimal(1), "ks", money(total))], actor=OWNER)
    return note


def require_sound() -> None:
    """Counters are the sums of live lines (I3), and whole is paid (I6)."""
    assert list(Settlement.audit_faults()) == []
    for invoice in Invoice.objects.all():
        assert (invoice.state == "paid") == (0 < invoice.total_minor == invoice.settled_minor)


def of(invoice: Invoice) -> tuple[str, str, str]:
    """Its number, its state and what is open of it."""
    fresh = Invoice.objects.get(pk=invoice.pk)
    return fresh.number, fresh.state, str(fresh.open)


def test_a_void_invoice_keeps_its_number_and_gives_its_symbol_back(organization: Organization) -> None:
    client = a_client(organization)
    first = an_invoice(client, symbol="77")
    first.void(actor=OWNER, reason="sent to somebody else")
    assert of(first) == ("2026-001", "void", "0.00 CZK")
    again = an_invoice(client, symbol="77")
    assert of(again) == ("2026-002", "issued", "1210.00 CZK")
    entry = AuditEntry.objects.get(reason="sent to somebody else")
    assert (entry.actor, entry.before, entry.after) == (OWNER.name, {"state": "issued"}, {"state": "void"})


def test_a_void_invoice_is_owed_nowhere(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), due_on=TODAY - timedelta(days=1))
    assert Invoice.objects.overdue(TODAY).count() == overview(organization, TODAY).overdue.count == 1
    invoice.void(actor=OWNER)
    assert not Invoice.objects.overdue(TODAY).exists()
    assert overview(organization, TODAY).waiting.amounts == ()


def test_what_anything_pays_cannot_be_declared_void(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    part = settling.settle(
        invoice, a_payment(an_account(organization), "30.00 CZK"), money("30.00 CZK"), actor=SYSTEM
    )
    with pytest.raises(Refused, match="Undo its payments first"):
        invoice.void(actor=OWNER)
    invoice.refresh_from_db()
    rest = settling.settle_by_hand(invoice, TODAY, actor=SYSTEM)
    with pytest.raises(Refused, match="Undo its payments first"):
        invoice.void(actor=OWNER)
    for line in (rest, part):
        settling.unsettle(line, actor=OWNER)
    invoice.void(actor=OWNER)
    assert of(invoice)[1] == "void"
    require_sound()


def test_a_draft_is_not_voided_and_a_void_one_not_twice(organization: Organization) -> None:
    client = a_client(organization)
    with pytest.raises(Refused, match="draft"):
        a_draft(client).void(actor=OWNER)
    invoice = an_invoice(client)
    invoice.void(actor=OWNER)
    with pytest.raises(Stale):
        invoice.void(actor=OWNER)


def test_money_that_names_a_void_invoice_waits_for_a_person(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    invoice.void(actor=OWNER)
    row = a_payment(an_account(organization), variable_symbol=invoice.variable_symbol)
    reconcile(organization)
    assert not Settlement.objects.exists()
    assert Decision.objects.waiting().get(transaction=row).because[0]["code"] == "document.void"


def test_a_credit_note_pays_the_open_invoice_it_takes_back(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    note = a_credit_note(invoice)
    assert of(note) == ("2026-002", "paid", "0.00 CZK")
    assert of(invoice) == ("2026-001", "paid", "0.00 CZK")
    line = Settlement.objects.get()
    assert (line.source_kind, line.credit_note, line.invoice) == ("credit_note", note, invoice)
    assert str(line.amount) == "1210.00 CZK"
    require_sound()


def test_an_offset_is_undone_and_used_again(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    note = a_credit_note(invoice, "210.00 CZK")
    assert (of(invoice)[2], of(note)[1]) == ("1000.00 CZK", "paid")
    settling.unsettle(Settlement.objects.get(), actor=OWNER)
    assert (of(invoice)[2], of(note)[2]) == ("1210.00 CZK", "210.00 CZK")
    note.refresh_from_db()
    invoice.refresh_from_db()
    assert crediting.offset(note, invoice, TODAY, actor=OWNER) is not None
    assert (of(invoice)[2], of(note)[1]) == ("1000.00 CZK", "paid")
    with pytest.raises(Stale):
        crediting.offset(note, invoice, TODAY, actor=OWNER)
    require_sound()


def test_a_credit_note_may_pay_another_invoice_of_its_client_only(organization: Organization) -> None:
    client = a_client(organization)
    paid, other = an_invoice(client, "100.00 CZK"), an_invoice(client, "70.00 CZK")
    settling.settle_by_hand(paid, TODAY, actor=SYSTEM)
    paid.refresh_from_db()
    note = a_credit_note(paid)
    with pytest.raises(Refused, match="own client"):
        crediting.offset(note, an_invoice(a_client(organization)), TODAY, actor=OWNER)
    crediting.offset(note, other, TODAY, actor=OWNER)
    assert (of(other)[1], of(note)[2]) == ("paid", "30.00 CZK")
    require_sound()


def test_credit_notes_take_back_no_more_than_the_invoice(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    a_credit_note(invoice, "60.00 CZK")
    draft = a_note_draft(invoice, "40.01 CZK")
    with pytest.raises(Refused, match=r"Only 40\.00 CZK of 2026-001"):
        pipeline.issue(draft, TODAY, actor=OWNER)
    assert of(draft) == ("", "draft", "0.00 CZK")
    draft.write([InvoiceLine.of("Zbytek", Decimal(1), "", money("40.00 CZK"))], actor=OWNER)
    pipeline.issue(draft, TODAY, actor=OWNER)
    assert of(draft)[0] == "2026-003"
    with pytest.raises(Refused, match="the whole"):
        crediting.draft_credit_note(invoice, TODAY, actor=OWNER)
    require_sound()


def test_a_void_credit_note_leaves_room_for_another(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    note = a_credit_note(invoice)
    with pytest.raises(Refused, match="Undo its payments first"):
        note.void(actor=OWNER)
    settling.unsettle(Settlement.objects.get(), actor=OWNER)
    with pytest.raises(Refused, match="has credit notes"):
        invoice.void(actor=OWNER)
    note.void(actor=OWNER)
    assert of(a_credit_note(invoice)) == ("2026-003", "paid", "0.00 CZK")
    require_sound()


def test_a_draft_of_a_credit_note_is_made_once_with_the_lines(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    note = crediting.draft_credit_note(invoice, TODAY, actor=OWNER)
    assert crediting.draft_credit_note(invoice, TODAY, actor=OWNER) == note
    assert [str(line) for line in note.lines.all()] == ["Práce"]
    assert (note.total, note.client, note.corrects) == (invoice.total, invoice.client, invoice)


@pytest.mark.parametrize("state", ["draft", "void", "credit note"])
def test_only_an_effective_invoice_is_taken_back(organization: Organization, state: str) -> None:
    client = a_client(organization)
    document = a_draft(client) if state == "draft" else an_invoice(client)
    if state == "void":
        document.void(actor=OWNER)
    if state == "credit note":
        document = a_credit_note(document)
    with pytest.raises(Refused):
        crediting.draft_credit_note(document, TODAY, actor=OWNER)


def test_an_invoice_declared_void_meanwhile_is_not_taken_back(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    draft = a_note_draft(invoice)
    invoice.void(actor=OWNER)
    with pytest.raises(Refused, match="is void"):
        pipeline.issue(draft, TODAY, actor=OWNER)
    assert not organization.number_series.exclude(last_number=1).exists()


def test_a_credit_note_is_no_older_than_its_invoice_and_has_its_client(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    draft = a_note_draft(invoice)
    with pytest.raises(Refused, match="before its invoice"):
        pipeline.issue(draft, TODAY - timedelta(days=8), actor=OWNER)
    draft.client = a_client(organization)
    draft.write(list(draft.lines.all()), actor=OWNER)
    with pytest.raises(Refused, match="client and the currency"):
        pipeline.issue(draft, TODAY, actor=OWNER)


def test_a_credit_note_is_neither_receivable_nor_overdue(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    settling.settle_by_hand(invoice, TODAY, actor=SYSTEM)
    note = a_credit_note(invoice)
    later = TODAY + timedelta(days=60)
    assert not Invoice.objects.receivable().exists()
    assert list(Invoice.objects.payable()) == [note]
    assert overview(organization, later).waiting.amounts == ()
    assert not Invoice.objects.overdue(later).exists()
    assert not note.is_overdue(later)


def test_money_sent_back_by_the_number_settles_the_credit_note_by_itself(organization: Organization) -> None:
    client, note = _paid_and_taken_back(organization)
    add_payer_account(client, PAYER, actor=OWNER)
    row = a_payment(
        an_account(organization),
        "-1210.00 CZK",
        variable_symbol=note.variable_symbol,
        counterparty_account=PAYER,
    )
    assert reconcile(organization).settled == 1
    assert of(note) == ("2026-002", "paid", "0.00 CZK")
    assert Decision.objects.get(transaction=row).port == "auto"
    require_sound()


def test_money_sent_to_an_unknown_account_waits(organization: Organization) -> None:
    _, note = _paid_and_taken_back(organization)
    a_payment(
        an_account(organization),
        "-1210.00 CZK",
        variable_symbol=note.variable_symbol,
        counterparty_account=PAYER,
    )
    assert reconcile(organization).settled == 0
    assert of(note)[1] == "issued"


def test_the_rest_of_a_partly_offset_credit_note_is_sent_back(organization: Organization) -> None:
    client = a_client(organization)
    add_payer_account(client, PAYER, actor=OWNER)
    invoice = an_invoice(client)
    account = an_account(organization)
    settling.settle(invoice, a_payment(account, "1000.00 CZK"), money("1000.00 CZK"), actor=SYSTEM)
    note = a_credit_note(invoice)
    assert (of(invoice)[1], of(note)[2]) == ("paid", "1000.00 CZK")
    a_payment(account, "-1000.00 CZK", variable_symbol=note.variable_symbol, counterparty_account=PAYER)
    reconcile(organization)
    assert of(note)[1] == "paid"
    require_sound()


def test_what_a_credit_note_leaves_open_is_matched_exactly(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    row = a_payment(an_account(organization), "1000.00 CZK", variable_symbol=invoice.variable_symbol)
    reconcile(organization)
    assert Decision.objects.waiting().filter(transaction=row).exists()
    a_credit_note(invoice, "210.00 CZK")
    assert of(invoice) == ("2026-001", "paid", "0.00 CZK")
    require_sound()


def _paid_and_taken_back(organization: Organization) -> tuple[Client, Invoice]:
    client = a_client(organization)
    invoice = an_invoice(client)
    settling.settle_by_hand(invoice, TODAY, actor=SYSTEM)
    return client, a_credit_note(invoice)


@pytest.mark.django_db(transaction=True)
def test_two_people_declaring_it_void_at_once_do_it_once() -> None:
    invoice = an_invoice(a_client(an_organization()))
    results = at_once(*[lambda: Invoice.objects.get(pk=invoice.pk).void(actor=OWNER)] * 3)
    assert sum(isinstance(result, Stale) for result in results) == 2
    assert AuditEntry.objects.filter(after={"state": "void"}).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_a_payment_and_a_void_at_once_one_holds() -> None:
    organization = an_organization()
    client, account = a_client(organization), an_account(organization)
    for _ in range(4):
        invoice, payment = an_invoice(client), a_payment(account)
        results = at_once(
            lambda invoice=invoice: invoice.void(actor=OWNER),  # type: ignore[misc]  # bound by default
            lambda invoice=invoice, payment=payment: settling.settle(  # type: ignore[misc]
                Invoice.objects.get(pk=invoice.pk), payment, invoice.total, actor=OWNER
            ),
        )
        assert sum(isinstance(result, Refused) for result in results) == 1
        assert of(invoice)[1] in ("void", "paid")
        used = MoneyTransaction.objects.get(pk=payment.pk).settled_minor
        assert (of(invoice)[1] == "paid") == (used > 0)
    require_sound()


@pytest.mark.django_db(transaction=True)
def test_two_credit_notes_at_once_take_back_no_more_than_there_is() -> None:
    invoice = an_invoice(a_client(an_organization()), "100.00 CZK")
    drafts = [_note_beside(invoice, "60.00 CZK") for _ in range(2)]
    results = at_once(
        lambda: Invoice.objects.get(pk=drafts[0].pk).issue(TODAY, actor=OWNER),
        lambda: Invoice.objects.get(pk=drafts[1].pk).issue(TODAY, actor=OWNER),
    )
    assert sum(isinstance(result, Refused) for result in results) == 1
    assert of(invoice)[2] == "40.00 CZK"
    assert sorted(Invoice.objects.values_list("number", flat=True)) == ["", "2026-001", "2026-002"]
    require_sound()


@pytest.mark.django_db(transaction=True)
def test_a_credit_note_and_a_payment_at_once_settle_the_invoice_once() -> None:
    organization = an_organization()
    client, account = a_client(organization), an_account(organization)
    for _ in range(4):
        invoice, payment = an_invoice(client, "100.00 CZK"), a_payment(account, "100.00 CZK")
        draft = a_note_draft(invoice)
        at_once(
            lambda draft=draft: draft.issue(TODAY, actor=OWNER),  # type: ignore[misc]  # bound by default
            lambda invoice=invoice, payment=payment: settling.settle(  # type: ignore[misc]
                invoice, payment, invoice.total, actor=OWNER
            ),
        )
        assert of(invoice)[1] == "paid"
        require_sound()


def _note_beside(invoice: Invoice, total: str) -> Invoice:
    """A draft of a credit note although there is one, as two people have made before it was found."""
    note = Invoice(
        organization=invoice.organization,
        kind=Invoice.Kind.CREDIT_NOTE,
        corrects=invoice,
        client=invoice.client,
        currency=invoice.currency,
        due_on=TODAY + timedelta(days=14),
    )
    note.write([InvoiceLine.of("Vráceno", Decimal(1), "", money(total))], actor=OWNER)
    return note
