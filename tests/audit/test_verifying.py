"""What was changed past Kvit is found and named; what Kvit itself does is always as the audit says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Thread

import pytest
from django.db import IntegrityError, connection, transaction

from kvit.audit import verifying
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Change, audited_columns, changed, created, record
from kvit.invoices import settling
from kvit.invoices.models import Invoice, InvoiceLine, Settlement
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization
from kvit.work.clients import add_payer_account, remove_payer_account, save_client
from tests.audit.behind import behind, faults
from tests.factories import (
    TODAY,
    a_client,
    a_draft,
    a_member,
    a_movement,
    a_payment,
    an_account,
    an_invoice,
    an_organization,
    money,
    post,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def payment(organization: Organization) -> MoneyTransaction:
    return a_payment(an_account(organization), "125.00 CZK", message="faktura", variable_symbol="7")


@pytest.fixture
def paid(organization: Organization, payment: MoneyTransaction) -> Invoice:
    invoice = an_invoice(a_client(organization), "125.00 CZK")
    settling.settle(invoice, payment, money("125.00 CZK"), actor=SYSTEM)
    return Invoice.objects.get(pk=invoice.pk)


@pytest.fixture
def bank_connection(organization: Organization) -> PluginConfiguration:
    with transaction.atomic():
        row = PluginConfiguration.objects.create(
            organization=organization, plugin="fio", name="Fio", settings={"base_url": "https://fio.example"}
        )
        record(organization, SYSTEM, [created(row)])
    return row


def test_an_empty_database_is_as_the_audit_says() -> None:
    report = verifying.verify()
    assert report.fault_count == 0
    assert all(one.rows == one.entries == 0 for one in report.checked)


def test_every_followed_column_is_one_of_its_table() -> None:
    models = verifying.audited_models()
    assert {"ledger_moneytransaction", "invoices_invoice", "invoices_settlement"} <= {
        model._meta.db_table for model in models
    }
    for model in models:
        assert set(audited_columns(model)) <= {one.attname for one in model._meta.concrete_fields}


def test_what_kvit_does_to_money_is_as_the_audit_says(organization: Organization) -> None:
    account, client = an_account(organization), a_client(organization)
    draft = a_draft(client, "300.00 CZK")
    draft.note = "slovem"
    draft.write([InvoiceLine.of("Jiná práce", Decimal(2), "ks", money("200.00 CZK"))], actor=SYSTEM)
    draft.write(list(draft.lines.all()), actor=SYSTEM)
    draft.issue(TODAY, actor=SYSTEM)
    a_draft(client).discard(actor=SYSTEM)
    told = {"variable_symbol": draft.variable_symbol, "counterparty_account": "19-1/0800"}
    post(account, [a_movement("A", "400.00 CZK", **told)])
    post(account, [a_movement("A", "400.00 CZK", **told, message="později")])
    post(account, [a_movement("A", "401.00 CZK", **told)])
    assert reconcile(organization).settled == 1
    review.undo(Decision.objects.decided().get(), actor=SYSTEM)
    row = MoneyTransaction.objects.get()
    review.withdraw_rejection(row, draft, actor=SYSTEM)
    row.refresh_from_db()
    if not row.settled_minor:
        review.dismiss(row, actor=SYSTEM)
    client.name = "Jinak"
    save_client(client, actor=SYSTEM)
    remove_payer_account(add_payer_account(client, "19-2/0800", actor=SYSTEM), actor=SYSTEM)
    by_hand = an_invoice(client, "50.00 CZK")
    settling.unsettle(settling.settle_by_hand(by_hand, TODAY, actor=SYSTEM), actor=SYSTEM)
    a_member(organization)
    report = verifying.verify()
    assert report.faults == ()
    checked = {one.table: one for one in report.checked}
    assert checked["invoices_invoiceline"].entries > checked["invoices_invoiceline"].rows > 0
    assert checked["matching_decision"].rows >= 1


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("amount_minor = 12501", "amount_minor is 12501, the audit says 12500"),
        ("booked_on = '2026-11-21'", "booked_on is 2026-11-21, the audit says 2026-11-22"),
        ("variable_symbol = '8'", "variable_symbol is 8, the audit says 7"),
        ("message = 'jiná'", "what the source told about it does not fit its fingerprint"),
        ("counterparty_name = 'Kdosi'", "what the source told about it does not fit its fingerprint"),
        ("status = 'withdrawn'", "status is withdrawn, the audit says booked"),
        ("duplicate_of_id = 5", "duplicate_of_id is 5, the audit says empty"),
        ("settled_minor = 1", "settled_minor is 1, its live settlement lines make 0"),
        ("organization_id = 987", "organization_id is 987, the audit says {organization}"),
    ],
)
def test_a_movement_changed_by_sql_is_named(
    organization: Organization, payment: MoneyTransaction, assignment: str, expected: str
) -> None:
    assert faults() == []
    behind(f"UPDATE ledger_moneytransaction SET {assignment} WHERE id = %s", payment.pk)
    expected = expected.format(organization=organization.pk)
    assert f"ledger_moneytransaction {payment.pk}: {expected}" in faults()


def test_a_movement_inserted_by_sql_is_named(payment: MoneyTransaction) -> None:
    columns = [one.attname for one in MoneyTransaction._meta.concrete_fields if one.attname != "id"]
    others = ", ".join("'X'" if name == "external_id" else name for name in columns)
    behind(
        f"INSERT INTO ledger_moneytransaction ({', '.join(columns)})"
        f" SELECT {others} FROM ledger_moneytransaction WHERE id = %s",
        payment.pk,
    )
    forged = MoneyTransaction.objects.get(external_id="X")
    assert faults() == [
        f"ledger_moneytransaction {forged.pk}: is there, and the audit holds no creation of it"
    ]


def test_a_movement_deleted_by_sql_is_named(payment: MoneyTransaction) -> None:
    behind("DELETE FROM ledger_moneytransaction WHERE id = %s", payment.pk)
    assert faults() == [
        f"ledger_moneytransaction {payment.pk}: is gone, and the audit holds no deletion of it"
    ]


def test_a_deleted_row_that_comes_back_is_named(organization: Organization) -> None:
    draft = a_draft(a_client(organization))
    again = Invoice.objects.filter(pk=draft.pk).values().get()
    draft.discard(actor=SYSTEM)
    assert faults() == []
    Invoice(**again).save(force_insert=True)
    assert faults() == [f"invoices_invoice {again['id']}: is there, and the audit says that it was deleted"]


def test_an_invoice_changed_by_sql_is_named(paid: Invoice) -> None:
    behind("UPDATE invoices_invoice SET due_on = '2030-01-01', note = 'tiše' WHERE id = %s", paid.pk)
    assert faults() == [
        f"invoices_invoice {paid.pk}: due_on is 2030-01-01, the audit says {paid.due_on}",
        f"invoices_invoice {paid.pk}: note is tiše, the audit says empty",
    ]


def test_a_line_of_an_invoice_changed_by_sql_is_named(paid: Invoice) -> None:
    line = paid.lines.get()
    behind("UPDATE invoices_invoiceline SET description = 'Zlato' WHERE id = %s", line.pk)
    assert faults() == [f"invoices_invoiceline {line.pk}: description is Zlato, the audit says Práce"]


def test_a_settlement_changed_by_sql_is_named_on_all_sides(paid: Invoice, payment: MoneyTransaction) -> None:
    line = Settlement.objects.get()
    behind("UPDATE invoices_settlement SET amount_minor = 100 WHERE id = %s", line.pk)
    assert set(faults()) == {
        f"invoices_settlement {line.pk}: amount_minor is 100, the audit says 12500",
        f"invoices_invoice {paid.pk}: settled_minor is 12500, its live settlement lines make 100",
        f"ledger_moneytransaction {payment.pk}: settled_minor is 12500, its live settlement lines make 100",
    }


def test_a_settlement_moved_to_another_invoice_by_sql_is_named(paid: Invoice) -> None:
    other = an_invoice(paid.client, "125.00 CZK")
    line = Settlement.objects.get()
    behind("UPDATE invoices_settlement SET invoice_id = %s WHERE id = %s", other.pk, line.pk)
    assert f"invoices_settlement {line.pk}: invoice_id is {other.pk}, the audit says {paid.pk}" in faults()


def test_a_settlement_deleted_by_sql_is_named(paid: Invoice) -> None:
    line = Settlement.objects.get()
    behind("DELETE FROM invoices_settlement WHERE id = %s", line.pk)
    assert f"invoices_settlement {line.pk}: is gone, and the audit holds no deletion of it" in faults()


def test_a_setting_of_a_connection_changed_by_sql_is_named(bank_connection: PluginConfiguration) -> None:
    assert faults() == []
    behind(
        "UPDATE sync_pluginconfiguration SET settings = %s, enabled = NOT enabled WHERE id = %s",
        '{"base_url": "https://evil.example"}',
        bank_connection.pk,
    )
    found, told = {"base_url": "https://evil.example"}, {"base_url": "https://fio.example"}
    assert faults() == [
        f"sync_pluginconfiguration {bank_connection.pk}: settings is {found}, the audit says {told}",
        f"sync_pluginconfiguration {bank_connection.pk}: enabled is False, the audit says True",
    ]


def test_a_role_changed_by_sql_is_named(organization: Organization) -> None:
    a_member(organization, "accountant")
    behind("UPDATE users_membership SET role = 'owner'")
    assert [text.partition(": ")[2] for text in faults()] == ["role is owner, the audit says accountant"]


def test_a_proposal_is_not_followed_but_one_made_a_decision_by_sql_is_named(
    organization: Organization, payment: MoneyTransaction
) -> None:
    reconcile(organization)
    proposal = Decision.objects.get()
    assert faults() == []
    behind("UPDATE matching_decision SET port = 'auto' WHERE id = %s", proposal.pk)
    assert faults() == [f"matching_decision {proposal.pk}: is there, and the audit holds no creation of it"]


def test_a_removed_entry_is_named_by_what_it_told(paid: Invoice, payment: MoneyTransaction) -> None:
    entries = AuditEntry.objects.filter(table="ledger_moneytransaction", object_id=payment.pk)
    creation, settling_entry = entries.order_by("id")
    behind("DELETE FROM audit_auditentry WHERE id = %s", settling_entry.pk)
    assert faults() == [f"ledger_moneytransaction {payment.pk}: settled_minor is 12500, the audit says 0"]
    behind("DELETE FROM audit_auditentry WHERE id = %s", creation.pk)
    assert faults() == [
        f"ledger_moneytransaction {payment.pk}: is there, and the audit holds no creation of it"
    ]


def test_a_removed_creation_is_named_where_later_entries_stay(paid: Invoice) -> None:
    creation, issue, *_rest = AuditEntry.objects.filter(table="invoices_invoice").order_by("id")
    behind("DELETE FROM audit_auditentry WHERE id = %s", creation.pk)
    assert faults() == [
        f"invoices_invoice {paid.pk}: the audit holds no creation of it before entry {issue.pk}"
    ]


def test_an_entry_removed_from_the_middle_breaks_the_story(organization: Organization) -> None:
    client = a_client(organization, "První")
    for name in ("Druhý", "Třetí"):
        client.name = name
        save_client(client, actor=SYSTEM)
    _created, second, third = AuditEntry.objects.filter(table="work_client").order_by("id")
    behind("DELETE FROM audit_auditentry WHERE id = %s", second.pk)
    gap = f"entry {third.pk} starts from name Druhý, the entries before it end at První"
    assert faults() == [f"work_client {client.pk}: {gap}"]


def test_an_entry_rewritten_to_fit_a_change_is_named_by_the_next_one(paid: Invoice) -> None:
    first = AuditEntry.objects.filter(table="invoices_invoice").earliest("id")
    assert first.after is not None
    AuditEntry.objects.filter(pk=first.pk).update(after=first.after | {"state": "issued"})
    assert [text.partition(": ")[2].partition(" starts")[2] for text in faults()] == [
        " from state draft, the entries before it end at issued"
    ]


def test_a_second_creation_and_a_change_after_the_deletion_are_named(organization: Organization) -> None:
    client = a_client(organization, "První")
    with transaction.atomic():
        record(organization, SYSTEM, [created(client)])
        record(organization, SYSTEM, [Change("work_client", client.pk, {"name": "První"}, None)])
        record(organization, SYSTEM, [changed(client, {"name": "První"}, {"name": "Druhý"})])
    texts = faults()
    assert "creates it again" in texts[0]
    assert "changes it after its deletion" in texts[1]


def test_times_and_days_are_compared_as_values(organization: Organization) -> None:
    """PostgreSQL writes times into JSON in its own way; that is no difference."""
    post(an_account(organization), [a_movement("A", "10.00 CZK")])
    post(an_account(organization), [a_movement("A", "11.00 CZK")])
    behind(
        "UPDATE ledger_transactionconflict SET resolved_by = 'x', resolved_at = %s",
        datetime(2026, 11, 22, 8, 0, 0, 120000, tzinfo=UTC)
        if connection.vendor == "postgresql"
        else "2026-11-22 08:00:00.120000",
    )
    conflict = organization.conflicts.get()
    change = {"resolved_at": "2026-11-22 09:00:00.12+01:00", "resolved_by": "x"}
    with transaction.atomic():
        record(
            organization,
            SYSTEM,
            [
                Change(
                    "ledger_transactionconflict",
                    conflict.pk,
                    {"resolved_at": None, "resolved_by": ""},
                    change,
                )
            ],
        )
    assert faults() == []


def test_many_faults_are_counted_and_the_first_ones_named(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "MOST_FAULTS", 3)
    post(an_account(organization), [a_movement(f"{number}") for number in range(10)])
    behind("UPDATE ledger_moneytransaction SET message = 'x'")
    report = verifying.verify()
    assert (report.fault_count, len(report.faults)) == (10, 3)


def test_a_change_in_which_nothing_differs_is_told_only_with_a_reason(organization: Organization) -> None:
    client = a_client(organization)
    same = {"name": client.name}
    before = AuditEntry.objects.count()
    with transaction.atomic():
        record(organization, SYSTEM, [changed(client, same, same)])
        record(organization, SYSTEM, [changed(client, same, same, reason="credentials saved")])
    assert AuditEntry.objects.count() == before + 1
    assert faults() == []


def test_only_a_model_with_audited_columns_can_be_recorded(payment: MoneyTransaction) -> None:
    payload = payment.raw_payload
    assert payload is not None
    with pytest.raises(TypeError, match="RawPayload has no AUDITED columns"):
        created(payload)


def test_dates_given_as_text_are_recorded_as_the_database_holds_them(organization: Organization) -> None:
    draft = Invoice(organization=organization, client=a_client(organization), due_on="2026-12-24")
    draft.write([InvoiceLine.of("Práce", Decimal(1), "", money("1.00 CZK"))], actor=SYSTEM)
    assert Invoice.objects.get().due_on == date(2026, 12, 24)
    assert faults() == []


@pytest.mark.django_db(transaction=True)
def test_verifying_reads_one_moment_and_keeps_nobody_from_writing() -> None:
    """A row that is written while the audit is verified is in neither of the two."""
    organization = an_organization()
    with verifying._one_moment():
        assert Organization.objects.count() == 1

        def write() -> None:
            a_client(organization)
            connection.close()

        thread = Thread(target=write)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert AuditEntry.objects.filter(table="work_client").count() == 0
    assert AuditEntry.objects.filter(table="work_client").count() == 1
    assert faults() == []


def test_what_the_database_itself_refuses_needs_no_audit(payment: MoneyTransaction) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        behind("UPDATE ledger_moneytransaction SET amount_minor = -1 WHERE id = %s", payment.pk)
