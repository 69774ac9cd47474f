"""The mailbox that statements are mailed to (IMAP4rev1, RFC 3501): looked at, never changed.

The folder is opened by EXAMINE and messages are fetched with BODY.PEEK, so they stay as unread as they were.
"""

from __future__ import annotations

import email.errors
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import getaddresses
from typing import Final, NoReturn

import httpx
from imap_tools import BaseMailBox, MailAttachment, MailMessage
from imap_tools.errors import (
    ImapToolsError,
    MailboxFolderSelectError,
    MailboxLoginError,
    UnexpectedCommandStatusError,
)

from kvit.plugin import AuthExpired, Misconfigured, PluginError, Secret, Temporary

TIMEOUT_SECONDS: Final = 30.0
LARGEST_MESSAGE_BYTES: Final = 64 * 1024 * 1024
LONGEST_NAME: Final = 150

_PASSING: Final = (b"[UNAVAILABLE]", b"[INUSE]", b"[LIMIT]", b"[SERVERBUG]", b"TOO MANY ")
"""Refusals that say nothing about the password or the folder: by RFC 5530, 3, and in words without a code."""
_NO_STATEMENT_TYPES: Final = re.compile(
    r"(?:image|audio|video|message|multipart)/.*|text/(?:html|calendar|x-?vcard)"
    r"|application/(?:pdf|(?:x-)?pkcs7-signature|pgp-signature|ics)"
)
_NO_STATEMENT_NAMES: Final = re.compile(
    r".*\.(?:pdf|png|jpe?g|gif|svg|html?|ics|vcf|p7s|asc|sig|docx?)", re.IGNORECASE | re.DOTALL
)
_LETTER_TYPES: Final = ("text/plain", "text/html", "text/enriched")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a mailbox is and who reads it."""

    host: str
    port: int
    starttls: bool
    """Whether TLS begins after the connection was made; else from its first byte. It is used always."""
    user: str
    password: Secret
    folder: str


@dataclass(frozen=True, slots=True)
class Heading:
    """What one sees of a message before it is fetched."""

    uid: int
    senders: Sequence[str]
    """The addresses of its From, in lower case; more than one where it names more."""
    size: int
    may_hold_files: bool

    @property
    def sender(self) -> str:
        return ", ".join(self.senders) or "nobody"


@dataclass(frozen=True, slots=True)
class AttachedFile:
    name: str
    data: bytes


class MessageUnreadable(Exception):  # never leaves the plugin
    """A message is put together like no mail."""


class Mailbox:
    """One opened folder of a mailbox; use it in `with`.

    Everything raises AuthExpired where the password is refused, Misconfigured where certificate or folder
    are wrong, and Temporary where the server is away or says what nobody understands.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._box: BaseMailBox
        self.uid_validity = 0
        """While it stays, a UID names one message for ever (RFC 3501, 2.3.1.1)."""

    def __enter__(self) -> Mailbox:
        with _told_plainly(self._server):
            self._box = _Connection(self._server)
        try:
            with _told_plainly(self._server):
                self._sign_in()
                self._box.folder.set(self._server.folder, readonly=True)
                self.uid_validity = self._told_validity()
        except PluginError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_raised: object) -> None:
        with suppress(OSError, imaplib.IMAP4.error, ImapToolsError):
            self._box.logout()
        with suppress(OSError):
            self._box.client.shutdown()

    def uids_after(self, uid: int) -> list[int]:
        """Return the UIDs of messages that came after this one, ascending."""
        with _told_plainly(self._server):
            # `n:*` names the last message also where its UID is less than n (RFC 3501, 6.4.8).
            found = map(int, self._box.uids(f"UID {uid + 1}:*", charset=None))
            return sorted(each for each in found if each > uid)

    def heading(self, uid: int) -> Heading | None:
        """Return what stands in a message's head; None where it is gone."""
        message = self._fetched(uid, headers_only=True)
        if message is None:
            return None
        return Heading(
            uid,
            _senders(message.obj),
            message.size_rfc822,
            not _is_letter(message.obj),
        )

    def attached_files(self, uid: int) -> list[AttachedFile]:
        """Return the attachments that may be statements; pictures, PDF and signatures are none.

        Raises MessageUnreadable besides.
        """
        message = self._fetched(uid, headers_only=False)
        if message is None:
            return []
        try:
            return [
                AttachedFile(_plain_name(attachment), attachment.payload)
                for part in message.obj.walk()
                if _may_be_statement(part, attachment := MailAttachment(part))
            ]
        except (email.errors.MessageError, ValueError, LookupError, TypeError, RecursionError):
            raise MessageUnreadable from None

    def _fetched(self, uid: int, *, headers_only: bool) -> MailMessage | None:
        try:
            with _told_plainly(self._server):
                found = self._box.fetch(uid_list=str(uid), mark_seen=False, headers_only=headers_only)
                # Whatever a server tells in between, only the message that was asked for has a body.
                return next(iter(found), None)
        except RecursionError:
            raise MessageUnreadable from None

    def _sign_in(self) -> None:
        user, password = self._server.user, self._server.password.reveal()
        if user.isascii() and password.isascii():
            self._box.login(user, password, initial_folder=None)
        else:
            try:
                self._box.login_utf8(user, password, initial_folder=None)
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as error:
                raise MailboxLoginError(("NO", [str(error).encode()]), "OK") from None

    def _told_validity(self) -> int:
        _code, told = self._box.client.response("UIDVALIDITY")
        if not told or not isinstance(told[0], bytes) or not told[0].isdigit():
            raise Temporary(
                "{host} does not number its messages, so they cannot be read once each.",
                host=self._server.host,
            )
        return int(told[0])


