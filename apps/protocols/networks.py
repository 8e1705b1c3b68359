"""Which addresses are public, so that a stranger's DNS cannot point us at our own machines.

The list is written out (IANA special-purpose registries, RFC 6890): `ipaddress.is_global` calls NAT64, 6to4,
IPv4-compatible, site-local and multicast addresses global.
"""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local, also cloud metadata services, RFC 3927
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, and the broadcast address, RFC 1112
        "::/8",  # unspecified, loopback, IPv4-compatible and IPv4-mapped, RFC 4291
        "64:ff9b::/96",  # NAT64: carries any IPv4 address, RFC 6052
        "64:ff9b:1::/48",  # local NAT64, RFC 8215
        "100::/64",  # discard, RFC 6666
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID and others, RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4: carries any IPv4 address, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "fc00::/7",  # unique local, RFC 4193
        "fe80::/10",  # link-local, RFC 4291
        "fec0::/10",  # site-local, RFC 3879
        "ff00::/8",  # multicast, RFC 4291
    )
)


def is_public(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether we may connect to this address: it is public, or in a network that the operator allowed.

    Text that is not one plain address ("127.1", "[::1]", "fe80::1%eth0", a name) never is.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A zone names a network of this machine, so it is local whatever the digits say (RFC 4007).
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        return False
    return _is_in(parsed, allowed) or not _is_in(parsed, _NOT_PUBLIC)


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether the operator named a network that holds this address, one plain address as above."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return getattr(parsed, "scope_id", None) is None and _is_in(parsed, allowed)


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks in "10.0.0.0/8,::1,..."; raises ValueError on anything else, host bits too."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
