"""Rules about what a plugin can do besides reading: messages of the source, and the way back to the bank."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Protocol

from kvit.plugin import (
    Delivery,
    PaymentBatch,
    PaymentFile,
    PaymentOrder,
    Push,
    Receipt,
    Temporary,
    Webhook,
    WebhookRefused,
)
from kvit.testing.bank import PretendBank
from kvit.testing.failing import DAMAGE, UNANSWERED, FailsFrom
from kvit.testing.rules import described, rule
from kvit.testing.running import Installation, Outcome
from kvit.testing.seeing import Contract, broken, leaks

UNSIGNED: Final = (
    Delivery(headers={"content-type": "application/json"}, body=b"{}"),
    Delivery(headers={"content-type": "application/json"}, body=b'{"id": "1", "type": "payout.paid"}'),
    Delivery(headers={}, body=b""),
)
_PAYEES: Final = (("1250.10", "2600170205/2010"), ("0.29", "19-2000145399/0800"))


class Handing:
    """Rules of the mixins Webhook and Push."""

    def delivery(self, bank: PretendBank) -> Delivery | None:
        """Return a message as the source sends it, rightly signed, for a plugin with Webhook."""
        return None

    def batch(self, bank: PretendBank) -> PaymentBatch:
        """Return payment orders that the bank takes, for a plugin with Push."""
        account = bank.accounts[0]
        return PaymentBatch(
            key="b7f1c2d0", account=account.iban, currency=account.currency, orders=_orders(bank.today)
        )

    @rule(
        "webhook-signature",
        why="Anybody can send a message to an address; only the source can sign one.",
        mend="Compare the signature with `require_signature` before anything else is read.",
        needs=Webhook,
    )
    def test_a_message_without_a_right_signature_is_refused(self: HandingContract) -> None:
        """A message that is unsigned or was changed is refused, and a right one has an id and a moment."""
        for unsigned in UNSIGNED:
            _require_refused(self, unsigned, "without a signature")
        right = self.delivery(self.bank())
        if right is None:
            return
        outcome, installation = _event(self, right)
        if outcome.error is not None:
            broken(f"The right message was refused: {described(outcome.error)}")
        if leaks(installation, outcome.heard):
            broken("A credential was shown.")
        _require_refused(self, Delivery(headers=right.headers, body=right.body + b" "), "that was changed")
        _require_refused(self, Delivery(headers={}, body=right.body), "that lost its signature")

    @rule(
        "payment-file",
        why="What is handed to the bank is stored before it leaves, and must be the same after a restart.",
        mend="Write the file from the batch alone: no clock, no random number, no request.",
        needs=Push,
    )
    def test_one_batch_gives_one_file(self: HandingContract) -> None:
        """The same batch gives the same bytes, without a request and without a credential."""
        files = []
        for _ in range(2):
            installation = self.installed(filled=False)
            outcome = Outcome()
            with installation.attempt(outcome) as plugin:
                files.append(plugin.payment_file(self.batch(installation.bank)))
            if outcome.error is not None:
                broken(f"The file could not be written: {described(outcome.error)}")
            if outcome.requests:
                broken("A request was sent while the file was written.")
            if leaks(installation, [files[-1].data.decode("utf-8", "replace"), repr(files[-1])]):
                broken("The file holds a credential.")
        if files[0] != files[1]:
            broken("The second file of the same batch is another one.")

    @rule(
        "push-once",
        why="A batch that is sent again after a lost answer is paid twice.",
        mend="Send one request, catch nothing of it, and raise Temporary where the answer does not say for "
        "certain what became of the batch.",
        needs=Push,
    )
    def test_a_batch_is_sent_once_whatever_is_answered(self: HandingContract) -> None:
        """A batch is sent by one request; without a definite answer, `push` raises Temporary."""
        for name, fault in DAMAGE.items():
            if name == "an answer that is cut off":
                continue
            installation = self.installed(filled=False)
            batch = self.batch(installation.bank)
            outcome, receipts = Outcome(), list[Receipt]()
            file = _file(installation, batch)
            installation.bank.fault = FailsFrom(installation.bank, 1, fault)
            with installation.attempt(outcome) as plugin:
                receipts.append(plugin.push(batch, file))
            if len(outcome.requests) != 1:
                broken(f"With {name}, {len(outcome.requests)} requests were sent.")
            if receipts and receipts[0].accepted:
                broken(f"With {name}, the batch passed for accepted.")
            if name in UNANSWERED and not isinstance(outcome.error, Temporary):
                told = "nothing" if outcome.error is None else described(outcome.error)
                broken(f"With {name}, it raised {told} instead of Temporary.")


class HandingContract(Contract, Protocol):
    """What these rules need of the contract."""

    bank: type[PretendBank]

    def delivery(self, bank: PretendBank) -> Delivery | None: ...

    def batch(self, bank: PretendBank) -> PaymentBatch: ...


def _orders(today: date) -> tuple[PaymentOrder, ...]:
    return tuple(
        PaymentOrder(
            id=f"order{number}",
            amount=Decimal(amount),
            currency="CZK",
            counterparty_account=account,
            due_on=today + timedelta(days=1),
            variable_symbol=f"00{number}",
            message="Vyúčtování č. 7",
        )
        for number, (amount, account) in enumerate(
            (("1250.10", "2600170205/2010"), ("0.29", "19-2000145399/0800")), 1
        )
    )


def _file(installation: Installation, batch: PaymentBatch) -> PaymentFile:
    files, outcome = list[PaymentFile](), Outcome()
    with installation.attempt(outcome) as plugin:
        files.append(plugin.payment_file(batch))
    if outcome.error is not None:
        broken(f"The file could not be written: {described(outcome.error)}")
    return files[0]


def _event(contract: HandingContract, delivery: Delivery) -> tuple[Outcome, Installation]:
    """Hand over a message; the event must name itself and a moment with its time zone."""
    installation, outcome = contract.installed(filled=False), Outcome()
    with installation.attempt(outcome) as plugin:
        event = plugin.event(delivery)
        outcome.heard.append(repr(event))
        if not event.id or event.sent_at.tzinfo is None:
            broken(f"The event is {event}.")
    if isinstance(outcome.error, AssertionError):
        raise outcome.error
    return outcome, installation


def _require_refused(contract: HandingContract, delivery: Delivery, what: str) -> None:
    outcome, _ = _event(contract, delivery)
    if outcome.requests:
        broken(f"For a message {what}, the source was asked.")
    if not isinstance(outcome.error, WebhookRefused):
        told = "taken" if outcome.error is None else f"answered with {described(outcome.error)}"
        broken(f"A message {what} was {told}.")
