"""The overview: its figures lead to their lists, and nothing to do is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from kvit.dashboard.figures import Month
from kvit.matching.reconcile import reconcile
from kvit.sync.models import PluginConfiguration
from kvit.web.charts import HEIGHT, bars
from tests.factories import TODAY, a_client, a_movement, a_payment, an_account, an_invoice, money, post
from tests.personas import Personas


@pytest.mark.django_db
def test_an_empty_business_has_nothing_to_resolve(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    response = client.get("/")
    assert response.context["is_all_done"]
    assert not response.context["bars"]


@pytest.mark.django_db
def test_what_waits_is_listed_and_leads_there(client: Client, personas: Personas) -> None:
    today = timezone.localdate()
    account = an_account(personas.organization)
    a_payment(account, "500.00 CZK", booked_on=today)
    post(account, [a_movement(amount="-200.00 CZK", booked_on=today)])
    an_invoice(
        a_client(personas.organization),
        "1210.00 CZK",
        issued_on=today - timedelta(days=30),
        due_on=today - timedelta(days=1),
    )
    reconcile(personas.organization)
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="fio", name="Fio", state="needs_attention"
    )
    client.force_login(personas.owner)
    response = client.get("/", headers={"accept-language": "en"})
    assert not response.context["is_all_done"]
    for text in (
        "CZK\u00a0500.00",
        "CZK\u00a01,210.00",
        f"/transactions/?type=income&amp;from={today.replace(day=1)}&amp;to={today}",
        "/invoices/?tab=overdue",
        f'href="/connections/{connection.pk}/"',
        '<svg class="chart-bars"',
    ):
        assert text in response.text


def test_bars_are_scaled_to_the_largest_and_nothing_that_is_there_vanishes() -> None:
    months = [
        Month(first_day=TODAY.replace(day=1), income=money("1000.00 CZK"), expense=money("0.01 CZK")),
        Month(first_day=TODAY.replace(day=1), income=money("250.00 CZK"), expense=money("0.00 CZK")),
    ]
    first, second = bars(months)
    assert (first.income_top, first.income_height) == (0, HEIGHT)
    assert first.expense_height == 1
    assert (second.income_top, second.income_height) == (75, 25)
    assert second.expense_height == 0


def test_months_without_money_make_no_bars() -> None:
    empty = Month(first_day=TODAY.replace(day=1), income=money("0.00 CZK"), expense=money("0.00 CZK"))
    assert bars([empty]) == []
    assert bars([]) == []
