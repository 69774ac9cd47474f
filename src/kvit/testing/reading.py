"""Rules about what a plugin tells of its source when nothing goes wrong there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final

from kvit.kernel.errors import Misconfigured, MoneyError, RecordError
from kvit.kernel.money import Money
from kvit.ledger.movements import movement_of
from kvit.plugin import Account, Payout, Transaction, Unreadable
from kvit.sync.writing import LONGEST_CURSOR_BYTES
from kvit.testing.bank import PretendBank
from kvit.testing.filling import add, arrive_late
from kvit.testing.rules import described, rule
from kvit.testing.running import Installation, Kept, Outcome, another_process
from kvit.testing.seeing import (
    Contract,
    backwards,
    booked,
    broken,
    in_hundredths,
    require_complete,
    require_same,
    synced,
)

ZONES: Final = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC")
"""Fourteen hours before and eleven behind UTC: somewhere it is always another day."""
REPEATED_ROWS: Final = 3
FIRST_REQUESTS: Final = range(1, 11)
"""After which answers something is inserted."""
BLANKS: Final = ((1, 2), (2, 4))
"""Where records without an id stand: the texts they have, and the place behind the oldest."""
CLUES: Final = ("2026000123", "ACME LTD")
"""A symbol and a name that every encoding and every escape leaves as they are."""
FUTURE: Final = timedelta(days=20)


class Reading:
    """Rules that read a bank which answers."""

    @rule(
        "check",
        why="The check proves the settings before they are stored, and its key finds out that an account is "
        "connected twice.",
        mend="Return an Identity whose key is the account's own name at the source, the same each time.",
    )
    def test_the_check_names_the_account(self: Contract) -> None:
        """With right credentials, `check` returns the same key each time, and a label."""
        installation = self.installed()
        found = []
        for _ in range(2):
            outcome = installation.check()
            if outcome.error is not None:
                broken(f"The check failed: {described(outcome.error)}")
            assert outcome.identity is not None
            found.append(outcome.identity)
        if not (found[0].key.strip() and found[0].label.strip()):
            broken(f"The identity is {found[0]}.")
        if found[0].key != found[1].key:
            broken(f"The key was {found[0].key} and then {found[1].key}.")

    @rule(
        "lazy",
        why="What is yielded is stored while the next page is fetched, and a sync can be cancelled between.",
        mend="Write `sync` with `yield`; return no list.",
    )
    def test_sync_is_a_generator(self: Contract) -> None:
        """`sync` is a generator."""
        installation = self.installed()
        outcome = installation.sync(items=0)
        if outcome.error is not None or outcome.requests:
            broken("Something happened before the first item was asked for.")

    @rule(
        "every-movement",
        why="A movement that is not told is money that nobody sees.",
        mend="Read every page of every account up to `ctx.today`, until the source says that there is no "
        "next one, and take the day from `ctx.today`, not from the machine's clock.",
    )
    def test_every_movement_is_told_once(self: Contract) -> None:
        """A first sync tells every booked movement exactly once, and ends with a checkpoint."""
        installation = self.installed()
        outcome = synced(installation)
        require_complete(installation, "After a first sync")
        if self.reads_http and not outcome.cursors:
            broken("There was no Checkpoint, so every sync reads everything again.")
        _require_shorter_pages(self)

    @rule(
        "exact-amounts",
        why="A crown too much or too little is settled against somebody's invoice.",
        mend="Take the amount from the source's own text or digits, with its sign: incoming is positive.",
    )
    def test_amounts_are_the_banks(self: Contract) -> None:
        """Every amount is the bank's, to the hundredth and with its sign."""
        installation = self.installed()
        synced(installation)
        known = {(in_hundredths(item.amount), item.currency) for item in booked(installation.bank)}
        for row in installation.kept.rows.values():
            if (row.amount_minor, row.currency) not in known:
                broken(
                    f"{row.external_id} has {row.amount_minor} hundredths of {row.currency}; the bank none."
                )

    @rule(
        "exact-values",
        why="A float cannot hold money exactly; a record that does not hold together is put aside.",
        mend='Give amounts as Decimal, int or text such as "-1250.00", the currency as three capitals, and '
        "texts as str.",
    )
    def test_every_record_can_be_stored(self: Contract) -> None:
        """No amount is a float, every currency is known, and every record is accepted by the ledger."""
        for item in synced(self.installed()).items:
            if isinstance(item, Transaction):
                try:
                    movement_of(item)
                except RecordError as error:
                    broken(f"{error} (field {error.field}, id {item.external_id!r})")
            if isinstance(item, Unreadable):
                broken(f"A good record was put aside: {item.reason}")
            if isinstance(item, Account) and isinstance(item.balance, float):
                broken(f"The balance of {item.external_id} is a float.")
            if isinstance(item, Payout):
                _require_sum(item)

    @rule(
        "local-dates",
        why="A payment of the last minute of a month belongs to that month, wherever the server stands.",
        mend="Turn moments into days in the bank's own time zone: `moment.astimezone(ZoneInfo(…)).date()`.",
    )
    def test_dates_are_the_banks_local_days(self: Contract) -> None:
        """The booking day is the bank's local day, whatever time zone the machine has."""
        for zone in ZONES:
            installation = self.installed()
            with _machine_in(zone):
                synced(installation)
            _require_days(installation.bank, installation.kept, zone)

    @rule(
        "whole-texts",
        why="Invoices are found by the symbol and by the payer's name; 0042 is not 42.",
        mend="Tell what the source says, keep symbols as text with their leading zeros, and read answers in "
        "the source's encoding.",
    )
    def test_texts_and_symbols_are_told_as_they_are(self: Contract) -> None:
        """Symbols, names and messages are told, with their leading zeros and rightly decoded."""
        installation = self.installed()
        synced(installation)
        known = defaultdict(set)
        for item in booked(installation.bank):
            known[in_hundredths(item.amount)].add(item)
        for row in installation.kept.rows.values():
            told = f"{row.counterparty_name} {row.message}"
            for item in known[row.amount_minor]:
                if row.variable_symbol not in ("", item.variable_symbol):
                    broken(f"The symbol {item.variable_symbol!r} was told as {row.variable_symbol!r}.")
                for text in (item.counterparty, item.message):
                    if any(wrong in told for wrong in _wrongly_decoded(text)):
                        broken(f"{text!r} was told as {told!r}.")
        _require_clues(installation)

    @rule(
        "accounts-first",
        why="A movement of an account that nobody has told of is put aside.",
        mend="Yield each Account before the first of its transactions, and take its currency from the "
        "source.",
    )
    def test_an_account_comes_before_its_movements(self: Contract) -> None:
        """Each account is told before its first movement, in the currency of its movements."""
        known: dict[str, str] = {}
        for item in synced(self.installed()).items:
            if isinstance(item, Account):
                known[item.external_id] = item.currency
            elif isinstance(item, Transaction):
                if item.account_id not in known:
                    broken(f"{item.external_id} came before its account {item.account_id}.")
                if item.currency != known[item.account_id]:
                    broken(f"{item.external_id} is in {item.currency}, its account not.")
        _require_other_currencies(self)

    @rule(
        "blank-ids",
        why="Records that share an empty or made-up id overwrite each other or come again as new money.",
        mend="Hand an empty id on as it is: the engine puts the record aside and tells the owner. Never make "
        "an id of a position, a counter, a clock or `str(None)`.",
    )
    def test_a_record_without_an_id_is_put_aside(self: Contract) -> None:
        """A record without an id is put aside, or named by its facts each time alike; the others go on."""
        first, second = self.installed(), self.installed()
        for installation in (first, second):
            bank = installation.bank
            oldest = bank.listed()[0]
            account = next(each for each in bank.accounts if each.id == oldest.account)
            for texts, at in BLANKS:
                add(bank, account, bank.listed(account=account.id)[at].booked_at, at=texts, id="")
        before = second.bank.listed()[0]
        account = next(each for each in second.bank.accounts if each.id == before.account)
        earlier = add(second.bank, account, before.booked_at - timedelta(minutes=5))
        for installation in (first, second):
            synced(installation)
            _require_others(installation)
        again = {
            key: row
            for key, row in second.kept.rows.items()
            if row.amount_minor != in_hundredths(earlier.amount)
        }
        require_same(first.kept, Kept(rows=again), "With one more movement before it")

    @rule(
        "same-ids",
        why="A movement is known by its id: told under another one, it is new money.",
        mend="Use the source's own id; where it has none, make one of what never changes. Python's `hash` "
        "of a text is another one in each process.",
    )
    def test_two_syncs_tell_the_same(self: Contract) -> None:
        """Two first syncs tell the same ids with the same facts."""
        first, second = self.installed(), self.installed()
        synced(first)
        with another_process(self.plugin):
            synced(second)
        require_same(first.kept, second.kept, "In another first sync, as of another process")

    @rule(
        "overlapping-pages",
        why="Sources repeat rows at the border of two pages when something is booked meanwhile.",
        mend="Make no id of a row's place on its page, and count no rows to find the next page's first one.",
        needs_http=True,
    )
    def test_overlapping_pages_double_nothing(self: Contract) -> None:
        """Where each page repeats the last rows of the one before, nothing is doubled and nothing lost."""
        installation = self.installed()
        installation.bank.overlap = REPEATED_ROWS
        synced(installation)
        require_complete(installation, f"With pages that repeat {REPEATED_ROWS} rows")

    @rule(
        "late-arrivals",
        why="Banks book with the date of yesterday, and several movements in one second.",
        mend="Begin the next sync some days before the last one ended, and never ask for what is strictly "
        "later than the newest: what is told twice is stored once. A cursor is never later than `ctx.today`.",
    )
    def test_what_arrives_late_is_read_by_the_next_sync(self: Contract) -> None:
        """A movement that appears after a sync with the same or an earlier time is read by the next one."""
        installation = self.installed()
        synced(installation)
        arrive_late(installation.bank)
        synced(installation)
        require_complete(installation, "After movements arrived late")
        arrive_late(installation.bank)
        installation.bank.today += timedelta(days=1)
        synced(installation)
        require_complete(installation, "After movements arrived late, a day later")
        _require_today_beside_the_future(self.installed())

    @rule(
        "inserted-while-paging",
        why="Money arrives while pages are fetched, and all rows behind it move.",
        mend="Overlap the next sync far enough that a row which slipped past a page is read then.",
        needs_http=True,
    )
    def test_a_movement_inserted_while_paging_is_not_lost(self: Contract) -> None:
        """A movement that appears between two pages is neither lost nor doubled after the next sync."""
        for number in FIRST_REQUESTS:
            installation = self.installed()
            _insert_after(installation.bank, number)
            outcome = synced(installation)
            installation.bank.after_answer = None
            synced(installation)
            require_complete(installation, f"After a movement appeared behind answer {number}")
            if len(outcome.requests) < number:
                return

    @rule(
        "empty",
        why="A new account has no movements, and a quiet week brings none.",
        mend="Let an empty list be a success, and keep the cursor as it was where nothing is newest.",
    )
    def test_no_movements_are_a_success(self: Contract) -> None:
        """A source without movements is a success, and what comes later is read."""
        installation = self.installed(filled=False)
        synced(installation)
        account = installation.bank.accounts[0]
        add(installation.bank, account, installation.bank.now - timedelta(hours=2))
        installation.bank.today += timedelta(days=1)
        synced(installation)
        require_complete(installation, "After the first movement of an empty account")

    @rule(
        "second-sync",
        why="A cursor that goes back reads everything again; new ids for old movements double them.",
        mend="Never set the cursor to less than it was, also where nothing was found or newest came first.",
    )
    def test_a_second_sync_changes_nothing(self: Contract) -> None:
        """A sync that finds nothing new stores nothing, renames nothing and leaves the cursor no earlier."""
        installation = self.installed()
        synced(installation)
        before = installation.kept.copy()
        synced(installation)
        require_same(before, installation.kept, "After a second sync that found nothing new")
        if where := backwards(before.cursor, installation.kept.cursor):
            broken(f"The cursor went back: {where}.")
        require_complete(installation, "After a second sync")

    @rule(
        "small-cursor",
        why="The cursor is stored with every batch, in the clear, and shown to the owner.",
        mend="Keep a day, a moment or an id in it; never the ids of everything read, and no credential.",
    )
    def test_the_cursor_is_small_and_json(self: Contract) -> None:
        """Every cursor is a JSON object smaller than 64 KB."""
        outcome = synced(self.installed())
        rows = sum(isinstance(item, Transaction) for item in outcome.items)
        for cursor in outcome.cursors:
            try:
                text = json.dumps(dict(cursor), allow_nan=False)
            except (TypeError, ValueError) as error:
                broken(f"The cursor is no JSON: {error}")
            if len(text) > LONGEST_CURSOR_BYTES or len(text) > 500 + 20 * rows:
                broken(f"The cursor has {len(text)} characters after {rows} movements.")

    @rule(
        "pending",
        why="A pending movement settles nothing; booked, it must not be there a second time.",
        mend='Tell it with status="pending", and when it is gone or has another id, yield Gone.',
    )
    def test_a_pending_movement_is_booked_once(self: Contract) -> None:
        """A pending movement is told as pending or not at all; once booked, it is there once."""
        installation = self.installed()
        bank = installation.bank
        waiting = add(bank, bank.accounts[0], bank.now - timedelta(hours=3), pending=True)
        synced(installation)
        require_complete(installation, "With one more movement that is pending")
        bank.movements.remove(waiting)
        add(bank, bank.accounts[0], bank.now - timedelta(hours=2), id=waiting.id)
        synced(installation)
        require_complete(installation, "After a pending movement was booked")
        if any(row.status == "pending" for row in installation.kept.rows.values()):
            broken("The pending movement is still there after it was booked.")

    @rule(
        "hosts",
        why="A plugin sends requests only to hosts that it declares and to addresses that the owner entered.",
        mend="List the source's hosts in `hosts`, and ask them by https.",
        needs_http=True,
    )
    def test_it_asks_only_the_hosts_that_it_declares(self: Contract) -> None:
        """Every request goes to a declared host, or to an address in the settings, within `max_requests`."""
        installation = self.installed()
        for outcome in (installation.check(), installation.sync()):
            if isinstance(outcome.error, Misconfigured):
                broken(str(outcome.error))
            if not outcome.requests:
                broken("No request was sent: tell the kit with `reads_http = False`.")

    @rule(
        "no-pauses",
        why="A plugin that sleeps holds a worker, and nobody can cancel it.",
        mend="Raise RateLimited with the time to wait, and give a limit of the source as a Gate.",
    )
    def test_it_never_sleeps(self: Contract) -> None:
        """It never sleeps."""
        installation = self.installed()
        installation.bank.fault = installation.bank.slowed
        throttled = installation.sync()
        installation.bank.fault = None
        for outcome in (throttled, installation.check(), installation.sync()):
            _require_awake(outcome)


