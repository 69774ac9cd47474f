"""The mail server, as one URL says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from kvit.kernel.errors import SettingsError

TIMEOUT_SECONDS: Final = 10
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_PORTS: Final = {"none": 25, "starttls": 587, "tls": 465}
_SHAPE: Final = "smtp://USER:PASSWORD@HOST:587?tls=starttls or smtps://USER:PASSWORD@HOST"

type Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over and whom it comes from."""

    host: str
    port: int
    security: Security
    user: str
    password: str = field(repr=False)
    sender: str
    """The address that mails come from."""

    @classmethod
    def from_url(cls, url: str, sender: str) -> MailServer | None:
        """Read a URL; none for an empty one. Without a sender, the user is it, where that is an address.

        Raises SettingsError, which repeats nothing of the URL.
        """
        if not url:
            return None
        try:
            parts = urlsplit(url)
            port = parts.port
            options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError:
            raise _unreadable() from None
        security = _security(parts.scheme, options)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        host = parts.hostname or ""
        if not host or parts.path not in ("", "/") or (password and not user):
            raise _unreadable()
        if password and security == "none" and host not in _LOCAL:
            raise SettingsError(
                "KVIT_SMTP_URL would send the password unencrypted; add ?tls=starttls, or write smtps://."
            )
        return cls(
            host=host,
            port=port or _PORTS[security],
            security=security,
            user=user,
            password=password,
            sender=_address(sender or user),
        )

    @property
    def options(self) -> dict[str, Any]:
        """The options of Django's SMTP mailer."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "password": self.password,
            "use_tls": self.security == "starttls",
            "use_ssl": self.security == "tls",
            "timeout": TIMEOUT_SECONDS,
        }


def _security(scheme: str, options: dict[str, str]) -> Security:
    wanted = options.pop("tls", "")
    if options:
        raise _unreadable()
    if scheme == "smtps" and not wanted:
        return "tls"
    if scheme == "smtp" and wanted in ("", "starttls"):
        return "starttls" if wanted else "none"
    raise _unreadable()


def _address(text: str) -> str:
    found = parseaddr(text)[1]
    name, _at, domain = found.rpartition("@")
    if found != text.strip() or not (name and domain) or not text.isprintable():
        raise SettingsError("Set KVIT_MAIL_FROM to the address that mails come from.")
    return found


def _unreadable() -> SettingsError:
    return SettingsError("KVIT_SMTP_URL cannot be read; write {shape}.", shape=_SHAPE)
