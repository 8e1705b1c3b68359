"""Reads the address of somebody else's web server, and refuses every spelling that two programs could read differently.

RFC 3986 for the parts. What is refused here are the ways around a list of forbidden hosts: other notations of IP
addresses, user names, fragments, zones, international digits, white space that some parsers drop.
"""

import ipaddress
import re
from dataclasses import dataclass

MAX_LENGTH = 2_048
DEFAULT_PORTS = {"https": 443, "http": 80}

_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?P<fragment>#?)")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>.*))?", re.DOTALL)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Names that mean something else on every machine or network (RFC 6761, RFC 6762, RFC 8375), as single labels do.
_LOCAL = ("localhost", "local", "internal", "lan", "home.arpa")


class NotAnAddress(ValueError):
    """Says in words for its author what is wrong with the text."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a request goes; `host` is a name in lower case or an address without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP address itself."""
        return _is_ip(self.host)

    @property
    def is_local_name(self) -> bool:
        """Whether the name cannot mean the same to everybody."""
        if self.is_literal:
            return False
        return "." not in self.host or any(self.host.endswith(f".{name}") for name in _LOCAL)

    @property
    def is_this_machine(self) -> bool:
        return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def authority(self) -> str:
        """As the Host header shows it (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def read_address(text: str) -> WebAddress:
    """The parts of an http or https address. Raises NotAnAddress."""
    if len(text) > MAX_LENGTH:
        raise NotAnAddress(f"may have at most {MAX_LENGTH:,} characters")
    if not text.isascii():
        raise NotAnAddress("must be plain ASCII; write an international name in its ASCII form (xn--...)")
    if any(not "!" <= char <= "~" or char == "\\" for char in text):
        raise NotAnAddress("must not hold spaces, control characters or backslashes")
    parts = _PARTS.fullmatch(text) if "#" not in text else _PARTS.match(text)
    if parts is None or (scheme := parts["scheme"].lower()) not in DEFAULT_PORTS:
        raise NotAnAddress("must begin with https://")
    if parts["fragment"]:
        raise NotAnAddress("must not hold a fragment (#...), which no server ever sees")
    if "@" in parts["authority"]:
        raise NotAnAddress("must not hold a user name or a password")
    host, port = _host_and_port(parts["authority"], DEFAULT_PORTS[scheme])
    target = parts["target"]
    return WebAddress(scheme, host, port, target if target.startswith("/") else f"/{target}")


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise NotAnAddress("has no host that can be read")
    host = _v6(match["v6"]) if match["v6"] is not None else _host(match["host"].lower())
    return host, default if match["port"] is None else _port(match["port"])


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535):
        raise NotAnAddress("has a port that does not exist")
    return int(text)


def _v6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise NotAnAddress("has an IPv6 address that cannot be read") from None
    if address.scope_id is not None:
        raise NotAnAddress("must not name a zone of one machine")
    return str(address)


def _host(name: str) -> str:
    labels = name.split(".")
    if name.endswith("."):
        raise NotAnAddress("must not end its host with a dot")
    if _NUMBER.fullmatch(labels[-1]):
        # 127.1, 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to the C library (inet_aton).
        if not _is_ip(name):
            raise NotAnAddress("must write an IPv4 address as four decimal numbers")
        return name
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotAnAddress("has no host name that can exist")
    return name


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
