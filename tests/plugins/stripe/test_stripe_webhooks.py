"""Messages of Stripe: only a right signature counts, and nothing else of them is believed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.plugin import Delivery, Event, Secret, WebhookRefused
from kvit.plugins.stripe.signature import event_of
from tests.plugins.stripe.stripe_bank import WEBHOOK_SECRET, message, signed

MOMENT = datetime(2026, 4, 2, 10, 30, 15, tzinfo=UTC)
BODY = message("payout.paid")


def event(header: str, body: bytes = BODY, *, secret: str = WEBHOOK_SECRET, is_live: bool = True) -> Event:
    headers = {"stripe-signature": header} if header else {}
    return event_of(Delivery(headers=headers, body=body), Secret(secret), is_live=is_live)


def test_a_right_signature_gives_the_event_and_its_moment() -> None:
    assert event(signed(BODY, MOMENT, WEBHOOK_SECRET)) == Event(id="evt_1Kvit0001", sent_at=MOMENT)


def test_one_right_signature_of_several_is_enough() -> None:
    for secrets in (("whsec_old", WEBHOOK_SECRET), (WEBHOOK_SECRET, "whsec_new"), ("a", "b", WEBHOOK_SECRET)):
        assert event(signed(BODY, MOMENT, *secrets)).wants_sync


def test_an_old_message_is_told_with_its_moment_for_the_engine_to_refuse() -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC)
    assert event(signed(BODY, old, WEBHOOK_SECRET)).sent_at == old


def test_a_right_signature_stands_beside_schemes_that_say_nothing() -> None:
    header = f"{signed(BODY, MOMENT, WEBHOOK_SECRET)},v0={'0' * 64},v2=x"
    assert event(header.replace(",", " , ")).id


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        signed(BODY, MOMENT, "whsec_wrong"),
        signed(BODY, MOMENT, "whsec_wrong", "whsec_worse"),
        signed(BODY, MOMENT, WEBHOOK_SECRET, scheme="v0"),
        signed(BODY + b" ", MOMENT, WEBHOOK_SECRET),
        signed(BODY, MOMENT, WEBHOOK_SECRET).replace("t=1", "t=2"),
        "t=1775125815," + signed(BODY, MOMENT, WEBHOOK_SECRET),
        signed(BODY, MOMENT, WEBHOOK_SECRET).split(",", maxsplit=1)[1],
        signed(BODY, MOMENT, WEBHOOK_SECRET).split(",", maxsplit=1)[0],
        signed(BODY, MOMENT, WEBHOOK_SECRET)[:-1],
        signed(BODY, MOMENT, WEBHOOK_SECRET).replace("t=", "t=+"),
        "t=99999999999999999999,v1=00",
        "t=²,v1=00",
        "v1=ž,t=1",
        ",,,=,",
    ],
)
def test_any_other_signature_is_refused(header: str) -> None:
    with pytest.raises(WebhookRefused):
        event(header)


def test_without_a_signing_secret_everything_is_refused() -> None:
    with pytest.raises(WebhookRefused):
        event(signed(BODY, MOMENT, ""), secret="")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"id": "", "type": "payout.paid"}', b'{"id": "a"}']
)
def test_a_signed_message_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        event(signed(body, MOMENT, WEBHOOK_SECRET), body)


@pytest.mark.parametrize(
    ("body", "is_live", "wants_sync"),
    [
        (message("charge.succeeded"), True, True),
        (message("charge.dispute.created"), True, True),
        (message("payout.reconciliation_completed"), True, True),
        (message("balance.available"), True, True),
        (message("invoice.paid"), True, True),
        (message("checkout.session.completed"), True, True),
        (message("v1.charge.succeeded", object="v2.core.event", context=None), True, True),
        (message("v1.customer.created", object="v2.core.event", context=None), True, False),
        (message("v1.payout.paid", object="v2.core.event", livemode=False), True, False),
        (message("customer.created"), True, False),
        (message("payout.paid", livemode=False), True, False),
        (message("payout.paid", livemode=False), False, True),
        (message("payout.paid"), False, False),
        (message("payout.paid", account="acct_1Another"), True, False),
    ],
)
def test_only_news_about_our_own_money_is_a_reason_to_sync(
    body: bytes, is_live: bool, wants_sync: bool
) -> None:
    assert event(signed(body, MOMENT, WEBHOOK_SECRET), body, is_live=is_live).wants_sync is wants_sync


@given(st.text(max_size=60), st.binary(max_size=60))
def test_nothing_made_up_is_taken_for_a_message(header: str, body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        event(header, body)
