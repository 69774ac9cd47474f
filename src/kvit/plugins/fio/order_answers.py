"""What Fio answers to a file of payment orders: a definite receipt, a refusal, or nothing to rely on.

Only a whole answer of the import that does not contradict itself is believed. Everything else after the file
has left raises Temporary, which leaves the batch “unknown”: Fio has no key by which a file sent twice would
be taken once (manual 6).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal

import httpx

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements import xml
from kvit.kernel.statements.source import Source
from kvit.plugin import AuthExpired, Misconfigured, RateLimited, Receipt, Temporary, Verdict

type Status = Literal["ok", "warning", "error"]

SUM_CODE: Final = "sum"
SUM_DIFFERS_CODE: Final = "sum-differs"
"""Our own codes, about what the bank counted together; the bank's are numbers."""

_STATUSES: Final[dict[str, Status]] = {"ok": "ok", "warning": "warning", "error": "error", "fatal": "error"}
_TAKEN: Final = ("0", "2")
"""The codes of a batch that Fio has taken; with any other it took nothing."""
_TOKEN_REFUSED_BYTES: Final = 1
"""How long the body of a 500 that refuses the token is, as recorded; another 500 may mean anything."""
_TOKEN_WAIT: Final = timedelta(minutes=2)
_LONGEST_QUOTE: Final = 500
_ROOT: Final = "responseImport"
_SUM: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,2})?")
_NUMBER: Final = re.compile("[0-9]{1,9}")

WORDS: Final[dict[str, str]] = {
    "0": "Fio has taken the batch. Sign in to Fio and authorize it; until then nothing is paid.",
    "1": "Fio found errors and took nothing. Correct the payments it names and make a new batch.",
    "2": "Fio has taken the batch and points something out. Read its words, then authorize the batch in Fio "
    "or delete it there.",
    "11": "The file does not have the form that Fio wants, and nothing was taken. This is a fault of the "
    "plugin: report it with the words of Fio.",
    "12": "Fio found no payment in the file, and nothing was taken. Make a new batch.",
    "13": "The file is larger than 2 MB, and nothing was taken. Make two batches of it.",
    "14": "The file arrived empty, and nothing was taken. Make a new batch.",
    "303": "The IBAN of the payee is wrong. Ask the payee for it and correct the payment.",
    "323": "The address of the payee is not complete: fill in street, city and country.",
    SUM_CODE: "What Fio counted together for this currency is what the batch holds.",
    SUM_DIFFERS_CODE: "Fio counted another sum than the batch holds. Do not authorize the batch: look at it "
    "in Fio and delete it there.",
}


def explained(code: str) -> str:
    """Return in our words (English source) what a verdict's code means and what to do.

    Empty for a code that the bank's manual does not name: its own words stand with the verdict.
    """
    return WORDS.get(code, "")


def receipt_of(
    response: httpx.Response, *, order_ids: Sequence[str], totals: Mapping[str, Decimal]
) -> Receipt:
    """Return the bank's definite answer; `order_ids` are in the order of the file.

    Raises RateLimited (409), AuthExpired and Misconfigured where the bank refused the request itself and took
    nothing, and Temporary where nobody can tell.
    """
    _raise_for_refusal(response)
    answer = _read(response.content)
    accepted = _is_accepted(answer)
    return Receipt(
        accepted=accepted,
        reference=", ".join(answer.batch_ids),
        verdicts=tuple(_verdicts(answer, accepted, order_ids, totals)),
    )


