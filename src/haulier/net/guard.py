"""Which addresses may be asked for: public ones, and those explicitly allowed.

A link that somebody else wrote must not make us talk to the inside of the network we run
in. Hosts are resolved once, by us; what is not public is taken out of the answer, and the
connection goes to exactly the addresses that passed, so a name that resolves to something
else a moment later gains nothing. Numbers in a URL are judged in every notation the system
would accept (decimal, octal, hexadecimal, shortened).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from haulier.errors import AddressRefused, ConnectionLost, TimedOut, UsageError

T = TypeVar("T")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

RESOLVE_TIMEOUT_S = 10.0

# IANA's special-purpose registries; everything in them that is not plain public unicast.
# Written out, since the library's idea of "global" differs between Python versions.
_SPECIAL_IPV4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_IPV6 = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether `address` is plain public unicast, and any IPv4 address inside it as well."""
    address = _unwrapped(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _SPECIAL_IPV6)


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that packets to `address` end up at, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def literal_address(host: str) -> Address | None:
    """Return the address that `host` writes as a number in any notation; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None


class AddressGuard:
    """Decides where requests may go.

    Args:
        allow: host names (`nas.local`), addresses and networks (`192.168.1.0/24`) that may
            be asked although they are not public. An allowed name may resolve to anything.
        only: when given, no other hosts than these and those below them (`example.org`
            stands for `cdn.example.org` too) are asked, and no address written as a number
            unless it is one of these. They must be public or allowed as well.

    Raises:
        UsageError: an entry is a malformed network.
    """

    def __init__(self, allow: Iterable[str] = (), *, only: Iterable[str] | None = None) -> None:
        self._only = None if only is None else frozenset(_canonical(host) for host in only)
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in allow:
            network = _network(entry)
            if network is None:
                hosts.add(_canonical(entry))
            else:
                networks.append(network)
        self._hosts = frozenset(hosts)
        self._networks = tuple(networks)

    def check_url(self, url: str) -> None:
        """Return when a request to `url` may be tried, before any name is resolved.

        Raises:
            AddressRefused: it is not http or https, names no host, or names an address that
                is not allowed.
        """
        try:
            parts = urlsplit(url)
            host = parts.hostname
            _ = parts.port
        except ValueError:
            raise AddressRefused("the link is malformed", hint="Check the link.") from None
        if parts.scheme not in {"http", "https"} or not host:
            found = f", not {parts.scheme}" if parts.scheme else ""
            raise AddressRefused(
                f"only http and https links to a host are fetched{found}",
                hint="Give a link that begins with https:// or http://.",
            )
        if not self._is_listed(host):
            raise AddressRefused(
                f"{host} is not among the hosts that may be asked",
                hint="Check the link; add the host to the list if it is trusted.",
            )
        address = literal_address(host)
        if address is not None and not self.allows(host, address):
            raise _refused(host, address)

    def _is_listed(self, host: str) -> bool:
        if self._only is None:
            return True
        name = _canonical(host)
        return name in self._only or any(name.endswith(f".{listed}") for listed in self._only)

    def allows(self, host: str, address: Address) -> bool:
        """Whether a connection to `address`, reached by the name `host`, may be made."""
        if is_public(address) or _canonical(host) in self._hosts:
            return True
        seen = (address, _unwrapped(address))
        return any(one in network for network in self._networks for one in seen)


async def resolve_allowed(
    guard: AddressGuard,
    host: str,
    look_up: Awaitable[Sequence[T]],
    address_of: Callable[[T], str],
    *,
    timeout_s: float = RESOLVE_TIMEOUT_S,
) -> list[T]:
    """Return those addresses of `host` that the guard allows.

    Args:
        guard: decides.
        host: what is looked up.
        look_up: finds its addresses, in whatever form.
        address_of: returns the address itself of one that was found.
        timeout_s: how long it may take.

    Raises:
        AddressRefused: it has addresses, and none is allowed.
        ConnectionLost: it has none, or nobody could tell.
        TimedOut: nobody told in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            found = await look_up
    except TimeoutError:
        raise TimedOut(f"{host} was not resolved within {timeout_s:g} s") from None
    except (OSError, UnicodeError) as exc:
        raise ConnectionLost(
            f"{host} can't be resolved: {exc}",
            hint="Check the spelling of the host and that the network is up.",
        ) from exc
    if not found:
        raise ConnectionLost(f"{host} has no address", hint="Check the spelling of the host.")
    addresses = [ipaddress.ip_address(address_of(one)) for one in found]
    allowed = [
        one for one, address in zip(found, addresses, strict=True) if guard.allows(host, address)
    ]
    if not allowed:
        raise _refused(host, addresses[0])
    return allowed


def _refused(host: str, address: Address) -> AddressRefused:
    at = "" if host == str(address) else f" ({address})"
    return AddressRefused(f"{host}{at} is a private, local or reserved address")


def _canonical(host: str) -> str:
    return host.strip(".").casefold()


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"))
    except ValueError:
        if "/" in entry or not entry.strip():
            raise UsageError(
                f"{entry!r} is neither a host nor a network",
                hint="Allow hosts (nas.local), addresses (10.0.0.5) or networks (10.0.0.0/8).",
            ) from None
        return None
