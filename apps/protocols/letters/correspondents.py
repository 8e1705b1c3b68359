"""Addresses in From, To and Cc, read leniently (RFC 5322 section 3.4 and what is written instead), in one pass.

An encoded word is only ever a name: one that decodes to an address must not become one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from apps.protocols.letters.types import MAX_ADDRESSES, Correspondent
from apps.protocols.reports.parts import decoded_words

# A quoted string, an address in angle brackets, a special, or anything else; each ends where it can.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|<(?:"(?:[^"\\]|\\.)*"|[^">])*>?|[(),;:]|[^"<(),;:]+', re.DOTALL)
_IN_COMMENT = re.compile(r"[()]|(?:[^()\\]|\\.)+|\\", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_MAX_FIELD = 64 * 1024
_MAX_NAME, _MAX_EMAIL = 500, 320


@dataclass(slots=True)
class _Draft:
    """One address on its way."""

    words: list[str] = field(default_factory=list)
    comment: list[str] = field(default_factory=list)
    angle: str | None = None

    def read(self) -> Correspondent | None:
        if self.angle is not None:
            # RFC 5322 section 4.4: a route before the address is left out.
            email = self.angle.strip()
            email = email.partition(":")[2] if email.startswith("@") else email
            name = "".join(_unquoted(word) if word[0] == '"' else word for word in self.words)
        else:
            # Quotes belong to an address: without them it would be another one.
            email, name = "".join(self.words).strip(), "".join(self.comment)
        email = " ".join(email.split())
        if not email and not name:
            return None
        return Correspondent(email[:_MAX_EMAIL], " ".join(decoded_words(name[:2_000]).split())[:_MAX_NAME])


def correspondents(value: str) -> tuple[Correspondent, ...]:
    """The addresses of a field in their order; those of a group one by one."""
    found: list[Correspondent] = []
    for draft in _drafts(value[:_MAX_FIELD]):
        read = draft.read()
        if read is not None:
            found.append(read)
        if len(found) >= MAX_ADDRESSES:
            break
    return tuple(found)


def _drafts(value: str) -> Iterator[_Draft]:
    draft, at = _Draft(), 0
    while found := _PIECE.match(value, at):
        at, piece = found.end(), found[0]
        if piece == "(":
            text, at = _comment(value, at)
            draft.comment.append(text)
        elif piece in ",;":
            yield draft
            draft = _Draft()
        elif piece == ":":
            # What stood before is the name of a group.
            draft.words.clear()
        elif piece[0] == "<":
            draft.angle = piece.strip("<>")
        else:
            draft.words.append(piece)
    yield draft


def _comment(value: str, at: int) -> tuple[str, int]:
    """What stands in a comment that has just begun, and where it ends; comments nest."""
    pieces, depth = [], 1
    while depth and (found := _IN_COMMENT.match(value, at)):
        at = found.end()
        depth += (found[0] == "(") - (found[0] == ")")
        pieces.append(found[0])
    return "".join(pieces).removesuffix(")"), at


def _unquoted(piece: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", piece[1:].removesuffix('"'))
