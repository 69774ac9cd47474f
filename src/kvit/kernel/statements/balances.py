"""Whether a statement's balances agree with its movements: a doubt for a person, never a refusal."""

from __future__ import annotations

from kvit.kernel.money import Money
from kvit.kernel.statements.values import Problem, Statement


def balance_doubt(statement: Statement, line: int | None = None) -> Problem | None:
    """Return a warning where opening balance + booked movements is not the closing balance, else None.

    Pending movements are not in the balances. Without both balances there is nothing to compare.
    """
    opening, closing = statement.opening_balance, statement.closing_balance
    if opening is None or closing is None:
        return None
    booked = [entry.amount for entry in statement.entries if not entry.pending]
    currencies = {money.currency for money in (opening, closing, *booked)}
    if len(currencies) > 1:
        message = f"The balances cannot be checked: the amounts are in {', '.join(sorted(currencies))}."
        return Problem(message=message, line=line)
    # The amounts are in one currency, so their hundredths add up without making Money of each step.
    expected = opening.minor + sum(money.minor for money in booked)
    if expected == closing.minor:
        return None
    difference = Money(closing.minor - expected, opening.currency)
    return Problem(
        message=f"The balances do not agree: opening {opening.amount}, movements "
        f"{Money(expected - opening.minor, opening.currency).amount}, closing {closing.amount} "
        f"(difference {difference.amount}). A part of the statement may be missing.",
        line=line,
    )
