from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from kvit.audit.recording import SYSTEM
from kvit.config.mail import MailServer
from kvit.kernel.errors import SettingsError
from kvit.matching import review, thanks
from kvit.matching.models import Decision, MatchingSettings, ThankYou
from kvit.matching.reconcile import reconcile
from kvit.matching.switches import save_settings
from kvit.users.models import Organization
from kvit.work.clients import save_client
from kvit.work.models import Client
from tests.factories import a_client, a_payment, an_account, an_invoice
from tests.matching.smtp_sink import SmtpSink, running_smtp_sink

pytestmark = pytest.mark.django_db(transaction=True)

LATER = timedelta(hours=25)


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    """A real mail server that Kvit is set up with."""
    with running_smtp_sink() as sink:
        server = MailServer.from_url(f"smtp://kvit:s3cr3t@127.0.0.1:{sink.port}", "faktury@firma.example")
        assert server is not None
        backend = "django.core.mail.backends.smtp.EmailBackend"
        mailers = {"default": {"BACKEND": backend, "OPTIONS": server.options}}
        with override_settings(MAILERS=mailers, DEFAULT_FROM_EMAIL=server.sender):
            yield sink


def thank(organization: Organization, *, sends: bool = True) -> None:
    save_settings(MatchingSettings(organization=organization, sends_thanks=sends), actor=SYSTEM)


def a_reachable_client(organization: Organization, country: str = "CZ") -> Client:
    client = a_client(organization)
    client.email, client.country = "ucetni@klient.example", country
    save_client(client, actor=SYSTEM)
    return client


def a_match(organization: Organization, country: str = "CZ") -> Decision:
    """An invoice of a client with an e-mail, paid and matched by itself just now."""
    invoice = an_invoice(a_reachable_client(organization, country))
    today = timezone.localdate()
    row = a_payment(an_account(organization), variable_symbol=invoice.variable_symbol, booked_on=today)
    reconcile(organization)
    return Decision.objects.current().get(transaction=row, port="auto")


def state() -> str:
    return ThankYou.objects.get().state


def test_the_client_is_thanked_once_after_the_grace_period(
    organization: Organization, sink: SmtpSink
) -> None:
    thank(organization)
    a_match(organization)
    now = timezone.now()
    assert thanks.send_due(now + timedelta(hours=23)) == 0
    assert thanks.send_due(now + LATER) == 1
    assert thanks.send_due(now + LATER) == 0
    (mail,) = sink.mails
    assert sink.recipients == ["ucetni@klient.example"]
    assert state() == "sent"
    assert mail["From"].addresses[0].display_name == str(organization)
    assert mail["From"].addresses[0].addr_spec == "faktury@firma.example"
    assert mail.get_content_type() == "text/plain"
    assert "1\N{NO-BREAK SPACE}210,00" in mail.get_content()
    assert base64.b64decode(sink.credentials[0]).split(b"\0")[1:] == [b"kvit", b"s3cr3t"]


def test_a_client_abroad_is_written_to_in_english(organization: Organization, sink: SmtpSink) -> None:
    thank(organization)
    a_match(organization, country="DE")
    thanks.send_due(timezone.now() + LATER)
    assert str(sink.mails[0]["Subject"]) == "Thank you for paying invoice 2026-001"
    assert "Invoice 2026-001 is paid in full." in sink.mails[0].get_content()


def test_undoing_within_the_grace_period_keeps_the_mail_from_being_sent(
    organization: Organization, sink: SmtpSink
) -> None:
    thank(organization)
    review.undo(a_match(organization), actor=SYSTEM)
    assert thanks.send_due(timezone.now() + LATER) == 0
    assert (state(), sink.mails) == ("cancelled", [])


def test_nobody_is_thanked_where_that_is_off_or_for_what_a_person_matched(
    organization: Organization, sink: SmtpSink
) -> None:
    a_match(organization)
    assert not ThankYou.objects.exists()
    thank(organization)
    invoice = an_invoice(a_reachable_client(organization), "77.00 CZK")
    row = a_payment(an_account(organization), "77.00 CZK", booked_on=timezone.localdate())
    reconcile(organization)
    review.confirm(row, invoice, actor=SYSTEM)
    assert not ThankYou.objects.exists()


