"""A pretend IMAP server over a real socket with TLS: the part of RFC 3501 that reading a mailbox needs."""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "eva@example.com", 'app pass "word" 7391'
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\S+)')
_PARTS = re.compile(rb"BODY(?:\.PEEK)?\[(HEADER)?\]")


@dataclass(slots=True)
class Mail:
    """One message as the server keeps it."""

    uid: int
    data: bytes
    flags: set[str] = field(default_factory=set)


@dataclass(slots=True)
class MailServer:
    """The state of the server; tests change it, the connections read it."""

    certificate: Path
    starttls: bool = False
    offers_starttls: bool = True
    password: str = PASSWORD
    port: int = 0
    uid_validity: int = 1
    next_uid: int = 1
    folders: dict[str, list[Mail]] = field(default_factory=lambda: {"INBOX": []})
    commands: list[str] = field(default_factory=list)
    """Every command, without its arguments where these are credentials."""
    refusal: str = ""
    """The answer to every LOGIN and EXAMINE, such as `NO [UNAVAILABLE] later`."""
    silent_on: str = ""
    """The command that is never answered."""
    breaks_at: int = 0
    """The number of the FETCH at which the connection is cut within the literal; 0 cuts none."""
    chatters: bool = False
    """Whether it tells of flags of other messages in between."""
    fetches: int = 0
    mistakes: list[str] = field(default_factory=list)
    """What a client did that it must not."""

    def deliver(self, message: EmailMessage | bytes, folder: str = "INBOX") -> int:
        data = message if isinstance(message, bytes) else message.as_bytes()
        mail = Mail(self.next_uid, data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        self.next_uid += 1
        self.folders.setdefault(folder, []).append(mail)
        return mail.uid

    def number_anew(self) -> None:
        """Give all messages new UIDs, as a server does that was restored from a backup."""
        self.uid_validity += 1
        for place, mail in enumerate(self.folders["INBOX"], start=1):
            mail.uid = place
        self.next_uid = len(self.folders["INBOX"]) + 1


def a_message(
    *attachments: tuple[str, bytes, str],
    sender: str = "Banka <vypisy@bank.example>",
    subject: str = "Výpis z účtu",
) -> EmailMessage:
    """Write a message; each attachment is its name, its bytes and its media type."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, USER, subject
    message["Date"] = "Mon, 30 Jun 2025 06:00:00 +0200"
    message.set_content("Dobrý den, v příloze najdete výpis.")
    for name, data, media_type in attachments:
        maintype, _, subtype = media_type.partition("/")
        message.add_attachment(data, maintype=maintype, subtype=subtype, filename=name)
    return message


@contextmanager
def running(server: MailServer) -> Iterator[MailServer]:
    """Serve on a free port of this machine."""
    with _Server(server) as listening:
        server.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    block_on_close = False

    def __init__(self, state: MailServer) -> None:
        self.state = state
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(state.certificate)
        super().__init__(("127.0.0.1", 0), _Talk)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what a client must never do; one that leaves in the middle is what some tests are about."""
        error = sys.exception()
        if isinstance(error, AssertionError):
            self.state.mistakes.append(str(error))


class _Talk(socketserver.BaseRequestHandler):
    """One connection."""

    server: _Server

    def handle(self) -> None:
        self.state = self.server.state
        self.socket: socket.socket = self.request
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.is_tls, self.folder = False, ""
        if not self.state.starttls:
            self._begin_tls()
        self.stream = self.socket.makefile("rb")
        self._say(b"* OK ready")
        try:
            while line := self.stream.readline():
                tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
                name, _, arguments = rest.partition(b" ")
                if not self._answer(tag, name.upper().decode(), arguments):
                    break
        finally:
            self.stream.close()
            with suppress(OSError):
                self.socket.close()

    def _begin_tls(self) -> None:
        self.socket = self.server.tls.wrap_socket(self.socket, server_side=True)
        self.is_tls = True

    def _say(self, line: bytes) -> None:
        self.socket.sendall(line + b"\r\n")

    def _answer(self, tag: bytes, name: str, arguments: bytes) -> bool:
        """Carry out a command; False ends the talk."""
        is_secret = name in ("LOGIN", "AUTHENTICATE")
        self.state.commands.append(name if is_secret else f"{name} {arguments.decode()}".strip())
        if name == self.state.silent_on:
            time.sleep(30)
        answer = getattr(self, f"_{name.lower()}", None)
        if answer is None:
            self._say(tag + b" BAD unknown command")
            return True
        said = answer(tag, arguments)
        self._say(tag + b" " + said)
        if name == "STARTTLS":
            self._begin_tls()
            self.stream = self.socket.makefile("rb")
        return name != "LOGOUT"

    def _capability(self, tag: bytes, arguments: bytes) -> bytes:
        offers = b" STARTTLS" if not self.is_tls and self.state.offers_starttls else b""
        self._say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN" + offers)
        return b"OK done"

    def _starttls(self, tag: bytes, arguments: bytes) -> bytes:
        return b"OK begin TLS now"

    def _login(self, tag: bytes, arguments: bytes) -> bytes:
        return self._admitted(*(word.decode() for word in _words(arguments)))

    def _authenticate(self, tag: bytes, arguments: bytes) -> bytes:
        self._say(b"+ ")
        _nobody, user, password = base64.b64decode(self.stream.readline()).decode().split("\0")
        return self._admitted(user, password)

    def _admitted(self, user: str, password: str) -> bytes:
        if self.state.refusal:
            return self.state.refusal.encode()
        assert self.is_tls, "a password was sent in the clear"
        if (user, password) != (USER, self.state.password):
            return f"NO [AUTHENTICATIONFAILED] no such user {user} with {password}".encode()
        return b"OK welcome"

    def _examine(self, tag: bytes, arguments: bytes) -> bytes:
        (name,) = (word.decode() for word in _words(arguments))
        if self.state.refusal:
            return self.state.refusal.encode()
        if name not in self.state.folders:
            return b"NO [NONEXISTENT] no such folder"
        self.folder = name
        self._say(f"* {len(self.state.folders[name])} EXISTS".encode())
        self._say(f"* OK [UIDVALIDITY {self.state.uid_validity}] numbered".encode())
        return b"OK [READ-ONLY] examined"

    def _uid(self, tag: bytes, arguments: bytes) -> bytes:
        name, _, rest = arguments.partition(b" ")
        return {b"SEARCH": self._search, b"FETCH": self._fetch}[name.upper()](rest)

    def _search(self, criteria: bytes) -> bytes:
        told = re.fullmatch(rb"UID (\d+):\*", criteria)
        assert told, criteria
        uids = [mail.uid for mail in self._mails()]
        found = [uid for uid in uids if uid >= int(told[1])] or uids[-1:]
        self._say(b" ".join([b"* SEARCH", *(b"%d" % uid for uid in found)]))
        return b"OK done"

    def _fetch(self, arguments: bytes) -> bytes:
        uid, _, wanted = arguments.partition(b" ")
        told = _PARTS.search(wanted)
        assert told, wanted
        assert b".PEEK" in wanted, "the message would be marked as read"
        self.state.fetches += 1
        if self.state.chatters:
            self._say(b"* 1 FETCH (FLAGS (\\Flagged) UID 777)")
        for place, mail in enumerate(self._mails(), start=1):
            if mail.uid == int(uid):
                self._tell(place, mail, is_head=told[1] is not None)
        return b"OK done"

    def _tell(self, place: int, mail: Mail, *, is_head: bool) -> None:
        part = mail.data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head else mail.data
        name = b"BODY[HEADER]" if is_head else b"BODY[]"
        head = b"* %d FETCH (%s {%d}\r\n" % (place, name, len(part))
        if self.state.fetches == self.state.breaks_at:
            self.socket.sendall(head + part[: len(part) // 2])
            self.socket.shutdown(socket.SHUT_RDWR)
            raise ConnectionError("cut off as the test wants")
        self._say(head + part + b" UID %d FLAGS () RFC822.SIZE %d)" % (mail.uid, len(mail.data)))

    def _logout(self, tag: bytes, arguments: bytes) -> bytes:
        self._say(b"* BYE bye")
        return b"OK done"

    def _mails(self) -> list[Mail]:
        return self.state.folders[self.folder]


def _words(arguments: bytes) -> list[bytes]:
    return [
        re.sub(rb"\\(.)", rb"\1", found[1]) if found[2] is None else found[2]
        for found in _WORD.finditer(arguments)
    ]


def write_certificate(path: Path, *, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> Path:
    """Write a key and its self-signed certificate into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def _general_name(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