def _require_awake(outcome: Outcome) -> None:
    if outcome.slept_seconds:
        broken(f"It slept {outcome.slept_seconds[0]:g} seconds.")


def _require_sum(payout: Payout) -> None:
    """Require that what arrives is what was paid less what was kept, all of it exact."""
    net = _exact(payout.net, payout.currency)
    lines = [_exact(line.gross, payout.currency) - _exact(line.fee, payout.currency) for line in payout.lines]
    if net != sum(lines):
        broken(f"The payout {payout.external_id} is of {net} hundredths, its lines make {sum(lines)}.")


def _exact(amount: Decimal | int | str, currency: str) -> int:
    try:
        return Money.of(amount, currency).minor
    except MoneyError as error:
        broken(f"A payout cannot be read: {error}")


def _require_days(bank: PretendBank, kept: Kept, zone: str) -> None:
    days = defaultdict(set)
    for item in booked(bank):
        days[in_hundredths(item.amount)].add(item.booked_on)
    for row in kept.rows.values():
        known = days[abs(row.amount_minor)] | days[-abs(row.amount_minor)]
        if known and row.booked_on not in known:
            broken(
                f"On a machine in {zone}, {row.external_id} was told of {row.booked_on}; the bank says "
                f"{min(known)}."
            )


def _require_others(installation: Installation) -> None:
    """Require that every record with an id is stored, and that those without do not stand for each other."""
    kept = installation.kept
    if kept.conflicts:
        broken(f"Records without an id share one: {kept.conflicts[0]}.")
    bank = installation.bank
    stored = {row.amount_minor for row in kept.rows.values()}
    blank = [item for item in bank.movements if not item.id]
    for item in bank.movements:
        if item.id and in_hundredths(item.amount) not in stored:
            broken(f"The movement {item.id} is missing because of others without an id.")
    told = [item for item in blank if in_hundredths(item.amount) in stored]
    if told and len(told) != len(blank):
        broken("Of two records without an id, one is stored and one is lost.")
    if not told and not kept.put_aside and all(_answered(bank, _digits(item.amount)) for item in blank):
        broken("The records without an id are gone without a word: they are money that nobody hears of.")


