"""From orders to the file that the bank gets: written by the plugin, stored sealed before anything leaves."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, NoReturn, cast

from django.db import IntegrityError

from kvit import plugin as contract
from kvit.audit.recording import Actor, audited_values, created, record
from kvit.kernel.errors import (
    KvitError,
    PluginCrashed,
    PluginUnavailable,
    Refused,
    SealBroken,
    Stale,
)
from kvit.kernel.sealing import Place
from kvit.ledger.models import BankAccount
from kvit.ledger.whole import whole
from kvit.payments import orders as ordering
from kvit.payments import outbox, refunds
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.configuring import values_of
from kvit.sync.connections import CHECK_PATIENCE
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.models import PluginConfiguration
from kvit.sync.opening import opened
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.sync.switches import require_switched_on
from kvit.users.keys import key_ring

_State = PaymentBatch.State

MOST_ORDERS: Final = 500
"""In one batch; a person authorizes it in the bank as a whole."""


def can_push(connection: PluginConfiguration) -> bool:
    """Whether the connection's plugin hands payment orders to its bank."""
    try:
        return issubclass(plugin_class(connection.plugin), contract.Push)
    except PluginUnavailable:
        return False


def connections_for(account: BankAccount) -> list[PluginConfiguration]:
    """Return the connections that can hand over orders of an account: those that have told about it."""
    found = PluginConfiguration.objects.filter(
        organization_id=account.organization_id, accounts__account=account
    )
    return [connection for connection in found.distinct() if can_push(connection)]


def make_batch(
    connection: PluginConfiguration,
    orders: Sequence[PaymentOrder],
    *,
    actor: Actor,
    uid: uuid.UUID | None = None,
) -> PaymentBatch:
    """Put orders of one account into a batch, write its file and store it; a worker sends it.

    `uid` becomes its idempotency key: asked for twice with one, as by a double click, it is made once.
    Raises Misconfigured where the plugin says that an order is none for its bank (`field` is the order's id
    and the field, `id.field`), Refused for what can never be handed over together, PluginUnavailable,
    PluginCrashed, KeyMissing or SealBroken, and Stale where somebody was faster.
    """
    orders = [order for _, order in sorted({order.pk: order for order in orders}.items())]
    account = _the_account(connection, orders)
    batch = PaymentBatch(
        organization=connection.organization,
        uid=uid or uuid.uuid4(),
        connection=connection,
        account=account,
        order_ids=[order.pk for order in orders],
        requested_by=actor.name,
    )
    _keep_file(batch, _file(connection, as_handed(batch, orders)))
    try:
        with whole():
            rows = _unchanged(orders)
            batch.save(force_insert=True)
            moved = ordering.put(rows, state=PaymentOrder.State.IN_BATCH, batch=batch)
            record(batch.organization, actor, [created(batch), *moved])
    except IntegrityError:
        if not PaymentBatch.objects.filter(uid=batch.uid).exists():
            raise
        raise Stale("This batch was made already.") from None
    return batch


def file_of(batch: PaymentBatch) -> contract.PaymentFile:
    """Open the file exactly as it is sent. Raises KeyMissing or SealBroken."""
    data = key_ring(batch.organization).open(bytes(batch.file_sealed), _place(batch))
    if hashlib.sha256(data).hexdigest() != batch.sha256:
        raise SealBroken("The stored payment file is damaged. Withdraw the batch and make it again.")
    return contract.PaymentFile(
        name=batch.file_name, format=batch.format, media_type=batch.media_type, data=data
    )


def withdraw(batch: PaymentBatch, *, actor: Actor) -> None:
    """Take back a batch that waits; its orders are drafts again. Raises Stale once it is being sent."""
    outbox.move(outbox.in_state(_State.WAITING), batch, _State.WITHDRAWN, actor=actor, not_before=None)
    batch.refresh_from_db()


def as_handed(batch: PaymentBatch, orders: Sequence[PaymentOrder]) -> contract.PaymentBatch:
    """Return the batch as the contract of plugins has it, its orders in the order in which they were made."""
    return contract.PaymentBatch(
        key=batch.key,
        account=batch.account.number,
        currency=batch.account.currency,
        orders=tuple(_as_handed(order) for order in sorted(orders, key=lambda order: order.pk)),
    )


def _as_handed(order: PaymentOrder) -> contract.PaymentOrder:
    return contract.PaymentOrder(
        id=order.id_for_bank,
        amount=order.amount.amount,
        currency=order.currency,
        counterparty_account=order.counterparty_account,
        counterparty_name=order.counterparty_name,
        counterparty_bic=order.counterparty_bic,
        counterparty_street=order.counterparty_street,
        counterparty_city=order.counterparty_city,
        counterparty_country=order.counterparty_country,
        due_on=order.due_on,
        variable_symbol=order.variable_symbol,
        constant_symbol=order.constant_symbol,
        specific_symbol=order.specific_symbol,
        message=order.message,
        comment=order.comment,
        speed=cast("Literal['standard', 'priority', 'instant']", order.speed),
        charges=cast("Literal['SHA', 'OUR', 'BEN']", order.charges),
        reason=order.reason,
    )


