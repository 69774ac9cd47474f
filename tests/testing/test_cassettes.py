"""A cassette holds what a source said and none of the secrets, and answers a test from that."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from kvit.kernel.errors import NotRecorded
from kvit.plugin import Checkpoint, Secret, Transaction
from kvit.sync.configuring import read_values
from kvit.sync.opening import client_for
from kvit.testing import InProcess
from kvit.testing.bank import TODAY
from kvit.testing.cassettes import Cassette, Recording, SecretLeft
from kvit.testing.filling import fill
from kvit.testing.running import Told
from tests.testing.buk import Buk, BukConfig
from tests.testing.buk_bank import BukBank

SECRET = "Tok/en+1é?="
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": lambda text: str(httpx.QueryParams({"t": text})),
    "as JSON": json.dumps,
    "as base64": lambda text: base64.b64encode(text.encode()).decode(),
}
HIDDEN: dict[str, Callable[[str], str]] = {
    "as hexadecimal digits": lambda text: text.encode().hex(),
    "in basic authentication": lambda text: base64.b64encode(b"eva:" + text.encode()).decode(),
    "in other basic authentication": lambda text: base64.b64encode(b"user:" + text.encode() + b"x").decode(),
    "in base64 for addresses": lambda text: base64.urlsafe_b64encode(b"e" + text.encode()).decode(),
    "backwards": lambda text: text[::-1],
}


def recorded(body: bytes, *, url: str = "https://api.buk.example/", secret: str = SECRET) -> Recording:
    recording = Recording([Secret(secret)], today=TODAY)
    recording.keep(httpx.Request("GET", url), httpx.Response(200, content=body))
    return recording


def saved(recording: Recording, folder: Path) -> str:
    recording.save(folder / "cassette.json")
    return (folder / "cassette.json").read_text(encoding="utf-8")


def test_a_plugin_reads_from_a_cassette_what_it_read_from_the_bank(tmp_path: Path) -> None:
    bank = BukBank()
    fill(bank)
    values = read_values(Buk, {"token": bank.secret})
    recording = Recording(values.credentials.values(), today=bank.today)
    with client_for(Buk, values, transport=InProcess(bank), recorder=recording) as http:
        first = list(Buk(BukConfig(token=Secret(bank.secret)), http).sync(Told({}, bank.today, (), [])))
    text = saved(recording, tmp_path)

    cassette = Cassette(tmp_path / "cassette.json")
    with client_for(Buk, values, transport=cassette) as http:
        again = list(Buk(BukConfig(token=Secret("another")), http).sync(Told({}, cassette.today, (), [])))

    assert again == first
    assert sum(isinstance(item, Transaction) for item in again) > 2 * bank.page_size
    assert isinstance(again[-1], Checkpoint)
    assert bank.secret not in text
    assert "Žluťoučký kůň" in text


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_that_was_sent_back_is_masked_in_every_form(tmp_path: Path, form: str) -> None:
    written = FORMS[form](SECRET)
    recording = Recording([Secret(SECRET)], today=TODAY)
    recording.keep(
        httpx.Request("GET", "https://api.buk.example/", params={"token": SECRET}),
        httpx.Response(302, headers={b"Location": f"/?{written}".encode()}, text=f"token {written}"),
    )

    text = saved(recording, tmp_path)

    assert "***" in json.loads(text)["answers"][0]["text"]
    assert "***" in json.loads(text)["answers"][0]["url"]
    assert "***" in dict(json.loads(text)["answers"][0]["headers"])["location"]
    assert written.strip('"') not in text


@pytest.mark.parametrize("form", HIDDEN)
def test_a_secret_in_a_form_that_cannot_be_masked_is_not_recorded(form: str) -> None:
    with pytest.raises(SecretLeft) as refused:
        recorded(f"about {HIDDEN[form](SECRET)}, it is said".encode())

    assert SECRET not in str(refused.value)


def test_a_secret_too_short_to_be_masked_is_not_recorded() -> None:
    with pytest.raises(SecretLeft):
        recorded(b"the pin is 421", secret="421")


def test_a_secret_among_bytes_is_not_recorded() -> None:
    with pytest.raises(SecretLeft):
        recorded(b"\xff\xfe" + b"token-of-bytes", secret="token-of-bytes")


def test_tokens_that_the_source_makes_are_masked(tmp_path: Path) -> None:
    body = b'{"access_token": "eyJhbGciOi", "refresh_token":"r-1", "expires_in": 3600}'

    text = saved(recorded(body), tmp_path)

    assert json.loads(json.loads(text)["answers"][0]["text"]) == {
        "access_token": "***",
        "refresh_token": "***",
        "expires_in": 3600,
    }


def test_bytes_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    saved(recorded(b"\x00\xff\xfe%PDF"), tmp_path)

    with httpx.Client(transport=Cassette(tmp_path / "cassette.json")) as client:
        assert client.get("https://api.buk.example/").content == b"\x00\xff\xfe%PDF"


def test_one_request_is_answered_in_order_and_the_last_answer_again(tmp_path: Path) -> None:
    recording = Recording([], today=TODAY)
    for text in ("waiting", "ready"):
        recording.keep(httpx.Request("GET", "https://api.buk.example/"), httpx.Response(200, text=text))
    saved(recording, tmp_path)

    with httpx.Client(transport=Cassette(tmp_path / "cassette.json")) as client:
        told = [client.get("https://api.buk.example/").text for _ in range(3)]

    assert told == ["waiting", "ready", "ready"]


def test_what_was_not_recorded_is_said_by_its_address_without_the_secret(tmp_path: Path) -> None:
    saved(recorded(b"{}"), tmp_path)
    cassette = Cassette(tmp_path / "cassette.json", [Secret(SECRET)])

    with httpx.Client(transport=cassette) as client, pytest.raises(NotRecorded) as missing:
        client.get("https://api.buk.example/accounts", params={"token": SECRET})

    assert "GET https://api.buk.example/accounts?token=***" in str(missing.value)


def test_a_file_that_is_no_cassette_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"format": 7}')

    with pytest.raises(ValueError, match="not a cassette"):
        Cassette(tmp_path / "other.json")