def _require_shorter_pages(contract: Contract) -> None:
    """Require that a page which holds less than others is not taken for the last one."""
    installation = contract.installed()
    bank = installation.bank
    if bank.full_pages or bank.page_size == 1:
        return
    bank.page_size -= 1
    synced(installation)
    require_complete(
        installation,
        f"With pages of {bank.page_size} rows instead of {bank.page_size + 1} (where the source promises "
        "that only its last page is shorter, set `full_pages = True` in its pretend bank)",
    )


def _require_clues(installation: Installation) -> None:
    """Require that the symbol and the name which find an invoice are told, where the bank says them."""
    rows = installation.kept.rows.values()
    told = " ".join(
        f"{row.variable_symbol} {row.counterparty_name} {row.message} {row.reference}" for row in rows
    )
    for clue in CLUES:
        if clue not in told and _answered(installation.bank, re.escape(clue)):
            broken(f"The bank says {clue!r}, and no movement has it: neither as a symbol nor in a text.")


def _require_other_currencies(contract: Contract) -> None:
    """Require that accounts are told in their own currency, where the bank says which one that is."""
    installation = contract.installed(other_currencies=True)
    outcome = installation.sync()
    if not _answered(installation.bank, r"\bEUR\b"):
        return
    if outcome.error is not None:
        broken(f"With accounts in EUR, the sync failed: {described(outcome.error)}")
    require_complete(installation, "With accounts in EUR")