def test_a_part_of_an_invoice_an_old_payment_and_a_client_without_an_address_get_no_mail(
    organization: Organization, sink: SmtpSink
) -> None:
    thank(organization)
    old = an_invoice(a_reachable_client(organization))
    longer_ago = timezone.localdate() - timedelta(days=15)
    a_payment(an_account(organization), variable_symbol=old.variable_symbol, booked_on=longer_ago)
    silent = an_invoice(a_client(organization), "88.00 CZK")
    a_payment(
        an_account(organization),
        "88.00 CZK",
        variable_symbol=silent.variable_symbol,
        booked_on=timezone.localdate(),
    )
    reconcile(organization)
    assert Decision.objects.filter(port="auto").exists()
    assert not ThankYou.objects.exists()


def test_switching_it_off_holds_for_what_waits(organization: Organization, sink: SmtpSink) -> None:
    thank(organization)
    a_match(organization)
    thank(organization, sends=False)
    assert thanks.send_due(timezone.now() + LATER) == 0
    assert (state(), sink.mails) == ("cancelled", [])


def test_two_workers_at_once_send_each_mail_once(organization: Organization, sink: SmtpSink) -> None:
    thank(organization)
    sink.delay_seconds = 0.2
    a_match(organization)
    assert ThankYou.objects.count() == 1
    later, together = timezone.now() + LATER, Barrier(2)

    def work() -> int:
        try:
            together.wait(10)
            return thanks.send_due(later)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        sent = [future.result() for future in [pool.submit(work), pool.submit(work)]]
    assert sorted(sent) == [0, 1]
    assert len(sink.mails) == 1


def test_a_worker_killed_while_sending_leaves_a_mail_that_is_never_sent_again(
    organization: Organization, sink: SmtpSink
) -> None:
    thank(organization)
    a_match(organization)
    later = timezone.now() + LATER
    ThankYou.objects.update(state=ThankYou.State.SENDING, claimed_at=later)
    thanks.send_due(later + timedelta(minutes=14))
    assert state() == "sending"
    thanks.send_due(later + timedelta(minutes=16))
    assert (state(), sink.mails) == ("unknown", [])


def test_a_server_that_takes_the_mail_and_says_nothing_gets_it_once(
    organization: Organization, sink: SmtpSink
) -> None:
    thank(organization)
    a_match(organization)
    sink.hangs_up_after_mail = True
    later = timezone.now() + LATER
    assert [thanks.send_due(later), thanks.send_due(later)] == [0, 0]
    assert (state(), len(sink.mails)) == ("unknown", 1)


@pytest.mark.parametrize(("answer", "ends"), [("450 later", "waiting"), ("550 nobody", "failed")])
def test_what_the_server_refuses_is_tried_again_or_given_up(
    organization: Organization, sink: SmtpSink, answer: str, ends: str
) -> None:
    thank(organization)
    a_match(organization)
    sink.answer_to_recipient = answer
    assert thanks.send_due(timezone.now() + LATER) == 0
    row = ThankYou.objects.get()
    assert (row.state, row.problem) == (ends, f"SMTPRecipientsRefused {answer[:3]}")
    sink.answer_to_recipient = "250 fine"
    assert thanks.send_due(timezone.now() + LATER) == (ends == "waiting")


def test_a_server_out_of_reach_costs_no_attempt(organization: Organization, sink: SmtpSink) -> None:
    thank(organization)
    a_match(organization)
    options = {"host": "127.0.0.1", "port": 1, "timeout": 1}
    with override_settings(MAILERS={"default": {"OPTIONS": options}}):
        assert thanks.send_due(timezone.now() + LATER) == 0
    row = ThankYou.objects.get()
    assert (row.state, row.attempts, row.problem) == ("waiting", 0, "ConnectionRefusedError")
    assert thanks.send_due(timezone.now() + LATER) == 1


def test_without_a_mail_server_nothing_is_promised(organization: Organization) -> None:
    thank(organization)
    a_match(organization)
    assert not ThankYou.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "smtp://",
        "smtp://h:port",
        "smtp://h?tls=maybe",
        "smtp://h?x=1",
        "ftp://h",
        "smtp://u:s3cr3t@h",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="KVIT_SMTP_URL") as caught:
        MailServer.from_url(url, "a@b.example")
    assert "s3cr3t" not in str(caught.value)


def test_a_url_says_everything_and_its_password_is_never_shown() -> None:
    server = MailServer.from_url("smtp://me%40b.example:s3cr%2Ft@mail.example?tls=starttls", "")
    assert server is not None
    assert "s3cr" not in repr(server)
    assert (server.port, server.password, server.sender) == (587, "s3cr/t", "me@b.example")
    with pytest.raises(SettingsError, match="KVIT_MAIL_FROM"):
        MailServer.from_url("smtps://user:word@mail.example", "")
