"""Many movements of OFX at once, column by column: those whose elements stand in their usual order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache, partial
from itertools import repeat
from operator import add, methodcaller
from typing import Final

from kvit.kernel.statements.fields import find_symbols
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.ofx.elements import account_of, plain_all
from kvit.kernel.statements.ofx.movements import BOOKED, Account
from kvit.kernel.statements.values import Entry

_NO_SYMBOLS: Final = find_symbols(())


def _element(name: str, value: str = r"([^<]*+)") -> str:
    """Return the pattern of one element: its end tag may be left out."""
    return rf"<{name}>{value}(?:</{name}>\s*+)?+"


def _perhaps(name: str, value: str = r"([^<]*+)") -> str:
    return f"(?:{_element(name, value)})?+"


_UNREAD: Final = r"[^<]*+"
_DAY: Final = (
    r"\s*+((?:19|20)[0-9]{2}"
    r"(?:(?:0[1-9]|1[0-2])(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])(?:29|30)|(?:0[13578]|1[02])31))"
    r"(?![0-9]{1,3}(?![0-9]))[^<]*+"
)
"""A day that is in every calendar: 29 February and all that may be wrong get a closer look."""
_AMOUNT: Final = r"\s*+([+-]?[0-9]{1,13}+)\.([0-9]{2})0{0,20}+\s*+"

_USUAL: Final = re.compile(
    r"\s*+"
    + _perhaps("TRNTYPE", _UNREAD)
    + _element("DTPOSTED", _DAY)
    + _perhaps("DTUSER", _UNREAD)
    + _element("TRNAMT", _AMOUNT)
    + _element("FITID")
    + _perhaps("CHECKNUM")
    + _perhaps("REFNUM")
    + _perhaps("NAME")
    + rf"(?:<BANKACCTTO>\s*+{_perhaps('BANKID')}{_element('ACCTID')}"
    + rf"{_perhaps('ACCTTYPE', _UNREAD)}</BANKACCTTO>\s*+)?+"
    + _perhaps("MEMO")
    + rf"</{BOOKED}>\s*+"
)

usual = _USUAL.fullmatch
"""Match the text of a movement behind its start tag, where all of it is usual."""
_groups = methodcaller("groups", "")


def entries_by_column(
    matches: Sequence[re.Match[str]],
    raws: Iterable[str],
    lines: Iterable[int],
    offsets: Iterable[int],
    account: Account,
) -> list[Entry]:
    """Make the entries of usual movements; each is exactly what `Movement.entry` makes of its elements."""
    columns = zip(*map(_groups, matches), strict=True)
    days, wholes, hundredths, ids, checks, references, *texts = columns
    names, banks, accounts, messages = map(plain_all, texts)
    if account.is_of_fio:
        names, messages = [""] * len(names), list(map(_first, messages, names))
    variables, constants, specifics = _symbols(names, messages)
    external_ids = _external_ids(ids, account)
    return list(
        map(
            Entry,
            map(_day, days),
            map(int, map(add, wholes, hundredths)),
            repeat(account.currency),
            external_ids,
            map(bool, external_ids) if account.is_of_fio else repeat(False),
            repeat(None),
            names,
            _accounts(banks, accounts, account),
            variables,
            constants,
            specifics,
            messages,
            _references(references, checks),
            repeat(False),
            lines,
            offsets,
            raws,
        )
    )


@lru_cache(maxsize=4096)
def _day(digits: str) -> date:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _first(one: str, other: str) -> str:
    return one or other


def _external_ids(ids: Sequence[str], account: Account) -> list[str]:
    return [bank_reference(text, counts=not account.is_of_fio) for text in plain_all(ids)]


def _accounts(banks: Sequence[str], accounts: Sequence[str], account: Account) -> Iterable[str]:
    if not any(accounts):
        return repeat("")
    return map(partial(account_of, is_fio=account.is_of_fio), banks, accounts)


def _references(references: Sequence[str], checks: Sequence[str]) -> Iterable[str]:
    if not any(references) and not any(checks):
        return repeat("")
    return [
        bank_reference(one.strip() or other.strip()) for one, other in zip(references, checks, strict=True)
    ]


def _symbols(
    names: Sequence[str], messages: Sequence[str]
) -> tuple[Iterable[str], Iterable[str], Iterable[str]]:
    """Find the payment symbols; most files have none, which one look at all texts together shows."""
    if find_symbols(("\n".join(messages), "\n".join(names))) == _NO_SYMBOLS:
        return repeat(""), repeat(""), repeat("")
    found = [find_symbols(texts)[0] for texts in zip(messages, names, strict=True)]
    variables, constants, specifics = zip(*found, strict=True)
    return variables, constants, specifics
