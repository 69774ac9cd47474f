"""Rows of a report put together to payouts: by the reference they give, or as a running account pays out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.matching.payouts import Payout, PayoutLine
from kvit.kernel.payout_reports.profile import Role
from kvit.kernel.payout_reports.rows import Kind, Row
from kvit.kernel.payout_reports.table import Place, Table


@dataclass(slots=True)
class _Group:
    """A payout while its rows come."""

    first: Row
    paid_on: date | None = None
    account: str = ""
    lines: list[PayoutLine] = field(default_factory=list)
    net_minor: int = 0
    told_minor: int | None = None
    """What the report itself says was paid out."""

    def add(self, row: Row) -> None:
        self.net_minor += row.net_minor
        self.lines += _lines(row)


def payouts_of(table: Table, rows: list[Row]) -> tuple[Payout, ...]:
    """Return the payouts that rows make up, in the order of the file; raises StatementUnreadable."""
    by_account = table.profile.grouping == "account"
    payouts = _paid_from_account(table, rows) if by_account else _by_reference(table, rows)
    if not payouts:
        raise _nothing_paid(table, rows)
    return tuple(payouts)


def _by_reference(table: Table, rows: list[Row]) -> list[Payout]:
    groups: dict[str, _Group] = {}
    for row in rows:
        if row.payout and row.kind is not Kind.TOTAL:
            group = groups.setdefault(row.payout, _Group(row))
            _require_same(table, group, row)
            if row.kind is Kind.PAYOUT and row.gross_minor < 0:
                group.told_minor = -row.gross_minor
            else:
                group.add(row)
    _compare_totals(table, groups, [row for row in rows if row.kind is Kind.TOTAL])
    return [_payout(table, reference, group) for reference, group in groups.items()]


def _paid_from_account(table: Table, rows: list[Row]) -> list[Payout]:
    """Let each row that pays out take what came before it in its currency.

    An account that is not emptied gives a payout whose lines do not make up its sum; `settle_payout` tells.
    """
    open_groups: dict[str, _Group] = {}
    payouts = []
    for row in _in_order_of_days(table, rows):
        group = open_groups.setdefault(row.currency, _Group(row))
        if row.kind is Kind.PAYOUT and row.gross_minor < 0:
            group.paid_on, group.account = row.paid_on, row.account
            group.told_minor = -row.gross_minor
            if row.fee_minor:
                group.lines.append(PayoutLine("", 0, row.fee_minor))
            payouts.append(_payout(table, row.payout or row.id, group))
            del open_groups[row.currency]
        else:
            group.add(row)
    return payouts


def _in_order_of_days(table: Table, rows: list[Row]) -> Iterable[Row]:
    """Return the rows from the oldest to the newest, as most reports have them or the other way round."""
    days = [(row.paid_on, row.line) for row in rows if row.paid_on is not None]
    if all(one <= other for (one, _), (other, _) in pairwise(days)):
        return rows
    if all(one >= other for (one, _), (other, _) in pairwise(days)):
        return reversed(rows)
    line = next(line for (one, _), (other, line) in pairwise(days) if one > other)
    raise table.place(Role.PAID_ON, line).at(
        StatementUnreadable(
            "Line {line}: the rows are not in the order of days, so it is unclear which payout they are of. "
            "Download the report again, sorted by day."
        )
    )


def _lines(row: Row) -> tuple[PayoutLine, ...]:
    """Return the row as a sale, a refund or a cost of the payout; nothing where it is nought."""
    if row.kind is Kind.FEE:
        return (PayoutLine("", 0, -row.net_minor),) if row.net_minor else ()
    if row.gross_minor == 0:
        return (PayoutLine("", 0, row.fee_minor),) if row.fee_minor else ()
    return (PayoutLine(row.reference or row.id, row.gross_minor, row.fee_minor),)


def _require_same(table: Table, group: _Group, row: Row) -> None:
    """Refuse a payout in two currencies, on two days or from two accounts."""
    group.paid_on = group.paid_on or row.paid_on
    group.account = group.account or row.account
    for role, one, other in (
        (Role.CURRENCY, group.first.currency, row.currency),
        (Role.PAID_ON, group.paid_on, row.paid_on or group.paid_on),
        (Role.ACCOUNT, group.account, row.account or group.account),
    ):
        if one != other:
            raise table.place(role, row.line).at(
                StatementUnreadable(
                    "Line {line}, {field}: the payout {payout} has both {one} and {other}. "
                    "Download the report again.",
                    payout=row.payout,
                    one=one,
                    other=other,
                )
            )


def _compare_totals(table: Table, groups: dict[str, _Group], totals: list[Row]) -> None:
    """Take the sums that the report itself tells: of one payout, or of all payouts in one currency."""
    for total in totals:
        alike = [group for group in groups.values() if group.first.currency == total.currency]
        only = alike[0] if len(alike) == 1 else None
        group = groups.get(total.payout) if total.payout else only
        if total.net_minor == sum(each.net_minor for each in alike):
            continue
        if group is None:
            raise table.place(Role.NET, total.line).at(
                StatementUnreadable(
                    "Line {line}: the rows do not make up this total. Download the report again, it is cut."
                )
            )
        group.told_minor = total.net_minor


def _payout(table: Table, reference: str, group: _Group) -> Payout:
    if group.paid_on is None:
        raise Place(table.source.name, None, Role.PAID_ON).at(
            StatementUnreadable(
                "The report does not say when it was paid out. Say it when you upload the report."
            )
        )
    return Payout(
        reference=reference,
        currency=group.first.currency,
        net_minor=group.net_minor if group.told_minor is None else group.told_minor,
        paid_on=group.paid_on,
        lines=tuple(group.lines),
        account=group.account,
    )


def _nothing_paid(table: Table, rows: list[Row]) -> StatementUnreadable:
    role = Role.PAYOUT if table.has(Role.PAYOUT) else Role.KIND
    return table.place(role, None).at(
        StatementUnreadable(
            "None of the {count} rows of the report was paid out yet. Download it for a time in which the "
            "provider paid you.",
            count=len(rows),
        )
    )
