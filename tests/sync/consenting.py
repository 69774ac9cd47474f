"""Invented plugins whose owner grants access at the source, or whose source sends messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.utils import timezone

from kvit.plugin import (
    Account,
    AuthExpired,
    Consent,
    ConsentAnswer,
    ConsentRequest,
    Context,
    Delivery,
    Event,
    Grant,
    Identity,
    Item,
    OAuth,
    OAuthEndpoints,
    Plugin,
    Secret,
    Transaction,
    Webhook,
    WebhookRefused,
    field,
    require_signature,
)


@dataclass(frozen=True, kw_only=True)
class GrantedConfig:
    base_url: str = field("Address", default="https://oauth.example")
    client_id: str = field("Client")
    client_secret: Secret = field("Client secret")


class Granted(OAuth, Plugin[GrantedConfig]):
    """Reads the pretend OAuth source."""

    name, title, version, Config = "granted", "Granted", "0.1", GrantedConfig
    guide: ClassVar = ("Register Kvit at the source.",)

    def endpoints(self) -> OAuthEndpoints:
        return OAuthEndpoints(
            authorize=f"{self.config.base_url}/authorize",
            token=f"{self.config.base_url}/token",
            client_id=self.config.client_id,
            client_secret=self.config.client_secret,
            scopes=("movements", "account"),
        )

    def check(self) -> Identity:
        me = self.http.get(f"{self.config.base_url}/me", auth=self.access).json()
        return Identity(key=me["iban"], label=me["name"])

    def sync(self, ctx: Context) -> Iterator[Item]:
        told = self.http.get(f"{self.config.base_url}/movements", auth=self.access).json()
        yield Account(external_id="1", name="Own account", currency="CZK", number=told["iban"])
        for row in told["movements"]:
            yield Transaction(
                external_id=row["id"],
                account_id="1",
                amount=row["amount"],
                currency="CZK",
                booked_on="2026-11-02",
            )


@dataclass(frozen=True, kw_only=True)
class NinetyConfig:
    key: Secret = field("Application key")


class Ninety(Consent, Plugin[NinetyConfig]):
    """Access for ninety days, which nobody can renew; the state comes back as `ref`."""

    name, title, version, Config = "ninety", "Ninety", "0.1", NinetyConfig
    hosts = ("ninety.example",)
    asked: ClassVar[list[ConsentRequest]] = []
    answers: ClassVar[list[ConsentAnswer]] = []
    days: ClassVar[int] = 90
    raises: ClassVar[Exception | None] = None
    is_revoked: ClassVar[bool] = False
    asks_for_another: ClassVar[bool] = False

    def consent_url(self, request: ConsentRequest) -> str:
        self.asked.append(request)
        if self.raises is not None:
            raise self.raises
        return f"https://ninety.example/start?ref={request.state}"

    def granted(self, answer: ConsentAnswer) -> Grant:
        self.answers.append(answer)
        if self.raises is not None:
            raise self.raises
        ends_on = timezone.localdate() + timedelta(days=self.days)
        return Grant(secrets={"session": Secret("session-of-ninety-days")}, ends_on=ends_on)

    def check(self) -> Identity:
        assert self.grants.current().secrets["session"].reveal() == "session-of-ninety-days"
        return Identity(key="ninety", label="Ninety days")

    def sync(self, ctx: Context) -> Iterator[Item]:
        grant = self.grants.current()
        if self.asks_for_another:
            self.grants.renewed(grant)
        if self.is_revoked:
            raise AuthExpired
        yield from ()


@dataclass(frozen=True, kw_only=True)
class HookedConfig:
    signing_secret: Secret = field("Signing secret")


class Hooked(Webhook, Plugin[HookedConfig]):
    """Takes messages `{"id", "sent_at", "wants_sync"}` with an HMAC in `x-signature`."""

    name, title, version, Config = "hooked", "Hooked", "0.1", HookedConfig
    hosts = ("hooks.example",)

    def check(self) -> Identity:
        return Identity(key="hooked", label="Hooked")

    def sync(self, ctx: Context) -> Iterator[Item]:
        yield from ()

    def event(self, delivery: Delivery) -> Event:
        signature = delivery.headers.get("x-signature", "")
        require_signature(delivery.body, signature, self.config.signing_secret)
        told = json.loads(delivery.body)
        if told.get("asks"):
            self.http.get("https://hooks.example/")
        if told.get("leaks"):
            raise WebhookRefused("The secret is {value}.", value=self.config.signing_secret.reveal())
        if told.get("exits"):
            raise SystemExit(self.config.signing_secret.reveal())
        return Event(
            id=told["id"],
            sent_at=datetime.fromtimestamp(told["sent_at"], UTC),
            wants_sync=told.get("wants_sync", True),
        )
