"""Whatever a token endpoint answers: it is read as a grant, or refused without a word of it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from kvit.kernel.errors import (
    AuthExpired,
    KvitError,
    Misconfigured,
    PluginCrashed,
    RateLimited,
    Temporary,
)
from kvit.plugin import ConsentAnswer, Grant, Secret
from kvit.sync.configuring import Values
from kvit.sync.grants import LARGEST_ANSWER_BYTES, sound
from kvit.sync.opening import crashes_named, opened
from tests.sync.consenting import Granted

TOKEN, REFRESH = "access-token-of-the-tests", "refresh-token-of-the-tests"
TOLD = {"access_token": TOKEN, "token_type": "Bearer", "refresh_token": REFRESH}


def exchanged(response: httpx.Response, refreshed: Grant | None = None) -> Grant:
    """Ask a token endpoint that answers this, for a first grant or a next one."""
    values = Values(
        {"base_url": "https://oauth.example", "client_id": "kvit"}, {"client_secret": Secret("its-secret")}
    )
    transport = httpx.MockTransport(lambda _request: response)
    with (
        crashes_named(),
        opened(Granted, values, transport=transport, largest_answer_bytes=LARGEST_ANSWER_BYTES) as plugin,
    ):
        assert isinstance(plugin, Granted)
        if refreshed is not None:
            return plugin.refreshed(refreshed)
        answer = ConsentAnswer(
            params={"code": "c0de"}, return_url="https://kvit.example/", code_verifier=Secret("v" * 43)
        )
        return plugin.granted(answer)


def granted(**told: Any) -> Grant:
    return exchanged(told_as_json({**TOLD, **told}))


def told_as_json(told: dict[str, Any]) -> httpx.Response:
    """JSON in ASCII, so that it can also hold half a character."""
    return httpx.Response(200, content=json.dumps(told).encode())


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3540),
        ("3600", 3540),
        (3600.0, 3540),
        (120, 60),
        (30, 15),
        (0, None),
        (-3600, None),
        (None, None),
        ("soon", None),
        ("", None),
        (True, None),
        ([1], None),
        (10**12, None),
        (10**30, None),
        ("9" * 6000, None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_token_is_renewed_before_its_end_and_never_at_every_request(
    expires_in: object, seconds: int | None
) -> None:
    now = datetime.now(UTC)
    renew_at = granted(expires_in=expires_in).renew_at
    if seconds is None:
        assert renew_at is None
    else:
        assert renew_at is not None
        assert timedelta(0) <= renew_at - now - timedelta(seconds=seconds) < timedelta(seconds=5)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", " bearer ", ""])
def test_bearer_is_bearer_however_it_is_written(kind: str) -> None:
    assert granted(token_type=kind).secrets["access_token"].reveal() == TOKEN


@pytest.mark.parametrize("kind", ["mac", "DPoP", "N_A", None, 1])
def test_a_token_of_another_kind_is_not_used(kind: object) -> None:
    with pytest.raises(Misconfigured, match="uses Bearer tokens"):
        granted(token_type=kind)


@pytest.mark.parametrize("token", ["", " ", None, 7, "a\r\nX-Evil: 1", "a\0", "žeton", "a\ud800", [TOKEN]])
def test_a_token_that_no_header_can_carry_is_none(token: object) -> None:
    with pytest.raises(Temporary, match="holds no access token"):
        granted(access_token=token)


@pytest.mark.parametrize(
    "told", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "a\ud800"}]
)
def test_a_refresh_token_that_is_not_told_anew_goes_on(told: dict[str, Any]) -> None:
    old = Grant(secrets={"access_token": Secret("old"), "refresh_token": Secret("kept")})
    answer = {"access_token": TOKEN, "token_type": "Bearer", **told}
    new = exchanged(told_as_json(answer), old)
    assert {name: secret.reveal() for name, secret in new.secrets.items()} == {
        "access_token": TOKEN,
        "refresh_token": "kept",
    }


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(302, headers={"Location": "https://elsewhere.example/token"}, json=TOLD),
        httpx.Response(200, text=f"access_token={TOKEN}&refresh_token={REFRESH}"),
        httpx.Response(200, json=[TOLD]),
        httpx.Response(200, text="[" * 200_000),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, json={**TOLD, "access_token": "", "padding": TOKEN}),
        httpx.Response(200, content=b" " * (LARGEST_ANSWER_BYTES + 1)),
        httpx.Response(429, headers={"Retry-After": "7"}, json=TOLD),
        httpx.Response(500, text=f"{TOKEN} {REFRESH}"),
        httpx.Response(400, json={"error": "invalid_grant", "error_description": TOKEN}),
    ],
)
def test_any_other_answer_is_refused_and_told_to_nobody(
    response: httpx.Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KvitError) as refused:
        exchanged(response)
    assert not isinstance(refused.value, PluginCrashed)
    said = f"{caplog.text}{refused.value!r}{refused.value}{refused.value.params}"
    assert not [secret for secret in (TOKEN, REFRESH, "c0de", "its-secret") if secret in said]


@pytest.mark.parametrize(
    "grant",
    [
        None,
        {"access_token": TOKEN},
        Grant(secrets={"access_token": TOKEN}),  # type: ignore[dict-item]  # is the point
        Grant(secrets={"access_token": Secret("a\ud800")}),
        Grant(secrets=None),  # type: ignore[arg-type]  # is the point
        Grant(secrets={}, renew_at=datetime(2026, 11, 2)),  # noqa: DTZ001  # is the point
        Grant(secrets={}, ends_on=datetime(2026, 11, 2, tzinfo=UTC)),
    ],
)
def test_what_is_no_grant_is_never_kept(grant: object) -> None:
    with pytest.raises(PluginCrashed, match=r"TypeError|UnicodeEncodeError"), crashes_named():
        sound(grant)


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client"])
@pytest.mark.parametrize("status", [400, 401])
def test_a_client_that_is_not_known_ends_no_access(code: str, status: int) -> None:
    grant = Grant(secrets={"access_token": Secret(TOKEN), "refresh_token": Secret(REFRESH)})
    with pytest.raises(Misconfigured, match="does not know this client"):
        exchanged(httpx.Response(status, json={"error": code}), grant)


@pytest.mark.parametrize("body", ['{"error": "invalid_grant"}', '{"error": 7}', "[]", "no"])
def test_any_other_refusal_ends_the_access(body: str) -> None:
    grant = Grant(secrets={"access_token": Secret(TOKEN), "refresh_token": Secret(REFRESH)})
    with pytest.raises(AuthExpired):
        exchanged(httpx.Response(400, content=body.encode()), grant)


def test_a_busy_token_endpoint_is_waited_for() -> None:
    with pytest.raises(RateLimited):
        exchanged(httpx.Response(429))
