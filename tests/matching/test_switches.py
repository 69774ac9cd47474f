from __future__ import annotations

import pytest

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import Actor
from kvit.dashboard.figures import overview, to_review
from kvit.invoices.models import Invoice
from kvit.matching import review
from kvit.matching.models import Decision, MatchingRun, MatchingSettings
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import TODAY, a_client, a_movement, a_payment, an_account, an_invoice, post

pytestmark = pytest.mark.django_db

OWNER = Actor(name="user:owner@example.com")


def test_a_tier_that_is_off_waits_and_settles_once_it_is_on(organization: Organization) -> None:
    settings = MatchingSettings(organization=organization, auto_a1=False)
    pipeline.switch_matching(settings, actor=OWNER)
    invoice = an_invoice(a_client(organization))
    row = a_payment(an_account(organization), variable_symbol=invoice.variable_symbol)
    reconcile(organization)
    assert Decision.objects.current().get(transaction=row).because[0]["code"] == "tier.off"

    settings.auto_a1 = True
    pipeline.switch_matching(settings, actor=OWNER)
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    entries = AuditEntry.objects.filter(table="matching_matchingsettings").order_by("id")
    assert [(entry.action, entry.actor, (entry.after or {})["auto_a1"]) for entry in entries] == [
        ("created", OWNER.name, False),
        ("changed", OWNER.name, True),
    ]


def test_the_figure_to_review_is_the_same_before_a_run_and_after_undoing_it(
    organization: Organization,
) -> None:
    account = an_account(organization)
    for amount in ("10.00 CZK", "20.00 CZK", "30.00 CZK"):
        invoice = an_invoice(a_client(organization), amount)
        a_payment(account, amount, variable_symbol=invoice.variable_symbol)
    a_payment(account, "999.00 CZK")
    post(account, [a_movement(amount="-55.00 CZK"), a_movement(amount="0.00 CZK")])
    before = (to_review(organization), overview(organization, TODAY))
    assert before[0] == 4
    reconcile(organization)
    assert to_review(organization) == 1
    review.undo_run(MatchingRun.objects.get(settled=3), actor=OWNER)
    assert (to_review(organization), overview(organization, TODAY)) == before


@pytest.mark.past_the_audit
def test_credit_notes_and_void_invoices_are_no_money_to_receive(organization: Organization) -> None:
    client = a_client(organization)
    owed = an_invoice(client, "100.00 CZK", due_on=TODAY)
    note, void = an_invoice(client, "40.00 CZK"), an_invoice(client, "50.00 CZK")
    Invoice.objects.filter(pk=note.pk).update(kind="credit_note", corrects=owed)
    Invoice.objects.filter(pk=void.pk).update(state="void")
    figure = overview(organization, TODAY).waiting
    assert (figure.count, [str(amount) for amount in figure.amounts]) == (1, ["100.00 CZK"])
