"""Keeps a value from becoming a script where it stays in its place (see `places`): in an address.

`javascript:` needs no quotes and no tags. So each address is looked at in the rendered HTML, whatever it was put
together from, and one that the template did not itself spell out must be of a kind that mail has.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apps.templates.engine.limits import MAX_TAGS
from apps.templates.engine.markup import Tag, read, unescape
from apps.templates.engine.scanner import WRITING, Kind, scan
from apps.templates.errors import TemplateRenderError

ALLOWED = frozenset({"http", "https", "mailto", "tel", "cid"})
# They run what follows; no template may let a value follow them.
SCRIPTS = frozenset({"javascript", "vbscript", "livescript", "data"})
_NAMES = (
    "href src action formaction background poster cite data srcset longdesc lowsrc dynsrc codebase classid "
    "profile manifest ping usemap archive icon"
)
NAMES = frozenset(_NAMES.split())
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# Browsers drop these from the front of an address, and tabs and line ends anywhere in it (WHATWG URL, 4.4).
BLANKS = "".join(map(chr, range(0x21)))
IGNORED = re.compile("[\t\r\n]")
# What cannot be told to be harmless at first sight. Only if there is any is the HTML read tag by tag.
SUSPECT = re.compile(r"\s*=\s*(?![\"']?(?:https?://|mailto:|tel:|cid:|#))")
# Stand for markup of the template in its own source, character by character, so that places stay the same.
OUTPUT_MARK, TAG_MARK = "\ue000", "\ue001"


@dataclass(frozen=True, slots=True)
class Spelled:
    """What the template's author wrote out: whole addresses, and schemes that a value may follow."""

    addresses: frozenset[str]
    schemes: frozenset[str]


def spelled_out(source: str) -> Spelled:
    """Reads the HTML source of a template."""
    addresses, schemes = set(), set()
    for tag in (token for token in read(mask(source)) if isinstance(token, Tag)):
        for _, value in _addresses(tag):
            if OUTPUT_MARK not in value and TAG_MARK not in value:
                addresses.add(value)
            elif (found := SCHEME.match(value)) and found[1].lower() not in SCRIPTS:
                schemes.add(found[1].lower())
    return Spelled(frozenset(addresses), frozenset(schemes))


def check(rendered: str, spelled: Spelled) -> None:
    """Raises TemplateRenderError for an address of a kind that neither mail has nor the template spells out."""
    if rendered.count("<") > MAX_TAGS:
        raise TemplateRenderError("html", f"the result has more than {MAX_TAGS:,} tags")
    if not _is_suspect(rendered):
        return
    for tag in (token for token in read(rendered) if isinstance(token, Tag)):
        for name, value in _addresses(tag):
            scheme = SCHEME.match(value)
            if scheme is None or scheme[1].lower() in ALLOWED | spelled.schemes or value in spelled.addresses:
                continue
            reason = f"the address in '{name}' begins with '{scheme[1][:40]}:', which no value may bring into a mail"
            raise TemplateRenderError("html", reason)


def mask(source: str) -> str:
    """The source with all markup of the template replaced by marks."""
    parts = []
    for piece in scan(source):
        text = source[piece.start : piece.end]
        if piece.kind is Kind.OUTPUT or piece.name in WRITING:
            parts.append(OUTPUT_MARK * len(text))
        elif piece.kind is Kind.RAW:
            before, after = piece.inner_start - piece.start, piece.end - piece.inner_start - len(piece.inner)
            parts.append(TAG_MARK * before + piece.inner + TAG_MARK * after)
        else:
            parts.append(text if piece.kind is Kind.TEXT else TAG_MARK * len(text))
    return "".join(parts)


def _is_suspect(rendered: str) -> bool:
    """Searched name by name: a hundred times faster than one expression with all the names."""
    lowered = rendered.lower()
    for name in NAMES:
        position = lowered.find(name)
        while position != -1:
            position += len(name)
            if SUSPECT.match(lowered, position):
                return True
            position = lowered.find(name, position)
    return False


def _addresses(tag: Tag) -> Iterator[tuple[str, str]]:
    """The addresses of a tag as a browser understands them, each with the attribute's name."""
    for attribute in tag.attributes:
        name = attribute.name.replace(TAG_MARK, "").rpartition(":")[2]
        if name not in NAMES:
            continue
        value = unescape(attribute.value)
        for part in value.split(",") if name in ("srcset", "ping", "archive") else [value]:
            yield name, IGNORED.sub("", part).lstrip(BLANKS)
