"""The way to a consent: the application's key, the bank's name, the answer, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kvit.plugin import (
    AuthExpired,
    ConsentAnswer,
    ConsentRequest,
    Grant,
    Grants,
    Misconfigured,
    PluginError,
    RateLimited,
    Secret,
    Temporary,
)
from kvit.plugins.enable_banking import EnableBanking
from kvit.plugins.enable_banking.accounts import OwnAccount, accounts_of, from_secrets
from kvit.plugins.enable_banking.application import Application, read_key
from kvit.sync.configuring import make_config, read_values
from kvit.sync.egress import Egress
from kvit.sync.http import HttpClient
from kvit.sync.redaction import Redactor
from kvit.testing import PretendAccount
from kvit.testing.bank import InProcess
from tests.plugins.enable_banking.pretend_enable_banking import (
    APPLICATION,
    CODE,
    KEY,
    PEM,
    REDIRECT,
    EnableBankingServer,
    TwoAccounts,
    grant_of,
    problem,
    settings_for,
)

TODAY = date(2026, 4, 2)


class Held(Grants):
    """The grant of a connection, as the engine hands it to a plugin."""

    def __init__(self, grant: Grant | None) -> None:
        self._grant = grant

    def current(self) -> Grant:
        if self._grant is None:
            raise AuthExpired
        return self._grant

    def renewed(self, refused: Grant) -> Grant:
        raise AuthExpired


@contextmanager
def connected(
    server: EnableBankingServer, grant: Grant | None = None, **settings: str
) -> Iterator[EnableBanking]:
    values = read_values(EnableBanking, settings_for(server.address, **settings))
    http = HttpClient(
        redactor=Redactor(values.credentials.values()),
        egress=Egress.of(EnableBanking, values),
        turnstile=None,
        before_request=lambda: None,
        transport=InProcess(server),
        tries=1,
    )
    try:
        plugin = EnableBanking(make_config(EnableBanking, values), http)
        plugin.grants = Held(grant)
        yield plugin
    finally:
        http.close()


def request(return_url: str = REDIRECT) -> ConsentRequest:
    return ConsentRequest(return_url=return_url, state="state-1", code_challenge="unused", today=TODAY)


def answer(**params: str) -> ConsentAnswer:
    return ConsentAnswer(params=params, return_url=REDIRECT, code_verifier=Secret("unused"))


def pem(**options: Any) -> str:
    told = {"encoding": Encoding.PEM, "format": PrivateFormat.PKCS8, "encryption_algorithm": NoEncryption()}
    return KEY.private_bytes(**{**told, **options}).decode()


# The application's key


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace("\n", ""),
        PEM.replace("\n", " "),
        PEM.replace("\n", "\r\n"),
        PEM.replace("\n", "\\n"),
        f"  {PEM}  ",
        pem(format=PrivateFormat.TraditionalOpenSSL).replace("\n", ""),
    ],
    ids=["as-it-is", "no-breaks", "spaces", "windows", "written-breaks", "around", "pkcs1"],
)
def test_a_key_is_read_also_where_a_field_of_one_line_took_its_breaks(text: str) -> None:
    assert read_key(Secret(text)).private_numbers() == KEY.private_numbers()


ELLIPTIC = elliptic_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        APPLICATION,
        PEM[: len(PEM) // 2],
        PEM.replace("A", "!"),
        PEM[:100] + PEM[160:],
        pem(encryption_algorithm=BestAvailableEncryption(b"heslo")),
        ELLIPTIC,
    ],
    ids=["empty", "the-id", "half", "not-base64", "a-line-missing", "with-password", "not-rsa"],
)
def test_what_is_no_usable_key_is_said_without_showing_it(text: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        read_key(Secret(text))

    assert raised.value.field == "private_key"
    assert text == "" or text[30:60] not in str(raised.value)


def test_each_request_is_signed_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    application = Application(f" {APPLICATION} ", Secret(PEM))
    bank = EnableBankingServer()

    with httpx.Client(transport=InProcess(bank), auth=application) as client:
        url = f"{bank.address}/aspsps?country=CZ"
        assert client.get(url).status_code == 200
        monkeypatch.setattr("kvit.plugins.enable_banking.application.time.time", lambda: 1_700_000_000.0)
        assert client.get(url).status_code == 401


# Towards the bank


def test_the_bank_is_asked_for_as_long_as_it_allows() -> None:
    bank = EnableBankingServer()
    with connected(bank) as plugin:
        url = plugin.consent_url(request())

    assert url == "https://auth.bank.example/start?sessionid=start-1"
    body = bank.asked.body
    until = datetime.fromisoformat(body["access"].pop("valid_until"))
    assert timedelta(days=179, hours=23) < until - datetime.now(UTC) < timedelta(days=180)
    assert body == {
        "access": {"balances": True, "transactions": True},
        "aspsp": {"name": "Česká spořitelna", "country": "CZ"},
        "state": "state-1",
        "redirect_url": REDIRECT,
        "psu_type": "business",
    }


@pytest.mark.parametrize(("name", "days"), [("ČSOB", 90), ("Komerční banka", 90), ("mBank", 180)])
def test_a_bank_that_allows_less_or_says_nothing_is_asked_for_less(name: str, days: int) -> None:
    bank = EnableBankingServer()
    with connected(bank, bank=name) as plugin:
        plugin.consent_url(request())

    until = datetime.fromisoformat(bank.asked.body["access"]["valid_until"])
    assert timedelta(days=days - 1) < until - datetime.now(UTC) < timedelta(days=days)


@pytest.mark.parametrize("name", ["ceska sporitelna", " ČESKÁ SPOŘITELNA ", "Česká  spořitelna"])
def test_a_name_is_found_whatever_its_case_and_accents(name: str) -> None:
    bank = EnableBankingServer()
    with connected(bank, bank=name, country="cz") as plugin:
        plugin.consent_url(request())

    assert bank.asked.body["aspsp"] == {"name": "Česká spořitelna", "country": "CZ"}


@pytest.mark.parametrize(
    ("name", "offered"),
    [("spořitelna", "Česká spořitelna"), ("Komercni bnaka", "Komerční banka"), ("mBank S.A.", "mBank")],
)
def test_an_unknown_name_offers_the_names_near_it(name: str, offered: str) -> None:
    with connected(EnableBankingServer(), bank=name) as plugin, pytest.raises(Misconfigured) as raised:
        plugin.consent_url(request())

    assert raised.value.field == "bank"
    assert offered in str(raised.value)


def test_a_name_like_none_says_where_the_list_is() -> None:
    with connected(EnableBankingServer(), bank="Zzyzx") as plugin, pytest.raises(Misconfigured) as raised:
        plugin.consent_url(request())

    assert "enablebanking.com/open-banking-apis" in str(raised.value)


def test_an_address_that_the_application_does_not_list_is_named() -> None:
    with connected(EnableBankingServer()) as plugin, pytest.raises(Misconfigured) as raised:
        plugin.consent_url(request("https://other.example/answer/"))

    assert "https://other.example/answer/" in str(raised.value)


def test_another_application_is_refused_in_words_about_the_application() -> None:
    other = "11111111-2222-3333-4444-555555555555"
    server = EnableBankingServer()
    with connected(server, application_id=other) as plugin, pytest.raises(AuthExpired) as raised:
        plugin.consent_url(request())

    assert "application" in str(raised.value)


# And back


def test_a_code_becomes_a_grant_that_knows_its_accounts_and_its_end() -> None:
    bank = TwoAccounts()
    with connected(bank) as plugin:
        grant = plugin.granted(answer(code=CODE))

    session_id, accounts = from_secrets(grant.secrets)
    assert session_id in bank.sessions
    assert [(each.currency, each.name, each.number) for each in accounts] == [
        ("CZK", "Provozní účet", "CZ6508000000192000145399"),
        ("CZK", "Spořicí účet", "CZ9455000000001011038930"),
    ]
    assert grant.ends_on == date(2026, 9, 29)
    assert grant.renew_at is None
    told = repr(grant) + "".join(f"{secret}" for secret in grant.secrets.values())
    assert not any(account.uid in told for account in accounts)


@pytest.mark.parametrize(
    ("valid_until", "last_day"),
    [
        ("2026-09-29T10:00:00.123456+00:00", date(2026, 9, 29)),
        ("2026-09-29T00:00:00Z", date(2026, 9, 28)),
        ("2026-09-29T01:00:00+02:00", date(2026, 9, 28)),
        ("never", None),
        ("0001-01-01T00:00:00", None),
    ],
)
def test_the_last_day_of_access_is_the_last_on_which_it_works(
    valid_until: str, last_day: date | None
) -> None:
    bank = EnableBankingServer()
    session = bank.session_answer(bank.consent(valid_until=valid_until))
    bank.fault = lambda _: httpx.Response(200, json=session)
    with connected(bank) as plugin:
        assert plugin.granted(answer(code=CODE)).ends_on == last_day


@pytest.mark.parametrize(
    "params", [{}, {"error": "access_denied", "error_description": "no"}, {"code": "another-code"}]
)
def test_without_a_good_code_nothing_is_granted(params: dict[str, str]) -> None:
    with connected(EnableBankingServer()) as plugin, pytest.raises(AuthExpired):
        plugin.granted(answer(**params))


def test_a_session_without_an_account_that_can_be_read_is_no_grant() -> None:
    bank = EnableBankingServer()
    bank.fault = lambda _: httpx.Response(200, json={"session_id": "1", "accounts": [{"currency": "CZK"}]})
    with connected(bank) as plugin, pytest.raises(AuthExpired, match="choose the accounts"):
        plugin.granted(answer(code=CODE))


def test_the_check_names_the_bank_the_same_after_every_consent() -> None:
    bank = EnableBankingServer()
    keys = set()
    for number in (1, 2):
        with connected(bank, grant_of(bank, bank.consent(number)), bank="ceska sporitelna") as plugin:
            identity = plugin.check()
            keys.add(identity.key)

    assert keys == {"CZ/Česká spořitelna/business"}
    assert identity.label == "Česká spořitelna"


@pytest.mark.parametrize("status", ["EXPIRED", "REVOKED", "CLOSED", "CANCELLED", "INVALID"])
def test_the_check_of_a_session_that_ended_asks_for_access_again(status: str) -> None:
    bank = EnableBankingServer()
    session = bank.consent()
    session.status = status
    grant = grant_of(bank, session)
    with connected(bank, grant) as plugin, pytest.raises(AuthExpired, match="Grant access again"):
        plugin.check()


def test_without_a_grant_the_check_asks_nobody() -> None:
    bank = EnableBankingServer()
    with connected(bank) as plugin, pytest.raises(AuthExpired):
        plugin.check()

    assert bank.requests == []


# Refusals


@pytest.mark.parametrize(
    ("refusal", "expected", "words"),
    [
        (problem(401, "EXPIRED_SESSION"), AuthExpired, "Grant access again"),
        (problem(403, "ACCESS_DENIED"), AuthExpired, "Grant access again"),
        (problem(404, "SESSION_DOES_NOT_EXIST"), AuthExpired, "Grant access again"),
        (httpx.Response(401, json={"message": "Session is revoked"}), AuthExpired, "Grant access again"),
        (httpx.Response(404, json={"message": "Not Found", "code": 404}), AuthExpired, "Grant access again"),
        (httpx.Response(404, text="<html>"), Misconfigured, "404"),
        (problem(401, "UNAUTHORIZED_ACCESS"), AuthExpired, "private key"),
        (httpx.Response(401, text="no"), AuthExpired, "private key"),
        (problem(429, "ASPSP_RATE_LIMIT_EXCEEDED"), RateLimited, "four times a day"),
        (httpx.Response(429), RateLimited, "asks Kvit to wait"),
        (problem(400, "ASPSP_ERROR"), Temporary, "ASPSP_ERROR"),
        (problem(408, "ASPSP_TIMEOUT"), Temporary, "ASPSP_TIMEOUT"),
        (httpx.Response(500), Temporary, "500"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), Temporary, "302"),
        (httpx.Response(200, text="<html>"), Temporary, "cannot be read"),
        (httpx.Response(200, json=[1]), Temporary, "cannot be read"),
        (problem(422, "WRONG_REQUEST_PARAMETERS"), Misconfigured, "WRONG_REQUEST_PARAMETERS"),
    ],
)
def test_every_refusal_says_what_to_do_and_nothing_of_the_banks_inner_words(
    refusal: httpx.Response, expected: type[PluginError], words: str
) -> None:
    bank = EnableBankingServer()
    with connected(bank, grant_of(bank, bank.consent())) as plugin:
        bank.fault = lambda _: refusal
        with pytest.raises(expected) as raised:
            plugin.check()

    assert words in str(raised.value)
    assert "inner words" not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "header", "wait"),
    [
        ("ASPSP_RATE_LIMIT_EXCEEDED", {}, timedelta(hours=6)),
        ("ASPSP_RATE_LIMIT_EXCEEDED", {"Retry-After": "600"}, timedelta(minutes=10)),
        ("ASPSP_RATE_LIMIT_EXCEEDED", {"Retry-After": "999999999999"}, timedelta(days=1)),
        ("TOO_MANY", {"Retry-After": "soon"}, timedelta(minutes=5)),
    ],
)
def test_how_long_to_wait_is_what_is_told_else_what_the_provider_recommends(
    code: str, header: dict[str, str], wait: timedelta
) -> None:
    bank = EnableBankingServer()
    with connected(bank, grant_of(bank, bank.consent())) as plugin:
        bank.fault = lambda _: problem(429, code, **header)
        with pytest.raises(RateLimited) as raised:
            plugin.check()

    assert raised.value.retry_after == wait


# Accounts of a session


def test_accounts_are_named_by_what_stays() -> None:
    iban = PretendAccount(id="1", iban="CZ6508000000192000145399", name="", currency="CZK").iban
    told = [
        {"uid": "u1", "identification_hash": "h1", "currency": "czk", "account_id": {"iban": iban}},
        {"uid": "u2", "identification_hash": "h1", "currency": "EUR", "account_id": {"iban": iban}},
        {"uid": "u3", "identification_hash": "h1", "currency": "CZK"},
        {"uid": "u4", "currency": "CZK", "account_id": {"iban": iban}},
        {"uid": None, "identification_hash": "h5", "currency": "CZK"},
        {"uid": "u6", "currency": "CZK"},
        {"uid": "u7", "identification_hash": "h7", "currency": None, "product": "Konto"},
        "odd",
    ]

    found = accounts_of({"accounts": told})

    crowns, euro, by_number, several = found
    assert (crowns.uid, crowns.currency, euro.uid, euro.currency) == ("u1", "CZK", "u2", "EUR")
    assert crowns.key == euro.key != several.key
    assert by_number.external_id("CZK") == f"{iban}:CZK"
    assert several == OwnAccount(uid="u7", key=several.key, currency="XXX", number="", name="Konto")


def test_an_account_without_a_number_has_an_id_that_fits_where_a_number_stands() -> None:
    long = "WwpbCiJhY2NvdW50IiwKImFjY291bnRfaWQiLAoiaWJhbiIKXQpd." + "E8GzhnkmGEvROv2mrqB3hZyn8b5cQUEB" * 3
    [account] = accounts_of({"accounts": [{"uid": "u1", "identification_hash": long, "currency": "CZK"}]})

    assert len(account.external_id("CZK")) <= 64


@pytest.mark.parametrize("told", [None, {}, "odd", []])
def test_a_session_that_tells_no_list_of_accounts_has_none(told: object) -> None:
    assert accounts_of({"accounts": told}) == []
