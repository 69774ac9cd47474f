"""The plugin of Enable Banking: consent at the bank's pages, then a few readings a day.

A bank lets each account be read about four times a day, so a sync asks for each account's movements and
balance once, and a fault at one account does not make the others be read again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from kvit.plugin import (
    AuthExpired,
    Checkpoint,
    Consent,
    ConsentAnswer,
    ConsentRequest,
    Context,
    Grant,
    Identity,
    Item,
    Misconfigured,
    Plugin,
    PluginError,
    RateLimited,
    Secret,
    Temporary,
    field,
)
from kvit.plugins.enable_banking import accounts, banks, reading
from kvit.plugins.enable_banking.accounts import OwnAccount
from kvit.plugins.enable_banking.application import Application
from kvit.plugins.enable_banking.client import AccountGone, DailyLimit, EnableBankingClient, PeriodRefused
from kvit.plugins.enable_banking.cursor import Cursor
from kvit.plugins.enable_banking.reading import Period

READS_A_DAY: Final = 3
"""After so many readings in a day an account waits while another one is tried again."""
ALWAYS_GIVEN_DAYS: Final = 88
"""Every bank gives about 90 days; some count them so that the ninetieth is refused."""
AUTHORIZED: Final = "AUTHORIZED"


@dataclass(frozen=True, kw_only=True)
class EnableBankingConfig:
    application_id: str = field(
        "Application ID",
        help="Enable Banking → Control Panel → API applications. The downloaded key file is named by it.",
        pattern=r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    )
    private_key: Secret = field(
        "Private key",
        help="The whole content of the .pem file that you got when you registered the application.",
    )
    country: str = field(
        "Country of the bank",
        help="Two letters, such as SK. Enable Banking does not serve residents of the Czech Republic itself.",
        pattern=r"[A-Za-z]{2}",
    )
    bank: str = field(
        "Bank", help="As Enable Banking calls it. Where the name is another one, similar names are offered."
    )
    psu_type: str = field(
        "Kind of internet banking",
        help="business for a company's accounts, personal for a person's.",
        default="business",
        choices=("business", "personal"),
    )
    days_back: int = field(
        "Days of history to read",
        help="More than 88 days are given by some banks only, and only soon after access was granted.",
        default=ALWAYS_GIVEN_DAYS,
        min=1,
        max=730,
    )
    base_url: str = field("Address of the API", default="https://api.enablebanking.com")


class EnableBanking(Consent, Plugin[EnableBankingConfig]):
    name, title, version, Config = "enable_banking", "Enable Banking", "1.0", EnableBankingConfig
    description = "Accounts at most banks of Europe, with your consent at the bank's own pages (PSD2)."
    schedule = "0 6,12,18 * * *"
    hosts = ("api.enablebanking.com",)
    guide = (
        "Sign up at enablebanking.com and open Control Panel → API applications.",
        "Register an application for production and let the page make the private key.",
        "Keep the .pem file that is downloaded then. Its name is the application's ID.",
        "Add the address that this Kvit shows for granting access to the application's redirect URLs.",
        "Activate the application by linking your own accounts. That is free for a person's own use.",
        "A business signs a contract with Enable Banking to use it for more than a trial.",
        "Enter the ID, the content of the .pem file and the name of the bank here.",
        "Grant access at the bank's pages. It lasts 90 to 180 days, as the bank decides.",
    )

    def check(self) -> Identity:
        """Ask the provider, not the bank, whether the granted access still works."""
        session_id, _ = accounts.from_secrets(self.grants.current().secrets)
        session = self._client().session(session_id)
        if session.get("status") != AUTHORIZED:
            raise AuthExpired(
                "The access to the bank has ended or was revoked ({status}). Grant access again.",
                status=str(session.get("status") or "no status")[:40],
            )
        bank, country = self._bank_of(session)
        return Identity(key=f"{country}/{bank}/{self.config.psu_type}", label=bank)

    def consent_url(self, request: ConsentRequest) -> str:
        config, client = self.config, self._client()
        country = config.country.upper()
        bank = banks.chosen(client.banks(country, config.psu_type), config.bank, country)
        until = banks.valid_until(bank, datetime.now(UTC))
        return client.start(
            {
                "access": {"valid_until": until.isoformat(), "balances": True, "transactions": True},
                "aspsp": {"name": str(bank["name"]), "country": country},
                "state": request.state,
                "redirect_url": request.return_url,
                "psu_type": config.psu_type,
            },
            request.return_url,
        )

    def granted(self, answer: ConsentAnswer) -> Grant:
        code = answer.params.get("code", "")
        if not code:
            raise AuthExpired("Access was not granted at the bank. Start again when you want to connect.")
        session = self._client().open_session(code)
        session_id = session.get("session_id")
        if not isinstance(session_id, str) or not session_id:
            raise Temporary("Enable Banking opened no session. Grant access again.")
        own = accounts.accounts_of(session)
        if not own:
            raise AuthExpired("No account was opened to Kvit. Grant access again and choose the accounts.")
        return Grant(secrets=accounts.as_secrets(session_id, own), ends_on=_ends_on(session))

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Read each account once, from the last reading with an overlap to now.

        What goes wrong at one account is raised when the others are read: first what a person must do, then
        a passing fault, then the bank's daily limit.
        """
        cursor = Cursor.of(ctx.cursor)
        client = self._client()
        _, own = accounts.from_secrets(self.grants.current().secrets)
        failed: dict[str, PluginError] = {}
        for account in own:
            if _waits(ctx, cursor, account):
                continue
            try:
                yield from self._read(ctx, cursor, client, account)
            except (AccountGone, DailyLimit, Temporary, PeriodRefused) as error:
                failed[account.key] = error
                ctx.warn(f"{account.name}: {error}")
            yield Checkpoint(cursor.as_json())
        cursor.owed = frozenset(failed)
        yield Checkpoint(cursor.as_json())
        _raise_worst(list(failed.values()))

    def _read(
        self, ctx: Context, cursor: Cursor, client: EnableBankingClient, account: OwnAccount
    ) -> Iterator[Item]:
        """Yield an account with all that it holds; nothing before its last page was read.

        Movements come without a balance where the bank does not tell it; RateLimited about it comes last.
        """
        states = cursor.states_of(account)
        period = Period.of(list(states.values()), today=ctx.today, days_back=self.config.days_back)
        told = reading.by_currency(account, states, _pages(ctx, client, account, period))
        balances, limit = _balances(ctx, client, account)
        for currency, records in told.items():
            balance = reading.booked_balance(balances, currency)
            yield from reading.items(ctx, cursor, account, currency, records, period=period, balance=balance)
        if limit is not None:
            raise limit

    def _client(self) -> EnableBankingClient:
        config = self.config
        return EnableBankingClient(
            self.http,
            base_url=config.base_url,
            application=Application(config.application_id, config.private_key),
        )

    def _bank_of(self, session: Mapping[str, Any]) -> tuple[str, str]:
        """Return name and country as the provider writes them, else as the owner did."""
        told = session.get("aspsp")
        told = told if isinstance(told, dict) else {}
        return str(told.get("name") or self.config.bank), str(
            told.get("country") or self.config.country
        ).upper()


