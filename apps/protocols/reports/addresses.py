"""Finds addresses in prose and in typed fields. What is found is a claim by a stranger: bounded, never validated."""

from __future__ import annotations

import re
from itertools import islice

from apps.protocols.smtp_wire import clean

MAX_ADDRESS = 320
MAX_ADDRESSES = 500
_LOCAL = r"[^\s<>()\[\],;:\"'`|@\\\x00-\x1f\x7f\u3000-\u303f\uff00-\uff20]"
# Also without a dot in the domain: hosts of an intranet. Longer runs cannot be addresses, and would take time.
ADDRESS = re.compile(
    rf"(?:(?<![^\s<>()\[\],;:\"'`|=\u3000-\u303f\uff00-\uff20])|(?<=mailto:))(\"[^\"\\\r\n]{{1,64}}\"|{_LOCAL}{{1,128}}(?:'{_LOCAL}{{1,64}})?)@"
    r"([A-Za-z0-9\x80-\U0010ffff](?:[A-Za-z0-9\x80-\U0010ffff._-]{0,253}[A-Za-z0-9\x80-\U0010ffff])?|\[[0-9A-Fa-f.:]{2,50}\])"
)
# RFC 6533 section 3: characters that the seven-bit form of a utf-8 address writes as their numbers.
_NUMBERED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_ROUTE = re.compile(r"^(?:@[^,:@\s]{1,255},?){1,20}:")
_PREFIX = re.compile(r"^(?:mailto:|(?:smtp|rfc822)[:=;])", re.IGNORECASE)
_COMMENT = re.compile(r"\([^()]{0,500}\)")


def addresses_in(text: str) -> list[str]:
    """The addresses of a piece of text, in order, each once; the first few hundred."""
    return list(dict.fromkeys(bare(found[0]) for found in islice(ADDRESS.finditer(text[:20_000]), MAX_ADDRESSES)))


def bare(text: str) -> str:
    """An address without brackets, route and the dirt around it; as it was spelt otherwise."""
    text = clean(text).strip(" <>,;")
    text = _ROUTE.sub("", text)
    return _PREFIX.sub("", text.rstrip("."))[:MAX_ADDRESS]


def typed(value: str) -> str:
    """The address of a field like `rfc822; a@example.com` (RFC 3464 section 2.1.2); empty where it names none."""
    kind, mark, rest = value.partition(";")
    text = (rest if mark and "@" not in kind else value).strip()
    if kind.strip().lower() == "utf-8":
        text = _NUMBERED.sub(_numbered, text)
    if "<" in text and ">" in text:
        text = text[text.index("<") + 1 :].partition(">")[0]
    elif text.startswith("<"):
        text = text[1:]
    if not text.startswith('"'):
        text = _COMMENT.sub(" ", text).strip()
    text = bare(text)
    return text if text and len(text.split()) == 1 or text.startswith('"') else (addresses_in(text) or [""])[0]


def _numbered(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else found[0]


def is_address(text: str) -> bool:
    return 0 < text.find("@") < len(text) - 1


def same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
