"""Where a plugin may send requests: its own hosts, and addresses that the owner entered.

Names are checked for every request; addresses are checked where the connection is made, so that a name
cannot lead elsewhere between the check and the use (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import certifi
import httpcore
import httpx

from kvit.kernel.errors import Misconfigured
from kvit.plugin import Plugin
from kvit.sync.configuring import Values, config_fields

FIRST_BYTES_SECONDS: Final = 120.0
"""How long a source may take to say the head of an answer."""

_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses that stand for an IPv4 address in their last 32 bits (RFC 6052)."""

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a URL (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Origin:
        return cls(url.scheme, url.raw_host.decode(), url.port or _PORTS.get(url.scheme, 0))


@dataclass(frozen=True, slots=True)
class Egress:
    """The hosts of one connection.

    `hosts` are the plugin's: a name, a name with `:port`, or `.example.com` for every name below it. `own`
    are the addresses that it gives its settings by default. Both are asked by HTTPS at public addresses only.
    `entered` are addresses that the owner wrote into the settings: they may use plain HTTP and lie on the
    owner's network.
    """

    hosts: tuple[str, ...] = ()
    own: frozenset[Origin] = frozenset()
    entered: frozenset[Origin] = frozenset()

    @classmethod
    def of(cls, plugin: type[Plugin[Any]], values: Values) -> Egress:
        """Take the plugin's hosts and the addresses in the settings; a default is the plugin's own."""
        defaults = {item.name: item.default for item in config_fields(plugin)}
        own = frozenset(_origins(defaults))
        return cls(tuple(plugin.hosts), own, frozenset(_origins(values.settings)) - own)

    def check(self, url: httpx.URL) -> None:
        """Raise Misconfigured where no request may go to this URL, whatever its host resolves to."""
        origin = Origin.of(url)
        if origin in self.entered:
            return
        if origin not in self.own and not any(_matches(origin, host) for host in self.hosts):
            raise Misconfigured(
                "The plugin may not send requests to {host}. Its author adds it to the `hosts` of the plugin;"
                " an address of your own belongs in the connection's settings.",
                host=f"{origin.host}:{origin.port}",
            )
        if origin.scheme != "https":
            raise Misconfigured(
                "The plugin may ask {host} by https:// only; http:// needs an address that you entered in the"
                " connection's settings.",
                host=origin.host,
            )
        literal = _literal(origin.host)
        if literal is not None:
            _refuse_private(origin.host, literal)

    def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a host and return its addresses, in the resolver's order.

        Raises Misconfigured where any of them is not a public one and the owner did not enter this host and
        port, and httpcore.ConnectError where the name does not resolve.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(type(error).__name__) from None
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        if not any((origin.host, origin.port) == (host, port) for origin in self.entered):
            for address in addresses:
                _refuse_private(host, ipaddress.ip_address(address))
        return addresses


class Network(httpx.BaseTransport):
    """The way out: directly to checked addresses, or through the proxy that the environment names.

    A proxy resolves names itself, so that only names are checked there.
    """

    def __init__(self, egress: Egress, *, first_bytes_seconds: float = FIRST_BYTES_SECONDS) -> None:
        self._first_bytes_seconds = first_bytes_seconds
        self._limit = _Limit()
        self._tls = _tls(_trusted())
        self._direct = httpx.HTTPTransport(verify=self._tls)
        # httpx has no public way to give its transport a network backend; httpcore has.
        self._direct._pool = httpcore.ConnectionPool(
            ssl_context=self._tls,
            keepalive_expiry=httpx.Limits().keepalive_expiry,
            network_backend=_CheckedBackend(egress, self._limit),
        )
        self._proxies: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; only the answer's body is read later."""
        self._limit.until = time.monotonic() + self._first_bytes_seconds
        try:
            return self._way(request.url).handle_request(request)
        finally:
            self._limit.until = None

    def close(self) -> None:
        for transport in (self._direct, *self._proxies.values()):
            transport.close()

    def _way(self, url: httpx.URL) -> httpx.HTTPTransport:
        proxy = _proxy_for(url)
        if proxy is None:
            return self._direct
        if proxy not in self._proxies:
            self._proxies[proxy] = httpx.HTTPTransport(verify=self._tls, proxy=proxy)
        return self._proxies[proxy]


def _trusted() -> tuple[object, ...]:
    """What decides whom to trust; it changes when certificates are updated."""
    named = tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return *named, Path(certifi.where()).stat().st_mtime_ns


@lru_cache(maxsize=1)
def _tls(_trusted: tuple[object, ...]) -> ssl.SSLContext:
    """Read the certificates once: it takes longer than many a sync."""
    return httpx.create_ssl_context()


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to the very addresses that were checked; TLS goes on naming the host."""

    def __init__(self, egress: Egress, limit: _Limit) -> None:
        self._egress = egress
        self._limit = limit
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("no address")
        for address in self._egress.addresses(host, port):
            try:
                return _LimitedStream(
                    self._backend.connect_tcp(address, port, timeout, local_address, socket_options),
                    self._limit,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


@dataclass(slots=True)
class _Limit:
    """Until when the head of the present answer must have come, by the monotonic clock; None has no limit."""

    until: float | None = None


class _LimitedStream(httpcore.NetworkStream):
    """A connection whose reads end at the limit: a timeout of single reads does not end a slow drip."""

    def __init__(self, stream: httpcore.NetworkStream, limit: _Limit) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._limit.until is not None and time.monotonic() > self._limit.until:
            raise httpcore.ReadTimeout("The head of the answer did not end.")
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._limit)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _origins(settings: Mapping[str, Any]) -> Iterator[Origin]:
    """Yield the origins of the settings that are absolute http(s) URLs."""
    for value in settings.values():
        if isinstance(value, str) and value.strip().lower().startswith(("http://", "https://")):
            try:
                yield Origin.of(httpx.URL(value.strip()))
            except (httpx.InvalidURL, ValueError):
                continue


def _matches(origin: Origin, host: str) -> bool:
    name, _, port = host.lower().partition(":")
    if origin.port != int(port or _PORTS["https"]):
        return False
    return origin.host.endswith(name) if name.startswith(".") else origin.host == name


def _literal(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refuse_private(host: str, address: _Address) -> None:
    if not _is_public(address):
        raise Misconfigured(
            "{host} leads to {address}, which is not a public address. If that is meant, enter the address in"
            " the connection's settings.",
            host=host,
            address=address,
        )


def _is_public(address: _Address) -> bool:
    """Whether the address, and the IPv4 address that it may stand for, is one of the public internet."""
    return all(item.is_global and not item.is_multicast for item in (address, *_embedded(address)))


def _embedded(address: _Address) -> Iterator[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo or ()
        nat64 = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
        for item in (address.ipv4_mapped, address.sixtofour, *teredo, nat64):
            if item is not None:
                yield item


def _proxy_for(url: httpx.URL) -> str | None:
    """Return the proxy of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) for a URL."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.netloc.decode()):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
