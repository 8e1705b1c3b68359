"""Which addresses strangers may point us at."""

from ipaddress import ip_network

import pytest

from apps.protocols.networks import is_public, parse_networks

NOT_PUBLIC = [
    *("0.0.0.0", "0.255.255.255"),
    *("10.0.0.0", "10.255.255.255"),
    *("100.64.0.1", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.255"),
    *("169.254.169.254", "169.254.0.0"),
    *("172.16.0.0", "172.31.255.255"),
    *("192.0.0.1", "192.0.0.255"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("192.88.99.1", "192.168.0.1"),
    *("198.18.0.0", "198.19.255.255"),
    *("224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "::93.184.216.34"),
    *("64:ff9b::7f00:1", "64:ff9b::5db8:d822", "64:ff9b:1::1"),
    *("100::1", "2001::1", "2001:0:53aa:64c::1"),
    *("2001:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:5db8:d822::1"),
    *("3fff::1", "3fff:fff:ffff::1", "5f00::1"),
    *("fc00::1", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "feff::1", "ff02::1"),
]

PUBLIC = [
    *("1.1.1.1", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0"),
    *("126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.88.100.1"),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
    *("2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00:1450::1", "2620:fe::fe"),
]

NO_ADDRESS = [
    *("", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", " 127.0.0.1"),
    *("①②⑦.⓪.⓪.①", "127。0。0。1", "٩٣.184.216.34", "1.1.1.1\n", "1.1.1.1/32", "1.1.1.1:25"),
    *("[2606:4700:4700::1111]", "2606:4700:4700::1111%eth0", "fe80::1%lo"),
]


@pytest.mark.rfc(6890, "2")
@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_special_address_is_not_public(address: str) -> None:
    assert is_public(address) is False


@pytest.mark.parametrize("address", PUBLIC)
def test_an_ordinary_address_is_public(address: str) -> None:
    assert is_public(address) is True


@pytest.mark.parametrize("address", NO_ADDRESS)
def test_text_that_is_not_one_plain_address_is_not_public(address: str) -> None:
    assert is_public(address) is False


@pytest.mark.parametrize("address", NO_ADDRESS)
def test_text_that_is_not_one_plain_address_is_never_allowed(address: str) -> None:
    assert is_public(address, parse_networks("0.0.0.0/0,::/0")) is False


def test_an_allowed_network_is_as_good_as_public() -> None:
    allowed = parse_networks("127.0.0.0/8, ::1/128")

    assert is_public("127.0.0.1", allowed) is True
    assert is_public("::1", allowed) is True
    assert is_public("10.0.0.1", allowed) is False
    assert is_public("::2", allowed) is False


def test_allowing_an_ipv4_network_does_not_allow_its_ipv6_disguises() -> None:
    allowed = parse_networks("127.0.0.0/8")

    assert is_public("::ffff:127.0.0.1", allowed) is False
    assert is_public("64:ff9b::7f00:1", allowed) is False
    assert is_public("2002:7f00:1::", allowed) is False


def test_reads_a_list_of_networks() -> None:
    assert parse_networks("10.0.0.0/8, ::1,192.168.1.7") == (
        ip_network("10.0.0.0/8"),
        ip_network("::1/128"),
        ip_network("192.168.1.7/32"),
    )
    assert parse_networks("") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "loopback", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "127.1"])
def test_refuses_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_networks(text)
