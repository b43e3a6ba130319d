"""Where a webhook may go. Addresses that are, or hide, something private are refused."""

from __future__ import annotations

import ipaddress

import pytest

from govern.core.errors import Rejected, Unavailable
from govern.notify.egress import find_target, is_public

PRIVATE = (
    "0.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.8.8", "169.254.0.1",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "100::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::", "fc00::1", "fd12:3456::1",
    "fe80::1", "fec0::1", "ff02::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::808:808", "2002:808:808::1")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_and_wrapped_ones_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://localhost/x", "https://2130706433/x", "https://0x7f.1/x", "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x", "http://93.184.215.14/x", "https://93.184.215.14:8443/x", "https://93.184.215.14:22/",
        "ftp://93.184.215.14/x", "file:///etc/passwd", "https://user:secret@93.184.215.14/x", "https:///x", "nonsense",
        "https://93.184.215.14:99999/x", "",
    ],
)  # fmt: skip
def test_places_that_are_refused(url: str) -> None:
    with pytest.raises(Rejected) as refused:
        find_target(url)
    assert "secret" not in refused.value.sentence


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    target = find_target("https://93.184.215.14/hooks/a?b=c")
    assert (target.url, target.host_header) == ("https://93.184.215.14:443/hooks/a?b=c", "93.184.215.14")


def test_private_places_can_be_allowed_with_their_ports() -> None:
    target = find_target("http://localhost:8081/x", allow_private=True)
    assert target.host_header == "localhost:8081"
    assert target.url in ("http://127.0.0.1:8081/x", "http://[::1]:8081/x")


def test_a_name_that_does_not_resolve_may_do_so_later() -> None:
    with pytest.raises(Unavailable, match="does not resolve"):
        find_target("https://no-such-host.invalid/x")
