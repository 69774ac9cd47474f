from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import httpcore
import httpx
import pytest

from kvit.kernel.errors import Misconfigured
from kvit.plugin import Plugin, Secret, field
from kvit.plugins.fio import Fio
from kvit.sync.configuring import Values
from kvit.sync.egress import Egress, Network, Origin
from tests.banks.fio import FioBank

PUBLIC = "93.184.216.34"
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.7",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.251",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.7",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@dataclass(frozen=True, kw_only=True)
class Config:
    token: Secret = field("Token")
    base_url: str = field("Address", default="https://api.bank.example/v1/")
    other: str = field("Other", default="")


class Bank(Plugin[Config]):
    name, title, version, Config = "bank", "Bank", "1", Config
    hosts: ClassVar = ("api.bank.example", ".files.example", "old.example:8443")
    check = sync = None  # type: ignore[assignment]  # nobody calls it


@dataclass(frozen=True, kw_only=True)
class CarelessConfig:
    base_url: str = field("Address", default="http://10.0.0.1/")


class Careless(Plugin[CarelessConfig]):
    name, title, version, Config = "careless", "Careless", "1", CarelessConfig
    check = sync = None  # type: ignore[assignment]  # nobody calls it


def egress(**settings: str) -> Egress:
    return Egress.of(Bank, Values(settings, {"token": Secret("abcdefgh")}))


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A name server that says one answer after another; it returns the names that were asked for."""
    asked: list[str] = []
    left = list(answers)
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *words: Any, **options: Any) -> list[Any]:
        if host[0].isdigit():
            return list(real(host, port, *words, **options))
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr("kvit.sync.egress.socket.getaddrinfo", look_up)
    return asked


def refused(guard: Egress, url: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        guard.check(httpx.URL(url))
    return str(caught.value)


# Names


@pytest.mark.parametrize(
    "url",
    [
        "https://api.bank.example/v1/list",
        "https://API.BANK.EXAMPLE:443/",
        "https://a.files.example/",
        "https://b.a.files.example/",
        "https://old.example:8443/",
    ],
)
def test_a_plugin_asks_its_own_hosts(url: str) -> None:
    egress().check(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example/",
        "https://api.bank.example.evil.example/",
        "https://evil-api.bank.example/",
        "https://api.bank.example@evil.example/",
        "https://api.bank.example:8443/",
        "https://files.example/",
        "https://evilfiles.example/",
        "https://old.example/",
        "https://127.0.0.1/",
    ],
)
def test_a_plugin_asks_no_other_hosts(url: str) -> None:
    assert "may not send requests" in refused(egress(), url)


def test_a_refusal_says_what_to_do() -> None:
    message = refused(egress(), "https://elsewhere.example/")
    assert "elsewhere.example:443" in message
    assert "`hosts` of the plugin" in message
    assert "settings" in message


def test_a_plugin_does_not_speak_in_the_clear() -> None:
    assert "https:// only" in refused(Egress(("old.example:80",)), "http://old.example/")


def test_an_address_that_the_owner_entered_may_be_asked_and_no_other_of_its_host() -> None:
    guard = egress(base_url="http://192.168.1.9:8001/v1")
    guard.check(httpx.URL("http://192.168.1.9:8001/anything"))
    for url in ("http://192.168.1.9:8002/", "https://192.168.1.9:8001/", "http://192.168.1.8:8001/"):
        refused(guard, url)


def test_a_default_is_the_plugins_own_address_and_not_the_owners() -> None:
    guard = Egress.of(Careless, Values({"base_url": "http://10.0.0.1/"}, {}))
    assert "https:// only" in refused(guard, "http://10.0.0.1/")
    guard = egress(base_url="https://api.bank.example/v1/")
    assert guard.entered == frozenset()
    assert guard.own == {Origin("https", "api.bank.example", 443)}


def test_settings_that_are_no_address_allow_nothing() -> None:
    guard = egress(base_url="api.bank.example", other="http://bank.example:port/")
    assert guard.entered == frozenset()


def test_fio_asks_its_bank_and_nobody_else() -> None:
    guard = Egress.of(Fio, Values({}, {}))
    guard.check(httpx.URL("https://fioapi.fio.cz/v1/rest/"))
    refused(guard, "https://www.fio.cz/")


# Addresses


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_no_public_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolver(monkeypatch, [PUBLIC, address])
    with pytest.raises(Misconfigured, match="not a public address"):
        egress().addresses("api.bank.example", 443)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_a_public_address_is_used(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolver(monkeypatch, [address, address])
    assert egress().addresses("api.bank.example", 443) == [address]


def test_the_owner_may_mean_a_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, ["10.0.0.7"])
    guard = egress(base_url="https://bank.lan:8443/")
    assert guard.addresses("bank.lan", 8443) == ["10.0.0.7"]
    with pytest.raises(Misconfigured):
        guard.addresses("bank.lan", 443)


@pytest.mark.parametrize("address", ["[::1]", "10.0.0.7", "[fd00::1]"])
def test_a_private_address_cannot_be_a_plugins_host(address: str) -> None:
    guard = Egress(own=frozenset({Origin("https", address.strip("[]"), 443)}))
    assert "not a public address" in refused(guard, f"https://{address}/")


# Connections


@pytest.fixture
def network() -> Iterator[Callable[[Egress], httpx.Client]]:
    clients: list[httpx.Client] = []

    def make(guard: Egress) -> httpx.Client:
        clients.append(httpx.Client(transport=Network(guard)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client]
) -> None:
    """The name is resolved once; what it would lead to a moment later does not matter."""
    asked = resolver(monkeypatch, [PUBLIC], ["127.0.0.1"])
    connected: list[tuple[str, int]] = []

    def connect(self: object, host: str, port: int, *rest: object) -> httpcore.NetworkStream:
        connected.append((host, port))
        raise httpcore.ConnectError("nothing is sent in a test")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(httpx.ConnectError):
        network(egress()).get("https://api.bank.example/")
    assert asked == ["api.bank.example"]
    assert connected == [(PUBLIC, 443)]


def test_a_name_that_leads_home_is_never_connected_to(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client], bank: FioBank
) -> None:
    port = int(bank.url.rpartition(":")[2])
    resolver(monkeypatch, ["127.0.0.1"])
    client = network(Egress((f"rebinding.example:{port}",)))
    with pytest.raises(Misconfigured, match=r"rebinding\.example leads to 127\.0\.0\.1"):
        client.get(f"https://rebinding.example:{port}/")
    with pytest.raises(Misconfigured):
        client.get(f"http://rebinding.example:{port}/")
    owners = network(Egress(entered=frozenset({Origin("http", "rebinding.example", port)})))
    assert owners.get(f"http://rebinding.example:{port}/").status_code == 404


def test_the_next_address_is_tried_where_the_first_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client], bank: FioBank
) -> None:
    port = int(bank.url.rpartition(":")[2])
    resolver(monkeypatch, ["127.0.0.77", "127.0.0.1"])
    guard = Egress(entered=frozenset({Origin("http", "bank.lan", port)}))
    assert network(guard).get(f"http://bank.lan:{port}/").status_code == 404


def test_a_name_without_an_address_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client]
) -> None:
    def fail(*words: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("kvit.sync.egress.socket.getaddrinfo", fail)
    with pytest.raises(httpx.ConnectError):
        network(egress()).get("https://api.bank.example/")


def test_tls_goes_on_naming_the_host(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client]
) -> None:
    """A server whose certificate is nobody's: the handshake names the host and the client refuses it."""
    named: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            named.append("bank.lan" if b"bank.lan" in connection.recv(4096) else "nobody")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    resolver(monkeypatch, ["127.0.0.1"])
    guard = Egress(entered=frozenset({Origin("https", "bank.lan", port)}))
    with pytest.raises((httpx.ConnectError, httpx.ReadError, ssl.SSLError)):
        network(guard).get(f"https://bank.lan:{port}/")
    thread.join(5)
    listener.close()
    assert named == ["bank.lan"]