def _the_account(connection: PluginConfiguration, orders: Sequence[PaymentOrder]) -> BankAccount:
    """Return the one account that pays all orders. Raises Refused, and Stale for an order in a batch."""
    if not orders:
        raise Refused("Choose at least one payment order.")
    if len(orders) > MOST_ORDERS:
        raise Refused("One batch holds at most {count} payment orders.", count=MOST_ORDERS)
    if any(order.organization_id != connection.organization_id for order in orders):
        raise Refused("The payment orders and the connection belong to two organizations.")
    if len({order.account_id for order in orders}) > 1:
        raise Refused("One batch is paid from one account. Make a batch for each account.")
    if not all(order.is_open for order in orders):
        raise Stale
    _require_not_contradicted(connection, orders)
    account = orders[0].account
    require_switched_on(connection.organization, connection.plugin)
    if not connection.accounts.filter(account=account).exists():
        raise Refused(
            "“{name}” has told nothing of the account {account} yet. Sync it first, or choose another one.",
            name=connection.name,
            account=account.number,
        )
    return account


def _require_not_contradicted(connection: PluginConfiguration, orders: Sequence[PaymentOrder]) -> None:
    """Refuse what the bank turned out to have, against what a person had said, until somebody has looked."""
    contradicted = PaymentBatch.objects.filter(
        organization_id=connection.organization_id, contradiction=_State.ACCEPTED
    )
    wanted = {order.pk for order in orders}
    for batch in contradicted:
        if wanted & {*batch.order_ids}:
            raise Refused(
                "The bank turned out to have batch {number}, so that one of these orders may be paid "
                "already. Look there, and say in the batch that you have looked.",
                number=batch.pk,
            )


def _file(connection: PluginConfiguration, batch: contract.PaymentBatch) -> contract.PaymentFile:
    """Have the plugin write the file, and refuse every request meanwhile."""
    plugin = plugin_class(connection.plugin)
    values = values_of(connection)
    redactor = Redactor(values.credentials.values())
    turnstile = DatabaseTurnstile(patience=CHECK_PATIENCE)
    options: Any = {"redactor": redactor, "turnstile": turnstile, "before_request": _refuse_request}
    try:
        with _crashes_named(), opened(plugin, values, connection=connection, **options) as instance:
            return _sound(pushing(instance, connection).payment_file(batch))
    except KvitError as error:
        raise masked(error, redactor) from None


def pushing(instance: contract.Plugin[Any], connection: PluginConfiguration) -> contract.Push:
    """Return the plugin as one that hands over orders. Raises Refused where it is none."""
    if not isinstance(instance, contract.Push):
        raise Refused("“{name}” only reads; it hands no payment orders to the bank.", name=connection.name)
    return instance


def _sound(file: contract.PaymentFile) -> contract.PaymentFile:
    """Return what a plugin wrote. Raises TypeError where it is no file with anything in it."""
    if not (isinstance(file, contract.PaymentFile) and isinstance(file.data, bytes) and file.data):
        raise TypeError("payment_file() returns a PaymentFile with bytes in it.")
    return file


@contextmanager
def _crashes_named() -> Iterator[None]:
    """Turn a plugin's own mistake into PluginCrashed, without its message, which may hold a secret."""
    try:
        yield
    except KvitError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does wrong
        raise PluginCrashed(
            "The plugin made a mistake ({kind}) while it wrote the file. Nothing was sent.",
            kind=type(error).__name__,
        ) from None


def masked[E: KvitError](error: E, redactor: Redactor) -> E:
    """Take live secrets out of an error before anybody sees it."""
    error.message = redactor.mask(error.message)
    error.params = {name: redactor.mask(str(value)) for name, value in error.params.items()}
    return error


def _refuse_request() -> NoReturn:
    raise RuntimeError("payment_file() asks nobody.")


def _keep_file(batch: PaymentBatch, file: contract.PaymentFile) -> None:
    batch.file_name, batch.format, batch.media_type = file.name[:255], file.format[:40], file.media_type[:100]
    batch.sha256, batch.size = hashlib.sha256(file.data).hexdigest(), len(file.data)
    batch.file_sealed = key_ring(batch.organization).seal(file.data, _place(batch))


def _unchanged(orders: Sequence[PaymentOrder]) -> list[PaymentOrder]:
    """Return the orders locked. Raises Stale where one is not as the file has it."""
    for order in orders:
        refunds.require_room(order)
    rows = ordering.locked(orders)
    if list(map(audited_values, rows)) != list(map(audited_values, orders)):
        raise Stale
    return rows


def _place(batch: PaymentBatch) -> Place:
    return Place("payments_paymentbatch", "file_sealed", batch.organization.uid, str(batch.uid))