def _raise_for_refusal(response: httpx.Response) -> None:
    """Raise the error behind a request that did not reach the import at all (manual 8)."""
    status = response.status_code
    if status in (409, 429):
        raise RateLimited(
            _TOKEN_WAIT,
            "Fio answers a token once in 30 seconds, and this one was used a moment ago. Nothing was handed "
            "over; it will be tried again.",
        )
    if status in (401, 403) or (status == 500 and len(response.content) == _TOKEN_REFUSED_BYTES):
        raise AuthExpired(
            "Fio does not accept the token for payment orders, and nothing was handed over. It expired, "
            "was removed, was authorized less than five minutes ago, or may only watch the account. In the "
            "internet banking of Fio (Settings → API) make one with the right “Account monitoring and "
            "entering orders”, and enter it here."
        )
    if status == 404:
        raise Misconfigured(
            "Fio does not know the address of the connection, and nothing was handed over. Check it.",
            field="base_url",
        )
    if status == 413:
        raise Misconfigured("The file is larger than Fio takes, and nothing was handed over.", field="orders")
    if 400 <= status < 500 and status != 408:
        raise Misconfigured(
            "Fio refused the request (status {status}), and nothing was handed over.", status=status
        )
    if not response.is_success:
        raise Temporary(
            "Fio answered with an error (status {status}), and may have the batch or not: look there.",
            status=status,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """What the bank says about one order."""

    number: str
    """The order's place in the file, from 1, as the bank writes it."""
    status: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The bank's `responseImport` (its schema responseImportIB.xsd)."""

    code: str
    status: str
    """ok, warning, error or fatal."""
    batch_ids: Sequence[str]
    words: str
    debits: Mapping[str, Decimal]
    """What the orders pay together, by currency."""
    messages: Sequence[_Message]
    told_twice: frozenset[str]
    """Numbers that stand at several orders, so that nobody can say which one is meant."""


def _read(body: bytes) -> _Answer:
    """Read the whole answer; raises Temporary where it is damaged, cut off or of another kind."""
    if xml.root_of(body) != _ROOT:
        raise Temporary(
            "Fio answered something else than a receipt, and may have the batch or not: look there."
        )
    answers: list[_Answer] = []
    try:
        for root in xml.elements(Source(body), [_ROOT]):
            messages = [
                _Message(
                    number=detail.get("id", ""),
                    status=message.get("status", ""),
                    code=message.get("errorCode", ""),
                    text=xml.text(message)[:_LONGEST_QUOTE],
                )
                for details in xml.children(root, "ordersDetails")
                for detail in xml.children(details, "detail")
                for listed in xml.children(detail, "messages")
                for message in xml.children(listed, "message")
            ]
            numbers = Counter(
                detail.get("id", "")
                for details in xml.children(root, "ordersDetails")
                for detail in xml.children(details, "detail")
            )
            answers += [
                _Answer(
                    code=xml.text(result, "errorCode"),
                    status=xml.text(result, "status"),
                    batch_ids=list(filter(None, map(xml.text, xml.children(result, "idInstruction")))),
                    words=" ".join(map(xml.text, xml.children(result, "message")))[:_LONGEST_QUOTE],
                    debits={
                        each.get("id", ""): _amount(xml.text(each, "sumDebet"))
                        for sums in xml.children(result, "sums")
                        for each in xml.children(sums, "sum")
                    },
                    messages=messages,
                    told_twice=frozenset(number for number, times in numbers.items() if times > 1),
                )
                for result in xml.children(root, "result")
            ]
    except (StatementUnreadable, ValueError):
        raise Temporary(
            "The receipt of Fio was damaged or cut off. It may have the batch or not: look there."
        ) from None
    if len(answers) != 1:
        raise Temporary(
            "Fio answered something else than a receipt, and may have the batch or not: look there."
        )
    return answers[0]


def _amount(text: str) -> Decimal:
    """Read a sum, 0 where there is none; raises ValueError for what is no sum of money."""
    if text and not _SUM.fullmatch(text):
        raise ValueError(text)
    return Decimal(text or 0)


def _is_accepted(answer: _Answer) -> bool:
    """Whether Fio has the batch; raises Temporary where the answer says both, or something unheard of."""
    is_taken = answer.code in _TAKEN
    if is_taken and answer.status in ("ok", "warning") and all(map(str.isdecimal, answer.batch_ids)):
        return True
    is_refused = answer.code.isdecimal() and not is_taken and not answer.batch_ids
    if is_refused and answer.status in ("error", "fatal"):
        return False
    raise Temporary(
        "The receipt of Fio contradicts itself (code {code}, status {status}): look there for the batch.",
        code=answer.code or "none",
        status=answer.status or "none",
    )


def _verdicts(
    answer: _Answer, accepted: bool, order_ids: Sequence[str], totals: Mapping[str, Decimal]
) -> Iterator[Verdict]:
    """Yield what is said about the batch, then about its sums, then about each order."""
    overall = _STATUSES[answer.status]
    yield Verdict(status=overall, code=answer.code, message=answer.words)
    if accepted:
        yield from _sums(answer.debits, totals)
    for message in answer.messages:
        place = int(message.number) if _NUMBER.fullmatch(message.number) else 0
        is_known = 1 <= place <= len(order_ids) and message.number not in answer.told_twice
        yield Verdict(
            status=_STATUSES.get(message.status, overall),
            code=message.code,
            message=message.text if is_known else f"{message.number}: {message.text}",
            order_id=order_ids[place - 1] if is_known else "",
        )


def _sums(debits: Mapping[str, Decimal], totals: Mapping[str, Decimal]) -> Iterator[Verdict]:
    """Compare what the bank counted with what was handed over; it may leave sums out."""
    for currency in sorted({*debits, *totals} if debits else ()):
        counted, handed_over = debits.get(currency, Decimal(0)), totals.get(currency, Decimal(0))
        if counted == handed_over:
            yield Verdict(status="ok", code=SUM_CODE, message=f"{counted:.2f} {currency}")
        else:
            yield Verdict(
                status="warning",
                code=SUM_DIFFERS_CODE,
                message=f"{counted:.2f} {currency} ≠ {handed_over:.2f} {currency}",
            )
