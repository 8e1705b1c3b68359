"""How single DNS records are read: into values that can be used, or not at all (RFC 1035, RFC 2181 section 11)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import dns.name


@dataclass(frozen=True, slots=True, order=True)
class MxRecord:
    """One MX record: lower is tried first; the host of a null MX is "."."""

    preference: int
    host: str


Value = TypeVar("Value", str, MxRecord)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Value]):
    """A record type and how one record of it is read; a record that reads as None is broken."""

    rdtype: str
    read: Callable[[Any], Value | None]
    # Servers rotate addresses to spread the load, and that order is kept. For all else an order of our own
    # makes two look-ups of the same records equal, and the best MX records the ones that are used.
    is_sorted: bool = True
    # A record that cannot be read, in characters that can be shown.
    reveal: Callable[[Any], str] = lambda rdata: str(rdata)


_LABEL = re.compile(rb"[A-Za-z0-9_-]+")


def is_plain(name: dns.name.Name) -> bool:
    """Letters, digits, hyphens (RFC 1123 section 2.1) and underscores (RFC 8552) only.

    A label may carry any byte (RFC 2181 section 11), so also CR, LF, NUL and dots, and bring them into SMTP.
    """
    return all(_LABEL.fullmatch(label) for label in name.labels[:-1])


def host_name(name: dns.name.Name) -> str | None:
    if not is_plain(name):
        return None
    return name.to_text(omit_final_dot=True).lower()


def _read_mx(rdata: Any) -> MxRecord | None:
    host = host_name(rdata.exchange)
    return None if host is None else MxRecord(rdata.preference, host)


_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")


def _read_txt(rdata: Any) -> str | None:
    # One record's strings are one value, joined without spaces (RFC 7208 section 3.3, RFC 6376 3.6.2.2).
    joined = b"".join(rdata.strings)
    # A tab is white space that DKIM allows (RFC 6376 section 2.8); no other control character has a use.
    return None if _CONTROLS.search(joined) else joined.decode("ascii", "backslashreplace")


def _reveal_txt(rdata: Any) -> str:
    text = b"".join(rdata.strings).decode("ascii", "backslashreplace")
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _read_target(rdata: Any) -> str | None:
    return host_name(rdata.target)


def _read_address(rdata: Any) -> str | None:
    return cast(str, rdata.address)


TXT = Kind("TXT", _read_txt, reveal=_reveal_txt)
CNAME = Kind("CNAME", _read_target)
NS = Kind("NS", _read_target)
MX = Kind("MX", _read_mx)
A = Kind("A", _read_address, is_sorted=False)
AAAA = Kind("AAAA", _read_address, is_sorted=False)