def _pages(
    ctx: Context, client: EnableBankingClient, account: OwnAccount, period: Period
) -> list[list[Mapping[str, Any]]]:
    """Return the pages of a period; where the bank does not give days that old, those that it gives."""
    asked = {"date_from": period.asked_from.isoformat()}
    longest = {**asked, "strategy": "longest"}
    if period.since < ctx.today - timedelta(days=ALWAYS_GIVEN_DAYS):
        pages = list(client.transactions(account.uid, longest))
    else:
        try:
            return list(client.transactions(account.uid, asked))
        except PeriodRefused:
            pages = list(client.transactions(account.uid, longest))
    ctx.warn(
        f"{account.name}: the bank may not give all movements since {period.since}. Where its statement "
        "of those days holds more than Kvit, upload the statement."
    )
    return pages


def _balances(
    ctx: Context, client: EnableBankingClient, account: OwnAccount
) -> tuple[list[Mapping[str, Any]], RateLimited | None]:
    try:
        return client.balances(account.uid), None
    except RateLimited as limit:
        return [], limit
    except (Temporary, Misconfigured) as error:
        ctx.log(f"{account.name}: no balance. {error}")
        return [], None


def _waits(ctx: Context, cursor: Cursor, account: OwnAccount) -> bool:
    """Whether an account has had its readings of the day while another one is tried again."""
    states = cursor.states_of(account).values()
    return (
        bool(cursor.owed)
        and account.key not in cursor.owed
        and any(state.read_through == ctx.today and state.reads_today >= READS_A_DAY for state in states)
    )


def _raise_worst(failed: Sequence[PluginError]) -> None:
    for kind in (AccountGone, PeriodRefused, Temporary, DailyLimit):
        for error in failed:
            if isinstance(error, kind):
                raise _of_the_contract(error)


def _of_the_contract(error: PluginError) -> PluginError:
    """Return the error as one of the contract's own classes, by which it is stored and shown."""
    if isinstance(error, DailyLimit):
        return RateLimited(error.retry_after, error.message, **error.params)
    if isinstance(error, AccountGone):
        return AuthExpired(error.message, **error.params)
    if isinstance(error, PeriodRefused):
        return Misconfigured(error.message, field=error.field, **error.params)
    return error


def _ends_on(session: Mapping[str, Any]) -> date | None:
    """Return the last day (UTC) of the session, where the provider says it."""
    access = session.get("access")
    text = access.get("valid_until") if isinstance(access, dict) else None
    try:
        return (datetime.fromisoformat(str(text)) - timedelta(seconds=1)).astimezone(UTC).date()
    except (ValueError, OverflowError):
        return None