def _require_today_beside_the_future(installation: Installation) -> None:
    """Require that a movement dated into the future does not carry the cursor past those of today."""
    bank = installation.bank
    if not bank.dates_ahead:
        return
    for account in bank.accounts:
        add(bank, account, bank.now + FUTURE)
    synced(installation)
    bank.today += timedelta(days=1)
    today = [add(bank, account, bank.now - timedelta(hours=1)) for account in bank.accounts]
    synced(installation)
    stored = {row.amount_minor for row in installation.kept.rows.values()}
    if any(in_hundredths(item.amount) not in stored for item in today):
        broken("After a movement dated into the future, one of the next day is missing.")


def _answered(bank: PretendBank, pattern: str) -> bool:
    """Whether the pattern stands in anything that the bank has answered."""
    return any(re.search(pattern, answer.text, re.IGNORECASE) for answer in bank.answers)


def _digits(amount: Decimal) -> str:
    """Return a pattern of the amount, however its digits are grouped and its fraction is cut off."""
    return rf"(?<!\d){r'\D?'.join(str(abs(in_hundredths(amount))))}(?!\d)"


def _insert_after(bank: PretendBank, number: int) -> None:
    def insert(answers: int) -> None:
        if answers == number:
            arrive_late(bank)

    bank.after_answer = insert


def _wrongly_decoded(text: str) -> Iterator[str]:
    """What the text becomes where its UTF-8 bytes are read in an older encoding."""
    if text.isascii():
        return
    for encoding in ("latin-1", "cp1250", "cp1252", "ascii"):
        yield text.encode().decode(encoding, "replace")


@contextlib.contextmanager
def _machine_in(zone: str) -> Iterator[None]:
    """Let the machine's clock be in another time zone, where the system can tell it so."""
    before = os.environ.get("TZ")
    try:
        _set_zone(zone)
        yield
    finally:
        _set_zone(before)


def _set_zone(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    if hasattr(time, "tzset"):
        time.tzset()
