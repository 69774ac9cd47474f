"""Statement files that arrive as mail, from a pretend IMAP server over a real socket."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from pathlib import Path

import pytest

from kvit.plugin import AuthExpired, Checkpoint, Item, Misconfigured, PluginError, Secret, Temporary
from kvit.plugins.statement_inbox import StatementInbox, mailbox
from tests.kernel.statements.writers import IBAN
from tests.plugins.statement_inbox.conftest import drop, of_mailbox
from tests.plugins.statement_inbox.imap_server import (
    PASSWORD,
    MailServer,
    a_message,
    running,
    write_certificate,
)
from tests.plugins.statement_inbox.reading import a_run, a_statement, amounts, steps, synced

type Connect = Callable[..., StatementInbox]

XML = "application/xml"
OTHER = "CZ6508000000192000145399"


def a_mail(
    *amounts: str, name: str = "vypis.xml", sender: str = "Banka <vypisy@bank.example>"
) -> EmailMessage:
    return a_message((name, a_statement(*amounts), XML), sender=sender)


def test_a_mailed_statement_is_read_once(server: MailServer, connect: Connect) -> None:
    server.deliver(a_mail("100.00", "250.50"))
    plugin, run = connect(**of_mailbox(server)), a_run()

    assert amounts(synced(plugin, run)) == ["100.00", "250.50"]
    assert amounts(synced(plugin, run)) == []

    server.deliver(a_mail("7.00"))
    assert amounts(synced(plugin, run)) == ["7.00"]
    assert run.warnings == []
    assert (run.cursor["uid_validity"], run.cursor["uid"]) == (1, 2)


def test_messages_stay_as_they_were(server: MailServer, connect: Connect) -> None:
    server.deliver(a_mail("100.00"))

    synced(connect(**of_mailbox(server)), a_run())

    assert server.folders["INBOX"][0].flags == set()
    used = {command.partition(" ")[0] for command in server.commands}
    assert used == {"CAPABILITY", "LOGIN", "EXAMINE", "UID", "LOGOUT"}


def test_the_password_travels_by_tls_only_and_starttls_does_too(
    certificate: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(MailServer(certificate, starttls=True)) as server:
        server.deliver(a_mail("100.00"))
        settings = of_mailbox(server, imap_security="starttls")

        assert amounts(synced(connect(**settings), a_run())) == ["100.00"]
        assert server.commands.index("STARTTLS") < server.commands.index("LOGIN")

        server.offers_starttls = False
        with pytest.raises(Misconfigured, match="offers no STARTTLS") as raised:
            connect(**settings).check()
        assert raised.value.field == "imap_security"

        with pytest.raises(Misconfigured, match="does not begin with TLS"):
            connect(**of_mailbox(server)).check()
        assert server.commands.count("LOGIN") == 1
        assert server.mistakes == []


def test_a_certificate_that_nobody_vouches_for_stops_everything(
    server: MailServer, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(write_certificate(tmp_path / "another.pem")))
    for use in (lambda plugin: plugin.check(), lambda plugin: synced(plugin, a_run())):
        with pytest.raises(Misconfigured, match="cannot be trusted") as raised:
            use(connect(**of_mailbox(server)))
        assert raised.value.field == "imap_host"
    assert server.commands == []


def test_a_certificate_of_another_host_stops_everything(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path / "server.pem", names=("mail.example",))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(MailServer(certificate)) as server:
        with pytest.raises(Misconfigured, match="cannot be trusted"):
            connect(**of_mailbox(server)).check()
        assert server.commands == []


def test_a_wrong_password_needs_attention_and_is_in_no_error(server: MailServer, connect: Connect) -> None:
    for wrong in ("wr0ng password", "špatné heslo"):
        for use in (lambda plugin: plugin.check(), lambda plugin: synced(plugin, a_run())):
            with pytest.raises(AuthExpired) as raised:
                use(connect(**of_mailbox(server, imap_password=Secret(wrong))))
            assert wrong not in f"{raised.value} {raised.value.params} {raised.value.__context__!r}"


def test_a_password_with_letters_beyond_ascii_is_sent_whole(server: MailServer, connect: Connect) -> None:
    server.password = 'žluťoučký "kůň"'

    connect(**of_mailbox(server, imap_password=Secret(server.password))).check()

    assert "AUTHENTICATE" in server.commands


@pytest.mark.parametrize("refusal", ["NO [UNAVAILABLE] try later", "NO Too many connections of this user"])
def test_a_busy_server_is_tried_again(server: MailServer, connect: Connect, refusal: str) -> None:
    server.refusal = refusal

    with pytest.raises(Temporary, match="busy"):
        synced(connect(**of_mailbox(server)), a_run())


def test_a_server_that_is_away_is_tried_again(certificate: Path, connect: Connect) -> None:
    with running(MailServer(certificate)) as server:
        settings = of_mailbox(server)
    for use in (lambda plugin: plugin.check(), lambda plugin: synced(plugin, a_run())):
        with pytest.raises(Temporary, match="cannot be reached"):
            use(connect(**settings))


@pytest.mark.parametrize("command", ["LOGIN", "EXAMINE", "UID"])
def test_a_server_that_does_not_answer_is_tried_again(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(mailbox, "TIMEOUT_SECONDS", 0.3)
    server.deliver(a_mail("1.00"))
    server.silent_on = command

    with pytest.raises(Temporary, match="did not answer in time"):
        synced(connect(**of_mailbox(server)), a_run())


def test_a_folder_that_is_not_there_is_named(server: MailServer, connect: Connect) -> None:
    server.deliver(a_mail("1.00"), folder="Banka")
    assert amounts(synced(connect(**of_mailbox(server, imap_folder="Banka")), a_run())) == ["1.00"]

    with pytest.raises(Misconfigured, match="no folder Bank ") as raised:
        connect(**of_mailbox(server, imap_folder="Bank")).check()
    assert raised.value.field == "imap_folder"


def test_a_mailbox_needs_accounts_a_user_a_password_and_whole_senders(
    server: MailServer, connect: Connect
) -> None:
    refused = {"accounts": " , ", "imap_user": "", "imap_password": Secret(""), "senders": "bank.example"}
    for name, value in refused.items():
        with pytest.raises(Misconfigured) as raised:
            connect(**of_mailbox(server, **{name: value})).check()
        assert raised.value.field == name
    assert server.commands == []


def test_a_forged_statement_of_another_account_is_refused(server: MailServer, connect: Connect) -> None:
    server.deliver(a_message(("f.xml", a_statement("9.00").replace(IBAN.encode(), OTHER.encode()), XML)))
    server.deliver(a_mail("1.00"))
    run = a_run()

    assert amounts(synced(connect(**of_mailbox(server)), run)) == ["1.00"]

    (warning,) = run.warnings
    assert OTHER in warning


@pytest.mark.parametrize(
    ("senders", "sender", "is_allowed"),
    [
        ("vypisy@bank.example", "Banka <VYPISY@bank.example>", True),
        ("x@y.example, vypisy@bank.example", "vypisy@bank.example", True),
        ("@bank.example", "vypisy@bank.example", True),
        ("", "anybody@evil.example", True),
        ("@bank.example", "vypisy@notbank.example", False),
        ("@bank.example", "vypisy@bank.example.evil.example", False),
        ("vypisy@bank.example", '"vypisy@bank.example" <x@evil.example>', False),
        ("vypisy@bank.example", "vypisy@bank.example, x@evil.example", False),
        ("vypisy@bank.example", "", False),
    ],
)
def test_only_allowed_senders_are_read(
    server: MailServer, connect: Connect, senders: str, sender: str, is_allowed: bool
) -> None:
    message = a_mail("1.00")
    del message["From"]
    server.deliver(f"From: {sender}\r\n".encode() * bool(sender) + message.as_bytes())
    plugin, run = connect(**of_mailbox(server, senders=senders)), a_run()

    assert amounts(synced(plugin, run)) == ["1.00"] * is_allowed

    told = [line for line in run.lines if "other senders" in line]
    assert len(told) == (not is_allowed)
    synced(plugin, run)
    assert [line for line in run.lines if "other senders" in line] == told


def test_two_from_headers_are_two_senders(server: MailServer, connect: Connect) -> None:
    server.deliver(b"From: x@evil.example\r\n" + a_mail("1.00").as_bytes())

    assert amounts(synced(connect(**of_mailbox(server, senders="@bank.example")), a_run())) == []


def test_later_allowed_senders_have_old_messages_read(server: MailServer, connect: Connect) -> None:
    server.deliver(a_mail("1.00"))
    run = a_run()
    assert amounts(synced(connect(**of_mailbox(server, senders="@other.example")), run)) == []

    assert amounts(synced(connect(**of_mailbox(server, senders="@bank.example")), run)) == ["1.00"]


def test_attachments_are_told_by_name_and_type(server: MailServer, connect: Connect) -> None:
    statement = a_statement("1.00")
    server.deliver(
        a_message(
            ("vypis.pdf", b"%PDF-1.7", "application/pdf"),
            ("vypis2.PDF", b"%PDF-1.7", "application/octet-stream"),
            ("logo.png", b"\x89PNG", "image/png"),
            ("smime.p7s", b"\x30\x82", "application/pkcs7-signature"),
            ("../../vypis\x07.dat", statement, "application/octet-stream"),
        )
    )
    run = a_run()

    items = synced(connect(**of_mailbox(server, senders="@bank.example")), run)

    assert amounts(items) == ["1.00"]
    assert run.warnings == []


def test_several_attachments_are_several_files(server: MailServer, connect: Connect) -> None:
    server.deliver(
        a_message(
            ("a.xml", a_statement("1.00"), XML),
            ("b.xml", b"<broken", XML),
            ("c.xml", a_statement("2.00"), "text/xml"),
        )
    )
    run = a_run()

    assert amounts(synced(connect(**of_mailbox(server, senders="@bank.example")), run)) == ["1.00", "2.00"]
    assert [warning.partition(":")[0] for warning in run.warnings] == ["b.xml"]


def test_what_strangers_attach_is_no_warning(server: MailServer, connect: Connect) -> None:
    server.deliver(a_message(("offer.bin", b"Buy now!", "application/octet-stream"), sender="x@spam.example"))
    server.deliver(a_message(sender="friend@mail.example"))
    run = a_run()

    assert amounts(synced(connect(**of_mailbox(server)), run)) == []
    assert run.warnings == []
    assert any("offer.bin of x@spam.example is no statement" in line for line in run.lines)


def test_a_forwarded_statement_is_found(server: MailServer, connect: Connect) -> None:
    forward = EmailMessage()
    forward["From"] = "eva@example.com"
    forward.set_content("Viz níže.")
    forward.add_attachment(a_mail("1.00"))
    server.deliver(forward)

    assert amounts(synced(connect(**of_mailbox(server)), a_run())) == ["1.00"]


def test_a_message_that_is_nothing_but_the_file_is_read(server: MailServer, connect: Connect) -> None:
    message = EmailMessage()
    message["From"] = "vypisy@bank.example"
    message.set_content(a_statement("1.00"), maintype="application", subtype="xml")
    server.deliver(message)

    assert amounts(synced(connect(**of_mailbox(server)), a_run())) == ["1.00"]


@pytest.mark.parametrize("of_parts", [True, False])
@pytest.mark.parametrize(
    "heads",
    [
        {"Content-Type": "text/xml"},
        {"Content-Type": "text/csv", "Content-Disposition": "inline"},
        {"Content-Type": "text/plain", "Content-Disposition": "attachment"},
    ],
)
def test_an_attachment_that_has_no_name_is_read(
    server: MailServer, connect: Connect, heads: dict[str, str], of_parts: bool
) -> None:
    message = written(a_statement("1.00"), heads)
    if of_parts:
        message = put_together(written(b"V priloze", {"Content-Type": "text/plain"}), message)
    message["From"] = "vypisy@bank.example"
    server.deliver(message.as_bytes())

    assert amounts(synced(connect(**of_mailbox(server)), a_run())) == ["1.00"]


@pytest.mark.parametrize(
    "name",
    [
        '; filename="=?utf-8?B?dsO9cGlzLnBkZg==?="',
        '; filename="=?utf-8?Q?v=C3=BDpis?= =?utf-8?Q?=2Epdf?="',
        "; filename*=utf-8''v%C3%BDpis.pdf",
        "; filename*0*=utf-8''v%C3%BD; filename*1=pis.pdf",
    ],
)
def test_a_pdf_is_left_however_its_name_is_encoded(server: MailServer, connect: Connect, name: str) -> None:
    heads = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment" + name}
    statement = written(a_statement("1.00"), {"Content-Type": XML})
    message = put_together(statement, written(b"%PDF-1.7", heads))
    message["From"] = "vypisy@bank.example"
    server.deliver(message.as_bytes())
    run = a_run()

    assert amounts(synced(connect(**of_mailbox(server, senders="@bank.example")), run)) == ["1.00"]
    assert run.warnings == []


def written(data: bytes, heads: dict[str, str]) -> Message:
    """A message, or a part of one, with exactly these heads."""
    lines = [f"{name}: {value}" for name, value in heads.items()]
    head = "\r\n".join((*lines, "Content-Transfer-Encoding: base64", "", ""))
    return message_from_bytes(head.encode() + encodebytes(data))


def put_together(*parts: Message) -> Message:
    message = MIMEMultipart()
    for part in parts:
        message.attach(part)
    return message


def test_plain_letters_are_not_fetched_whole(server: MailServer, connect: Connect) -> None:
    server.deliver(a_message())

    synced(connect(**of_mailbox(server)), a_run())

    assert not any("BODY.PEEK[]" in command for command in server.commands)


def test_a_message_larger_than_any_statement_is_not_fetched(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvit.plugins.statement_inbox.plugin.LARGEST_MESSAGE_BYTES", 200)
    server.deliver(a_mail("1.00"))
    run = a_run()

    assert amounts(synced(connect(**of_mailbox(server)), run)) == []
    assert "larger than any statement" in run.warnings[0]
    assert not any("BODY.PEEK[]" in command for command in server.commands)


def test_a_message_made_to_break_the_reader_is_passed_over(server: MailServer, connect: Connect) -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(3000)
    )
    server.deliver(b"From: x@evil.example\r\n" + nested)
    server.deliver(a_mail("1.00"))
    plugin, run = connect(**of_mailbox(server)), a_run()

    assert amounts(synced(plugin, run)) == ["1.00"]
    assert run.warnings == ["The message with the UID 1 is put together like no mail; it was not read."]
    assert run.cursor["uid"] == 2


def test_new_numbers_have_all_messages_read_again(server: MailServer, connect: Connect) -> None:
    for amount in ("1.00", "2.00", "3.00"):
        server.deliver(a_mail(amount))
    del server.folders["INBOX"][0]
    plugin, run = connect(**of_mailbox(server)), a_run()
    assert amounts(synced(plugin, run)) == ["2.00", "3.00"]

    server.number_anew()
    server.deliver(a_mail("4.00"))

    assert amounts(synced(plugin, run)) == ["2.00", "3.00", "4.00"]
    assert any("anew" in line for line in run.lines)


def test_a_server_that_tells_of_other_messages_in_between_confuses_nobody(
    server: MailServer, connect: Connect
) -> None:
    server.chatters = True
    for amount in ("1.00", "2.00"):
        server.deliver(a_mail(amount))

    assert amounts(synced(connect(**of_mailbox(server)), a_run())) == ["1.00", "2.00"]


def test_a_message_that_is_gone_meanwhile_is_passed_over(server: MailServer, connect: Connect) -> None:
    for amount in ("1.00", "2.00", "3.00"):
        server.deliver(a_mail(amount))
    plugin, run = connect(**of_mailbox(server)), a_run()
    items: list[Item] = []

    for item in steps(plugin, run):
        items.append(item)
        if isinstance(item, Checkpoint) and len(server.folders["INBOX"]) == 3:
            del server.folders["INBOX"][1]

    assert amounts(items) == ["1.00", "3.00"]
    assert run.cursor["uid"] == 3


@pytest.mark.parametrize("at", range(1, 7))
def test_a_connection_that_is_cut_loses_and_doubles_nothing(
    server: MailServer, connect: Connect, at: int
) -> None:
    for amount in ("1.00", "2.00", "3.00"):
        server.deliver(a_mail(amount))
    server.breaks_at = at
    plugin, run = connect(**of_mailbox(server)), a_run()
    told: dict[str, str] = {}

    with pytest.raises(Temporary):
        for item in steps(plugin, run):
            told |= {getattr(item, "external_id", ""): "".join(amounts([item]))}
    told |= {getattr(item, "external_id", ""): "".join(amounts([item])) for item in synced(plugin, run)}

    assert sorted(filter(None, told.values())) == ["1.00", "2.00", "3.00"]


def test_many_messages_are_checkpointed_on_the_way(server: MailServer, connect: Connect) -> None:
    for _number in range(120):
        server.deliver(a_message())

    cursors = [
        item.cursor["uid"]
        for item in synced(connect(**of_mailbox(server)), a_run())
        if isinstance(item, Checkpoint)
    ]

    assert cursors == [50, 100, 120]


def test_a_mailbox_that_fails_leaves_the_folder_read(
    server: MailServer, connect: Connect, inbox: Path
) -> None:
    drop(inbox, "march.xml", a_statement("1.00"))
    server.password = "another"
    plugin, run = connect(folder=str(inbox), **of_mailbox(server)), a_run()
    items: list[Item] = []

    with pytest.raises(AuthExpired):
        for item in steps(plugin, run):
            items.append(item)  # noqa: PERF402  # `extend` promises nothing where the source raises

    assert amounts(items) == ["1.00"]


def test_a_folder_that_fails_leaves_the_mailbox_read_and_attention_comes_first(
    server: MailServer, connect: Connect, inbox: Path
) -> None:
    server.deliver(a_mail("1.00"))
    (inbox / ".kvit-inbox").unlink()
    plugin, run = connect(folder=str(inbox), **of_mailbox(server)), a_run()
    items: list[Item] = []
    with pytest.raises(Temporary):
        for item in steps(plugin, run):
            items.append(item)  # noqa: PERF402  # `extend` promises nothing where the source raises
    assert amounts(items) == ["1.00"]

    server.password = "another"
    with pytest.raises(AuthExpired):
        synced(plugin, run)


def test_the_identity_is_the_mailbox_s_and_stays(server: MailServer, connect: Connect, inbox: Path) -> None:
    first = connect(**of_mailbox(server)).check()

    assert first == connect(**of_mailbox(server, senders="@bank.example")).check()
    assert first.label == "eva@example.com@localhost/INBOX"
    both = connect(folder=str(inbox), **of_mailbox(server)).check()
    assert both.key == connect(folder=str(inbox)).check().key
    assert both.key != first.key


def test_nothing_is_said_about_the_talk_with_the_server(server: MailServer, connect: Connect) -> None:
    server.refusal = f"BAD what is {PASSWORD}"
    with pytest.raises(PluginError) as raised:
        connect(**of_mailbox(server)).check()

    assert PASSWORD not in f"{raised.value} {raised.value.params}"
