import asyncio
import ipaddress
import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from haulier import errors
from haulier.net.guard import AddressGuard, is_public, literal_address
from haulier.net.resolver import GuardedResolver

REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
    "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fc00::1", "fdff::1", "ff02::1", "2001:db8::1", "100::1",
    "fec0::1", "2001::1", "2001:10::1", "3fff::1", "5f00::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1",
    "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1",
]  # fmt: skip
ALLOWED = [
    "1.1.1.1", "8.8.8.8", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "169.253.0.1",
    "172.15.255.255", "172.32.0.1", "192.167.0.1", "192.169.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
    "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(errors.AddressRefused, match="private, local or reserved"):
        AddressGuard().check_url(f"http://{host}:8080/x")


@pytest.mark.parametrize("text", ALLOWED)
def test_addresses_that_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))
    host = f"[{text}]" if ":" in text else text
    AddressGuard().check_url(f"https://{host}/x")


@pytest.mark.parametrize(
    "host",
    ["127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0x7F.0.0.0x1",
     "10.1", "3232235777", "0xa9fea9fe", "2852039166", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"],
)  # fmt: skip
def test_numbers_in_any_notation_are_judged(host: str) -> None:
    with pytest.raises(errors.AddressRefused):
        AddressGuard().check_url(f"http://{host}/")


def test_names_are_no_numbers() -> None:
    for host in ("example.org", "dead.beef", "localhost", "a.1.b", "xn--bcher-kva.example", ""):
        assert literal_address(host) is None


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/x", "gopher://example.org", "javascript:alert(1)", "//example.org/x",
     "example.org", "", "http:///x", "http://", "http://[::1", "http://example.org:99999/", "unix:///x",
     "HTTPS:example.org"],
)  # fmt: skip
def test_only_links_to_web_hosts(url: str) -> None:
    with pytest.raises(errors.AddressRefused):
        AddressGuard().check_url(url)


def test_the_allow_list_takes_hosts_addresses_and_networks() -> None:
    guard = AddressGuard(["NAS.local.", "10.0.0.5", "192.168.1.0/24", "fd00::/8", "[::1]"])
    for url in ("http://10.0.0.5/", "http://192.168.1.77/", "http://[fd12::1]/", "http://[::1]/",
                "http://[::ffff:10.0.0.5]/", "http://0xc0a80105/"):  # fmt: skip
        guard.check_url(url)
    for url in ("http://10.0.0.6/", "http://192.168.2.1/", "http://[fe80::1]/"):
        with pytest.raises(errors.AddressRefused):
            guard.check_url(url)
    assert guard.allows("nas.LOCAL", ipaddress.ip_address("10.9.9.9"))
    assert not guard.allows("evil.nas.local", ipaddress.ip_address("10.9.9.9"))


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "10.0.0.0/99", "", " ", "nas/24"])
def test_a_malformed_allow_list_is_an_error(entry: str) -> None:
    with pytest.raises(errors.UsageError, match="neither a host nor a network"):
        AddressGuard([entry])


class Resolver(AbstractResolver):
    """Answers with these addresses, one list after another; the last one for ever."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = list(answers)
        self.closed = False

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [
            ResolveResult(
                hostname=host, host=text, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for text in answer
        ]

    async def close(self) -> None:
        self.closed = True


async def test_addresses_that_are_not_allowed_are_taken_out() -> None:
    inner = Resolver(["10.0.0.1", "8.8.8.8", "::1", "fe80::1%eth0"])
    resolver = GuardedResolver(AddressGuard(), inner)
    assert [found["host"] for found in await resolver.resolve("mixed.example", 80)] == ["8.8.8.8"]
    await resolver.close()
    assert inner.closed


async def test_a_name_for_nothing_but_inside_addresses_is_refused() -> None:
    resolver = GuardedResolver(AddressGuard(), Resolver(["10.0.0.1"]))
    with pytest.raises(errors.AddressRefused, match=r"inside.example \(10.0.0.1\)"):
        await resolver.resolve("inside.example")
    allowed = GuardedResolver(AddressGuard(["inside.example"]), Resolver(["10.0.0.1"]))
    assert len(await allowed.resolve("inside.example")) == 1


async def test_failures_to_resolve_are_errors_of_ours() -> None:
    failing = GuardedResolver(AddressGuard(), Resolver(socket.gaierror(-2, "unknown")))
    with pytest.raises(errors.ConnectionLost, match=r"none\.example can't be resolved"):
        await failing.resolve("none.example")

    class Slow(Resolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> list[ResolveResult]:
            await asyncio.Event().wait()
            raise AssertionError

    slow = GuardedResolver(AddressGuard(), Slow([]), timeout_s=0.01)
    with pytest.raises(errors.TimedOut, match=r"slow\.example"):
        await slow.resolve("slow.example")


def test_a_list_of_hosts_leaves_every_other_out() -> None:
    guard = AddressGuard(["127.0.0.1"], only=[".Example.org.", "127.0.0.1"])
    for url in ("https://example.org/x", "http://cdn.example.org", "http://127.0.0.1:8000/"):
        guard.check_url(url)
    refused = ("https://example.com", "https://notexample.org", "http://93.184.216.34/")
    for url in (*refused, "https://example.org.evil.net", "http://2130706433/"):
        with pytest.raises(errors.AddressRefused):
            guard.check_url(url)
    with pytest.raises(errors.AddressRefused):
        AddressGuard(only=["127.0.0.1"]).check_url("http://127.0.0.1/")
