"""The reference plugin with a webhook and payment orders, and the bugs planted there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kvit.plugin import (
    Delivery,
    Event,
    PaymentBatch,
    PaymentFile,
    PluginError,
    Push,
    Receipt,
    Secret,
    Temporary,
    Webhook,
    WebhookRefused,
    field,
    require_signature,
)
from tests.testing.buk import Buk, BukConfig, told

SIGNED: Final = "buk-signature"


@dataclass(frozen=True, kw_only=True)
class BukOrdersConfig(BukConfig):
    signing: Secret = field("Signing secret", help="Buk banka → Settings → Messages")


class BukOrders(Webhook, Push, Buk):
    Config = BukOrdersConfig

    def event(self, delivery: Delivery) -> Event:
        require_signature(delivery.body, delivery.headers.get(SIGNED, ""), self.signing)
        return self.event_of(json.loads(delivery.body))

    def event_of(self, message: Mapping[str, Any]) -> Event:
        return Event(id=message["id"], sent_at=datetime.fromtimestamp(message["at"], UTC))

    @property
    def signing(self) -> Secret:
        config = self.config
        assert isinstance(config, BukOrdersConfig)
        return config.signing

    def payment_file(self, batch: PaymentBatch) -> PaymentFile:
        rows = [[order.id, str(order.amount), order.counterparty_account] for order in batch.orders]
        return PaymentFile(
            name=f"{batch.key}.json",
            format="buk",
            media_type="application/json",
            data=json.dumps({"from": batch.account, "orders": rows}).encode(),
        )

    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        answer = told(self.http.post("https://api.buk.example/orders", content=file.data))
        return Receipt(accepted=answer["accepted"], reference=answer["reference"])


class BelievesAnybody(BukOrders):
    """A message is read without a look at its signature."""

    def event(self, delivery: Delivery) -> Event:
        return self.event_of(json.loads(delivery.body or b"{}"))


class BelievesUnsigned(BukOrders):
    """Only a wrong signature is refused, a missing one is not."""

    def event(self, delivery: Delivery) -> Event:
        if SIGNED in delivery.headers:
            return super().event(delivery)
        return Event(id="unsigned", sent_at=datetime.now(UTC))


class BelievesNobody(BukOrders):
    """The right signature is refused too."""

    def event(self, delivery: Delivery) -> Event:
        raise WebhookRefused


class MomentWithoutAZone(BukOrders):
    """The moment of a message is not aware."""

    def event_of(self, message: Mapping[str, Any]) -> Event:
        return Event(id=message["id"], sent_at=datetime.fromtimestamp(message["at"]))  # noqa: DTZ006  # planted


class NewFileEachTime(BukOrders):
    """The file is numbered by a counter that a restart forgets."""

    counter = itertools.count(1)

    def payment_file(self, batch: PaymentBatch) -> PaymentFile:
        file = super().payment_file(batch)
        data = file.data.replace(b"{", b'{"number": %d, ' % next(self.counter), 1)
        return PaymentFile(name=file.name, format=file.format, media_type=file.media_type, data=data)


class TokenInTheFile(BukOrders):
    """The file says who sends it by the token."""

    def payment_file(self, batch: PaymentBatch) -> PaymentFile:
        file = super().payment_file(batch)
        data = file.data.replace(b"{", b'{"token": "%s", ' % self.config.token.reveal().encode(), 1)
        return PaymentFile(name=file.name, format=file.format, media_type=file.media_type, data=data)


class SendsAgain(BukOrders):
    """A batch without an answer is sent once more."""

    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        try:
            return super().push(batch, file)
        except Temporary:
            return super().push(batch, file)


class BelievesSilence(BukOrders):
    """No answer is taken for yes."""

    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        try:
            return super().push(batch, file)
        except PluginError:
            return Receipt(accepted=True)


class SilenceIsNo(BukOrders):
    """No answer is taken for a definite no, after which a person sends the orders again."""

    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        try:
            return super().push(batch, file)
        except Temporary:
            return Receipt(accepted=False)


CAUGHT_BY: Final = {
    BelievesAnybody: "webhook-signature",
    BelievesUnsigned: "webhook-signature",
    BelievesNobody: "webhook-signature",
    MomentWithoutAZone: "webhook-signature",
    NewFileEachTime: "payment-file",
    TokenInTheFile: "payment-file",
    SendsAgain: "push-once",
    BelievesSilence: "push-once",
    SilenceIsNo: "push-once",
}
