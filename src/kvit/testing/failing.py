"""Rules about a source that refuses, slows down, breaks or does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from kvit.plugin import AuthExpired, PluginError, RateLimited, Temporary
from kvit.testing.bank import PretendBank
from kvit.testing.rules import described, rule
from kvit.testing.running import Installation, Outcome
from kvit.testing.seeing import Contract, broken, leaks, require_complete, synced

MOST_REQUESTS: Final = 8
"""At how many requests of a sync something goes wrong, from the first on."""
NOW: Final = datetime(2026, 4, 2, 12, tzinfo=UTC)
"""From when a delay is counted."""
MOST_TRIES: Final = 5
"""How often a plugin may ask again after the source said to wait."""

type Fault = Callable[[PretendBank, httpx.Request], httpx.Response]


class Failing:
    """Rules that put faults into the bank's answers."""

    @rule(
        "check-refused",
        why="The owner is asked to enter the credentials again only where the plugin says so.",
        mend="Let AuthExpired of `self.http.get` pass, or raise it where the source says it in its own way.",
        needs_http=True,
    )
    def test_a_check_with_refused_credentials_says_so(self: Contract) -> None:
        """Where the source refuses the credentials, `check` raises AuthExpired."""
        installation = self.installed()
        installation.bank.fault = FailsFrom(installation.bank, 1, _refuses)
        _require(installation.check(), AuthExpired, "The check with refused credentials")

    @rule(
        "check-unanswered",
        why="A source that is away is no reason to doubt the credentials.",
        mend="Let Temporary of `self.http` pass; catch no broader error.",
        needs_http=True,
    )
    def test_a_check_without_an_answer_is_temporary(self: Contract) -> None:
        """Where the source does not answer, `check` raises Temporary."""
        installation = self.installed()
        installation.bank.fault = FailsFrom(installation.bank, 1, _times_out)
        _require(installation.check(), Temporary, "The check without an answer")

    @rule(
        "throttled",
        why="A source that is asked to often locks people out; what was not read must be read later.",
        mend="Let RateLimited pass, ask no second time, and move the cursor only past what was read.",
        needs_http=True,
    )
    def test_a_source_that_slows_down_is_asked_later(self: Contract) -> None:
        """Told to slow down at any request, it raises RateLimited, and the next sync loses nothing."""
        for number, installation in _interrupted(self, _slows, _first_requests(self)):
            outcome = installation.sync()
            _require(outcome, RateLimited, f"Told to slow down at request {number}, the sync")
            if isinstance(outcome.error, RateLimited) and outcome.error.retry_at(NOW) <= NOW:
                broken("It asks to be tried again at once.")
            if len(outcome.requests) - number >= MOST_TRIES:
                broken(
                    f"It asked {len(outcome.requests) - number} times more after it was told to slow down."
                )
            _require_resumed(installation, f"Told to slow down at request {number} and synced later")

    @rule(
        "refused-midway",
        why="Credentials end in the middle of a sync too; taken for an empty page, that loses money unseen.",
        mend="Let AuthExpired pass, and treat no refusal as the end of the pages.",
        needs_http=True,
    )
    def test_a_refusal_in_the_middle_is_told(self: Contract) -> None:
        """Refused at any request, it raises AuthExpired, and once allowed again loses nothing."""
        for number, installation in _interrupted(self, _refuses, _first_requests(self)):
            _require(installation.sync(), AuthExpired, f"Refused at request {number}, the sync")
            _require_resumed(installation, f"Refused at request {number} and allowed again")

    @rule(
        "broken-answers",
        why="Networks cut answers and sources answer with pages of their own; neither is an empty list.",
        mend="Let the errors of `self.http` pass, and raise Temporary where the answer is not what it must.",
        needs_http=True,
    )
    def test_broken_answers_lose_nothing(self: Contract) -> None:
        """An error, a timeout or a damaged answer at any request ends in Temporary, and nothing is lost."""
        numbers = _first_requests(self)
        for name, fault in DAMAGE.items():
            for number, installation in _interrupted(self, fault, numbers):
                outcome = installation.sync()
                when = f"With {name} at request {number}"
                if outcome.error is None:
                    require_complete(installation, f"{when}, the sync passed for a success:")
                else:
                    _require(outcome, Temporary, f"{when}, the sync")
                _require_resumed(installation, f"{when} and synced later")

    @rule(
        "secrets",
        why="Errors, logs, cursors and records are shown, stored and sent to us for help.",
        mend="Write no credential and no URL that holds one into an error, a log line, the cursor, an id or "
        "`raw`; reveal a Secret only where the request is made.",
    )
    def test_no_credential_is_ever_shown(self: Contract) -> None:
        """No credential is in any item, cursor, error, traceback, log line or repr, whatever goes wrong."""
        whole = self.installed()
        outcomes = [whole.sync(), whole.sync(), whole.check()]
        numbers = range(1, min(len(outcomes[0].requests), 3) + 1)
        for fault in EVERY_FAULT if self.reads_http else ():
            checked = self.installed()
            checked.bank.fault = FailsFrom(checked.bank, 1, fault)
            outcomes.append(checked.check())
            outcomes += [installation.sync() for _, installation in _interrupted(self, fault, numbers)]
        for outcome in outcomes:
            told = [*outcome.heard, *map(str, outcome.cursors), *map(str, outcome.items)]
            if found := leaks(whole, told):
                broken(f"A credential, here masked, was shown: {_around_mask(found[0])}")


