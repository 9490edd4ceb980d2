"""Requests to addresses that strangers name, so that nobody reaches through us what he could not reach himself.

A name is resolved once, every address that it has is looked at, and the connection goes to one that was: so a name
that changes its mind in between leads nowhere (DNS rebinding). No redirects, no proxies, nothing of the answer but its
status, and an end to every wait.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

LONGEST_URL: Final = 2048
_CONNECT: Final = 5.0  # seconds
_IN_ALL: Final = 15.0
# Addresses of IPv4 in those of IPv6 (RFC 6052): as public as what is in them.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_TLS: Final = ssl.create_default_context()


class BadUrl(ValueError):
    """No URL that could be posted to."""


class NotAllowed(Exception):
    """The URL leads to an address that is nobody's business outside."""


class Unreachable(Exception):
    """No answer came; the message says why, in words that tell nothing of our network."""


class Answer(NamedTuple):
    """The status of an answer, and how long its sender asks to be left alone (s), if he does."""

    status: int
    retry_after: float | None


def networks(text: str) -> tuple[Network, ...]:
    """Networks as an operator writes them, with commas between. Raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def check(url: str, allowed: Sequence[Network] = ()) -> SplitResult:
    """The parts of a URL that may be posted to, as far as can be told without asking for its name. Raises BadUrl."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise BadUrl(f"must be at most {LONGEST_URL} visible ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as wrong:
        raise BadUrl(f"is no URL: {wrong}") from None
    if parts.scheme not in ("http", "https"):
        raise BadUrl("must begin with https:// or http://")
    if not host or len(host) > 253 or port == 0:
        raise BadUrl("names no host, or no port that could be connected to")
    if "@" in parts.netloc or parts.fragment or "\\" in url:
        raise BadUrl("must have no user, no password, no fragment and no backslash")
    literal = _literal(host)
    if literal is not None and not is_allowed(literal, allowed):
        raise BadUrl(f"leads to {host}, which is not a public address")
    return parts


def _literal(host: str) -> Address | None:
    """The address that a host is written as, in any way that C understands: 127.1, 0x7f000001, 2130706433."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def is_allowed(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is public, or among those that the operator allows."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_allowed(inner, allowed)
    if any(address in network for network in allowed if network.version == address.version):
        return True
    return address.is_global and not address.is_multicast


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def post(
    url: str, body: bytes, headers: Mapping[str, str], allowed: Sequence[Network] = (), resolve: Resolve = resolve,
    seconds: float = _IN_ALL,
) -> Answer:
    """Post a body to a URL. Raises BadUrl, NotAllowed, Unreachable."""
    parts = check(url, allowed)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in resolve(host, port)]
    except (OSError, UnicodeError):
        raise Unreachable("the name has no address") from None
    if not addresses:
        raise Unreachable("the name has no address")
    if not all(is_allowed(each, allowed) for each in addresses):
        raise NotAllowed("the name leads to an address that is not public")
    connection = _Connection(host, port, str(addresses[0]), secure)
    # A receiver that sends a byte now and then would keep every other time limit.
    ending = threading.Timer(seconds, connection.cut)
    ending.daemon = True
    ending.start()
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, _retry_after(answer.headers.get("Retry-After", "")))
    except ssl.SSLCertVerificationError:
        raise Unreachable("its certificate is not valid for the name") from None
    except TimeoutError:
        raise Unreachable("no answer in time") from None
    except ConnectionRefusedError:
        raise Unreachable("the connection was refused") from None
    except (OSError, http.client.HTTPException, ValueError) as broken:
        why = "no answer in time" if connection.is_cut else f"no answer ({type(broken).__name__})"
        raise Unreachable(why) from None
    finally:
        ending.cancel()
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was looked at, under the name that it was found by."""

    def __init__(self, host: str, port: int, address: str, secure: bool) -> None:
        super().__init__(f"[{host}]" if ":" in host else host, port, timeout=_CONNECT)
        self.default_port = 443 if secure else 80  # so that the Host header names other ports alone
        self._address = address
        self._name = host
        self._secure = secure
        self.is_cut = False

    def connect(self) -> None:
        connected = socket.create_connection((self._address, self.port), self.timeout)
        connected.settimeout(_IN_ALL)
        self.sock: Any = _TLS.wrap_socket(connected, server_hostname=self._name) if self._secure else connected
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """End it from another thread."""
        self.is_cut = True
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def _retry_after(said: str) -> float | None:
    return float(said) if said.isascii() and said.isdecimal() and len(said) < 8 else None