def test_a_head_that_drips_for_ever_is_given_up() -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(500):
                connection.sendall(b"x")
                time.sleep(0.02)

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    transport = Network(
        Egress(entered=frozenset({Origin("http", "127.0.0.1", port)})), first_bytes_seconds=0.3
    )
    with httpx.Client(transport=transport) as client, pytest.raises(httpx.ReadTimeout):
        client.get(f"http://127.0.0.1:{port}/")
    thread.join(5)
    listener.close()


# Proxies


def proxied(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_a_proxy_of_the_environment_is_used_and_resolves_names_itself(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client], bank: FioBank
) -> None:
    """The bank plays the proxy: it gets the whole URL, which it does not know."""
    proxied(monkeypatch, {"http_proxy": bank.url})
    client = network(Egress(entered=frozenset({Origin("http", "no-such-name.example", 80)})))
    assert client.get("http://no-such-name.example/").status_code == 404


def test_a_host_without_a_proxy_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, network: Callable[[Egress], httpx.Client], bank: FioBank
) -> None:
    proxied(monkeypatch, {"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"})
    port = int(bank.url.rpartition(":")[2])
    client = network(Egress(entered=frozenset({Origin("http", "127.0.0.1", port)})))
    assert client.get(f"{bank.url}/").status_code == 404