@dataclass
class FailsFrom:
    """A fault that begins with one request and stays."""

    bank: PretendBank
    number: int
    fault: Fault
    asked: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        self.asked += 1
        return self.fault(self.bank, request) if self.asked >= self.number else None


def _interrupted(contract: Contract, fault: Fault, numbers: range) -> Iterator[tuple[int, Installation]]:
    """Yield installations whose bank begins to fail at each of these requests."""
    for number in numbers:
        installation = contract.installed()
        installation.bank.fault = FailsFrom(installation.bank, number, fault)
        yield number, installation


def _first_requests(contract: Contract) -> range:
    """The numbers of the first requests of a sync."""
    return range(1, min(len(synced(contract.installed()).requests), MOST_REQUESTS) + 1)


def _require(outcome: Outcome, expected: type[PluginError], who: str) -> None:
    if outcome.error is None:
        broken(f"{who} passed for a success.")
    if not isinstance(outcome.error, expected):
        broken(f"{who} raised {described(outcome.error)} instead of {expected.__name__}.")


def _require_resumed(installation: Installation, when: str) -> None:
    installation.bank.fault = None
    resumed = installation.restarted()
    synced(resumed)
    require_complete(resumed, when)


def _refuses(bank: PretendBank, request: httpx.Request) -> httpx.Response:
    return bank.refused(request)


def _slows(bank: PretendBank, request: httpx.Request) -> httpx.Response:
    return bank.slowed(request)


def _fails(bank: PretendBank, request: httpx.Request) -> httpx.Response:
    return bank.failed(request)


def _times_out(_bank: PretendBank, request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no answer in time", request=request)


def _resets(_bank: PretendBank, request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset", request=request)


def _shows_a_page(_bank: PretendBank, _request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, html="<!doctype html><title>Maintenance</title><p>We are back at six.</p>")


def _forbids(_bank: PretendBank, _request: httpx.Request) -> httpx.Response:
    return httpx.Response(403, json={"error": "forbidden"})


def _finds_fault(_bank: PretendBank, _request: httpx.Request) -> httpx.Response:
    return httpx.Response(400, json={"error": "bad request"})


def _cuts(bank: PretendBank, request: httpx.Request) -> httpx.Response:
    """Give the right answer up to its middle."""
    whole = bank.answer(request)
    body = whole.read()
    return httpx.Response(
        whole.status_code,
        headers={"Content-Type": whole.headers.get("Content-Type", "")},
        content=body[: len(body) // 2],
    )


DAMAGE: Final[Mapping[str, Fault]] = {
    "an error of the source": _fails,
    "no answer": _times_out,
    "a connection that breaks": _resets,
    "an answer that is cut off": _cuts,
    "a page instead of data": _shows_a_page,
}
UNANSWERED: Final = ("no answer", "a connection that breaks", "a page instead of data")
"""Which of them leave open what the source has done."""
EVERY_FAULT: Final[Sequence[Fault]] = (_refuses, _forbids, _slows, _finds_fault, *DAMAGE.values())


def _around_mask(text: str) -> str:
    at = text.find("***")
    return text[max(0, at - 80) : at + 80]
