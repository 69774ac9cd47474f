"""The plugin of the statement inbox: reads what arrived, whole or not at all, and then puts it away."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import ClassVar, Final

from kvit.kernel.statements import detect
from kvit.plugin import (
    Checkpoint,
    Context,
    Identity,
    Item,
    Misconfigured,
    Plugin,
    PluginError,
    Secret,
    SourceFile,
    Temporary,
    field,
)
from kvit.plugin.statements import read_statements
from kvit.plugins.statement_inbox.folder import READ, UNREADABLE, Folder, Found, FoundFile, digest
from kvit.plugins.statement_inbox.listed import Listed
from kvit.plugins.statement_inbox.mailbox import (
    LARGEST_MESSAGE_BYTES,
    AttachedFile,
    Heading,
    Mailbox,
    MessageUnreadable,
    Server,
)
from kvit.plugins.statement_inbox.memory import MOST_FILES, Memory

_MESSAGES_AT_ONCE: Final = 50
_MOST_SENDERS_TOLD: Final = 5
_ONE_LINE: Final = r"[^\r\n\x00]*"


@dataclass(frozen=True, kw_only=True)
class StatementInboxConfig:
    folder: str = field(
        "Folder",
        help="A folder on the server, as a whole path, that holds a file named .kvit-inbox.",
        default="",
        pattern=_ONE_LINE,
    )
    folder_key: Secret = field(
        "Folder key",
        help="What stands in the file .kvit-inbox; leave it empty where that file is empty.",
        default=Secret(""),
    )
    moves_files: bool = field(
        "Move files that were read",
        help="To “read” within the folder, and files that cannot be read to “unreadable”.",
        default=True,
    )
    imap_host: str = field(
        "Mail server",
        help="The IMAP server of the mailbox that statements are sent to, such as imap.example.com.",
        default="",
        pattern=r"[A-Za-z0-9.:-]*",
    )
    imap_port: int = field("Port", default=993, min=1, max=65535)
    imap_security: str = field(
        "Encryption",
        help="TLS from the first byte, usually port 993, or STARTTLS, usually port 143.",
        default="tls",
        choices=("tls", "starttls"),
    )
    imap_user: str = field("User", default="", pattern=_ONE_LINE)
    imap_password: Secret = field(
        "Password",
        help="Many providers want an app password here.",
        default=Secret(""),
        pattern=_ONE_LINE,
    )
    imap_folder: str = field(
        "Mail folder",
        help="Best a folder that a rule of the mailbox moves the bank's messages to.",
        default="INBOX",
        pattern=_ONE_LINE,
    )
    senders: str = field(
        "Senders",
        help="Addresses such as statements@bank.example, or @bank.example for all of a domain. Messages of"
        " others are left alone. Empty means anybody.",
        default="",
    )
    accounts: str = field(
        "Accounts",
        help="Numbers or IBANs of the accounts that the files may speak about, separated by commas. A mailbox"
        " needs them, since anybody can send a message.",
        default="",
    )
    account: str = field(
        "Account of files that do not say theirs",
        help="Number or IBAN. Some CSV files leave the account out; leave this empty to have them refused.",
        default="",
    )
    currency: str = field(
        "Currency of files that do not say theirs",
        help="Three letters, such as CZK. Some GPC (ABO) files leave the currency out.",
        default="",
        pattern=r"([A-Z]{3})?",
    )


class StatementInbox(Plugin[StatementInboxConfig]):
    name, title, version, Config = "statement_inbox", "Statement inbox", "1.0", StatementInboxConfig
    description = "Reads statement files that are dropped into a folder or arrive as mail attachments."
    schedule = "*/15 * * * *"
    reads_statements: ClassVar[bool] = True
    guide = (
        (
            "For a folder: put an empty file named .kvit-inbox into it, which says that it is meant for "
            "Kvit, and let Kvit's user read and write the folder."
        ),
        (
            "Drop statement files into the folder. Those that were read are moved to “read” within it, those "
            "that cannot be read to “unreadable”."
        ),
        "For a mailbox: have the bank mail its statements as data: camt.053, GPC, MT940 or CSV.",
        "Make a rule in the mailbox that moves these messages to a folder, and an app password for Kvit.",
        "List your account numbers and the bank's sender address here, then test the connection.",
    )

    def check(self) -> Identity:
        """Try the folder and sign in to the mailbox, whichever of them is set."""
        self._require_sensible()
        if self.config.folder:
            self._folder().check()
        if self.config.imap_host:
            with Mailbox(self._server()):
                pass
        return self._identity()

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Yield what the files hold; where folder or mailbox fails, the other one is read all the same."""
        self._require_sensible()
        memory = Memory.of(ctx.cursor, about=self._about())
        failed: list[PluginError] = []
        for part in self._parts():
            try:
                yield from part(ctx, memory)
            except PluginError as error:
                failed.append(error)
        if failed:
            raise min(failed, key=lambda error: isinstance(error, Temporary))

    def _parts(self) -> Sequence[Callable[[Context, Memory], Iterator[Item]]]:
        parts: list[Callable[[Context, Memory], Iterator[Item]]] = []
        if self.config.folder:
            parts.append(self._from_folder)
        if self.config.imap_host:
            parts.append(self._from_mailbox)
        return parts

    def _require_sensible(self) -> None:
        config = self.config
        if not config.folder and not config.imap_host:
            raise Misconfigured("Fill in a folder, a mail server, or both.", field="folder")
        if not config.imap_host:
            return
        for name, value in (("imap_user", config.imap_user), ("imap_password", config.imap_password)):
            if not value:
                raise Misconfigured("The mailbox needs a user and a password.", field=name)
        if not Listed.of(config.accounts):
            raise Misconfigured(
                "List the accounts that mailed files may speak about: anybody can send a message.",
                field="accounts",
            )
        for sender in self._senders():
            if "@" not in sender:
                raise Misconfigured(
                    "“{sender}” is no sender. Write a whole address, or @ and a domain.",
                    field="senders",
                    sender=sender,
                )

    def _senders(self) -> Sequence[str]:
        return [each.lower() for each in re.split(r"[,;\s]+", self.config.senders) if each]

    def _identity(self) -> Identity:
        """A folder is the connection's place for ever; only where there is none, the mailbox is."""
        config = self.config
        mailbox = f"{config.imap_user}@{config.imap_host}/{config.imap_folder}" if config.imap_host else ""
        label = ", ".join(each for each in (config.folder, mailbox) if each)
        place = f"folder {config.folder.rstrip('/')}" if config.folder else f"mailbox {mailbox}"
        return Identity(key=digest(place.encode()), label=label[:150])

    def _about(self) -> str:
        """Name what decides which files are read: where it changes, all of them are looked at again."""
        config = self.config
        told = (
            config.folder,
            config.imap_host,
            config.imap_user,
            config.imap_folder,
            config.senders,
            config.accounts,
            config.account,
            config.currency,
            config.moves_files,
        )
        return digest(json.dumps(told).encode())

    def _folder(self) -> Folder:
        return Folder(self.config.folder, self.config.folder_key, moves=self.config.moves_files)

    def _server(self) -> Server:
        config = self.config
        return Server(
            host=config.imap_host,
            port=config.imap_port,
            starttls=config.imap_security == "starttls",
            user=config.imap_user,
            password=config.imap_password,
            folder=config.imap_folder,
        )

    def _from_folder(self, ctx: Context, memory: Memory) -> Iterator[Item]:
        folder = self._folder()
        folder.require_present()
        found = folder.found()
        _tell(ctx, found)
        present: set[str] = set()
        for file in found.files:
            if file.is_too_large:
                ctx.warn(f"{file.name} is larger than any statement; it was not read.")
            else:
                yield from self._from_file(ctx, memory, folder, file, present)
        memory.keep_only(present)
        yield Checkpoint(memory.cursor())

    def _from_file(
        self, ctx: Context, memory: Memory, folder: Folder, file: FoundFile, present: set[str]
    ) -> Iterator[Item]:
        """Read a file unless it is remembered, and put it away once that is committed."""
        try:
            data = folder.content(file)
        except OSError as error:
            ctx.warn(f"{file.name} cannot be read ({error.strerror or error}).")
            return
        if data is None:
            ctx.log(f"{file.name} changed while it was read; the next sync looks at it again.")
            return
        name = digest(data)
        if name not in memory.files:
            items = self._accepted(ctx, SourceFile(name=file.name, data=data, account=self.config.account))
            if items is None and not self.config.moves_files:
                return
            yield from items or ()
            if not memory.note(name, UNREADABLE if items is None else READ):
                ctx.warn(
                    f"The folder holds more than {MOST_FILES} files that were read, so some of them are read"
                    " again each time. Let Kvit move them."
                )
            yield Checkpoint(memory.cursor())
        if self._is_put_away(ctx, folder, file, name):
            memory.forget(name)
        else:
            present.add(name)

    def _is_put_away(self, ctx: Context, folder: Folder, file: FoundFile, name: str) -> bool:
        """Move a file whose checkpoint was committed: the cursor tells, so a dry run moves nothing."""
        outcome = Memory.of(ctx.cursor, about=self._about()).files.get(name)
        if outcome is None or not self.config.moves_files:
            return False
        return _moved(ctx, folder, file, outcome)

    def _from_mailbox(self, ctx: Context, memory: Memory) -> Iterator[Item]:
        others: Counter[str] = Counter()
        with Mailbox(self._server()) as mailbox:
            if memory.begin_mailbox(mailbox.uid_validity):
                ctx.log("The mail server numbers its messages anew, so all of them are looked at again.")
            for uids in batched(mailbox.uids_after(memory.uid), _MESSAGES_AT_ONCE):
                for uid in uids:
                    for file in self._files_of(ctx, mailbox, uid, others):
                        yield from self._accepted(ctx, file) or ()
                        # The message as a whole is not read yet, the file is.
                        yield Checkpoint(memory.cursor())
                    memory.uid = uid
                yield Checkpoint(memory.cursor())
        if others:
            ctx.log(_left_alone(others))

    def _files_of(
        self, ctx: Context, mailbox: Mailbox, uid: int, others: Counter[str]
    ) -> Sequence[SourceFile]:
        """Return what is attached to a message of an allowed sender; count the other ones."""
        try:
            heading = mailbox.heading(uid)
            if heading is None or not heading.may_hold_files:
                return ()
            if not self._may_send(heading):
                others[heading.sender] += 1
                return ()
            if heading.size > LARGEST_MESSAGE_BYTES:
                ctx.warn(f"A message of {heading.sender} is larger than any statement; it was not read.")
                return ()
            attached = mailbox.attached_files(uid)
        except MessageUnreadable:
            ctx.warn(f"The message with the UID {uid} is put together like no mail; it was not read.")
            return ()
        files = [file for file in attached if self._may_be_statement(ctx, file, heading)]
        for file in files:
            ctx.log(f"{file.name} came from {heading.sender}.")
        return [SourceFile(name=file.name, data=file.data, account=self.config.account) for file in files]

    def _may_send(self, heading: Heading) -> bool:
        """Whether every address in From is allowed; that it is the true one, nobody has checked."""
        allowed = self._senders()
        if not allowed:
            return True
        return bool(heading.senders) and all(
            any(sender == each or (each.startswith("@") and sender.endswith(each)) for each in allowed)
            for sender in heading.senders
        )

    def _may_be_statement(self, ctx: Context, file: AttachedFile, heading: Heading) -> bool:
        """Whether to read an attachment: of unknown senders only what is surely meant as a statement."""
        if self.config.senders or detect(file.data) is not None:
            return True
        ctx.log(f"{file.name} of {heading.sender} is no statement.")
        return False

    def _accepted(self, ctx: Context, file: SourceFile) -> Iterator[Item] | None:
        """Read a file whole and return what it brings; None, with a warning, where it brings nothing."""
        try:
            statements = read_statements(file, currency=self.config.currency)
        except Misconfigured as error:
            ctx.warn(str(error))
            return None
        listed = Listed.of(self.config.accounts)
        allowed = [account for account in statements.accounts if listed.allows(account)]
        foreign = [account for account in statements.accounts if account not in allowed]
        if foreign:
            ctx.warn(
                f"{file.name} speaks of {', '.join(foreign)}, which is not listed under “Accounts” of this"
                " connection. That was left out."
            )
        if foreign and not allowed:
            return None
        for warning in statements.warnings:
            ctx.warn(warning)
        return statements.items(allowed)


def _tell(ctx: Context, found: Found) -> None:
    """Say what of the folder is not read, and why."""
    for name in found.unfinished:
        ctx.log(f"{name} is still being written; the next sync looks at it again.")
    for name in found.folders:
        ctx.log(f"{name} is a folder; only files that lie directly in the watched folder are read.")
    for name in found.refused:
        ctx.warn(f"{name} is a link or a device, not a file; it is never followed.")


def _moved(ctx: Context, folder: Folder, file: FoundFile, where: str) -> bool:
    try:
        return folder.put_away(file, where)
    except OSError as error:
        ctx.warn(f"{file.name} could not be moved to “{where}” ({error.strerror or error}).")
        return False


def _left_alone(others: Counter[str]) -> str:
    named = ", ".join(f"{sender} ({count})" for sender, count in others.most_common(_MOST_SENDERS_TOLD))
    more = len(others) - _MOST_SENDERS_TOLD
    return f"Messages of other senders were left alone: {named}" + (f" and {more} more." if more > 0 else ".")
