"""Which of the pairs that fit are sure, without a database."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kvit.ledger.models import MoneyTransaction
from kvit.payments.models import PaymentOrder
from kvit.payments.recognising import _names, _same_message, _sure

_MESSAGES = ("", "rent", "March")
_MONEY: Mapping[str, Any] = {"amount_minor": 100, "currency": "CZK"}


@st.composite
def fitting(draw: st.DrawFn) -> list[tuple[PaymentOrder, MoneyTransaction]]:
    """Some of all pairs of a few orders and movements; a movement may name an order's id."""
    messages = st.sampled_from(_MESSAGES)
    orders = [
        PaymentOrder(pk=number, uid=uuid.UUID(int=number), message=draw(messages), **_MONEY)
        for number in range(1, 5)
    ]
    told = st.sampled_from(["", "", *(order.id_for_bank for order in orders)])
    movements = [
        MoneyTransaction(pk=number, reference=draw(told), message=draw(messages), **_MONEY)
        for number in range(11, 15)
    ]
    pairs = [(order, row) for order in orders for row in movements]
    return draw(st.lists(st.sampled_from(pairs), unique_by=lambda pair: (pair[0].pk, pair[1].pk)))


def keys(pairs: list[tuple[PaymentOrder, MoneyTransaction]]) -> list[tuple[int, int]]:
    return sorted((order.pk, row.pk) for order, row in pairs)


@given(fitting(), st.randoms(use_true_random=False))
def test_sure_pairs_are_the_same_in_any_order_and_use_each_side_once(
    pairs: list[tuple[PaymentOrder, MoneyTransaction]], dice: Random
) -> None:
    found = keys(_sure(pairs))
    assert set(found) <= set(keys(pairs))
    assert all(times == 1 for times in Counter(order for order, _ in found).values())
    assert all(times == 1 for times in Counter(row for _, row in found).values())
    shuffled = list(pairs)
    dice.shuffle(shuffled)
    assert keys(_sure(shuffled)) == found


@given(fitting())
def test_a_sure_pair_has_no_rival_that_is_as_good(
    pairs: list[tuple[PaymentOrder, MoneyTransaction]],
) -> None:
    """A rival of the same evidence, among what no better evidence took, leaves it open."""

    def evidence(pair: tuple[PaymentOrder, MoneyTransaction]) -> int:
        return 2 if _names(*pair) else 1 if _same_message(*pair) else 0

    named = [pair for pair in pairs if evidence(pair) == 2]
    orders, rows = {order.pk for order, _ in named}, {row.pk for _, row in named}
    for order, row in _sure(pairs):
        own = evidence((order, row))
        assert own == 2 or not (order.pk in orders or row.pk in rows)
        rivals = [
            pair
            for pair in pairs
            if (pair[0].pk == order.pk) != (pair[1].pk == row.pk)
            and (own == 2 or not (pair[0].pk in orders or pair[1].pk in rows))
        ]
        assert all(evidence(rival) < own for rival in rivals)