class _Connection(BaseMailBox):
    """A connection with TLS whose certificate is always verified."""

    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        server, context = self._server, httpx.create_ssl_context()
        if not server.starttls:
            return imaplib.IMAP4_SSL(server.host, server.port, ssl_context=context, timeout=TIMEOUT_SECONDS)
        client = imaplib.IMAP4(server.host, server.port, timeout=TIMEOUT_SECONDS)
        try:
            if "STARTTLS" not in client.capabilities:
                raise Misconfigured(
                    "{host} offers no STARTTLS on port {port}. Choose TLS, usually with port 993.",
                    field="imap_security",
                    host=server.host,
                    port=server.port,
                )
            client.starttls(context)
        except BaseException:
            client.shutdown()
            raise
        return client


@contextmanager
def _told_plainly(server: Server) -> Iterator[None]:
    """Turn what the network and the libraries raise into errors for people, without a word of the talk."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Misconfigured(
            "The certificate of {host} cannot be trusted: {reason}. The password was not sent.",
            field="imap_host",
            host=server.host,
            reason=error.verify_message,
        ) from None
    except ssl.SSLError as error:
        if error.reason == "WRONG_VERSION_NUMBER":
            raise Misconfigured(
                "{host} does not begin with TLS on port {port}. Choose STARTTLS, or another port.",
                field="imap_security",
                host=server.host,
                port=server.port,
            ) from None
        raise Temporary(
            "The connection to {host} failed ({kind}).", host=server.host, kind=error.reason
        ) from None
    except TimeoutError:
        raise Temporary("{host} did not answer in time.", host=server.host) from None
    except MailboxLoginError as error:
        _refused(error, server, AuthExpired("{host} refused the user or the password.", host=server.host))
    except MailboxFolderSelectError as error:
        _refused(
            error,
            server,
            Misconfigured(
                "There is no folder {folder} in the mailbox, or it may not be read.",
                field="imap_folder",
                folder=server.folder,
            ),
        )
    except imaplib.IMAP4.abort:
        raise Temporary("The connection to {host} broke off.", host=server.host) from None
    except (ImapToolsError, imaplib.IMAP4.error, ValueError, LookupError) as error:
        raise Temporary(
            "{host} answered what a mail server should not ({kind}).",
            host=server.host,
            kind=type(error).__name__,
        ) from None
    except OSError:
        raise Temporary(
            "{host} cannot be reached. Check the address and the network.", host=server.host
        ) from None


def _refused(error: UnexpectedCommandStatusError, server: Server, definite: PluginError) -> NoReturn:
    """Raise the definite error, or Temporary where the server says that it is only busy."""
    told = repr(error.command_result[1]).upper().encode()
    if any(code in told for code in _PASSING):
        raise Temporary("{host} is busy.", host=server.host) from None
    raise definite from None


def _senders(message: Message) -> list[str]:
    told = [str(value) for value in message.get_all("From", [])]
    return [address.lower() for _name, address in getaddresses(told) if address]


def _may_be_statement(part: Message, attachment: MailAttachment) -> bool:
    if part.is_multipart() or _is_letter(part) or _NO_STATEMENT_TYPES.fullmatch(part.get_content_type()):
        return False
    # Banks encode names with accents in several ways; `filename` is decoded from all of them.
    return not _NO_STATEMENT_NAMES.fullmatch(attachment.filename)


def _is_letter(part: Message) -> bool:
    """Whether it is what people read, and no file: text without a name that is not said to be attached."""
    return (
        part.get_content_type() in _LETTER_TYPES
        and part.get_filename() is None
        and part.get_content_disposition() != "attachment"
    )


def _plain_name(attachment: MailAttachment) -> str:
    """The name without what only a file system would obey."""
    last = re.split(r"[/\\]", attachment.filename)[-1]
    plain = "".join(letter for letter in last if letter.isprintable()).strip()[:LONGEST_NAME]
    return plain or f"attachment.{attachment.content_type.rpartition('/')[2]}"
