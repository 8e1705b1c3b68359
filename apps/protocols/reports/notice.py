"""Reads the notices that no machine was meant to read: who is named as not reached, and what is said of each.

Addresses are ranked by how they stand in the text. Only the best rank that names anybody counts, so that a
recipient in a list is not joined by everybody else who is mentioned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from apps.protocols.reports.addresses import ADDRESS, bare
from apps.protocols.reports.notice_rules import FAILURE
from apps.protocols.reports.place_rules import (
    ADDRESSED,
    AFTER_LISTED,
    ALIAS,
    BULLETS,
    CAPTION,
    DIALOGUE,
    LABEL,
    NAME_BEFORE,
    NOTHING_ELSE,
    OTHERS,
    OUR_COMMAND,
    ROLE,
    SUMMARY,
)
from apps.protocols.reports.types import MAX_NOTICE_LINES, MAX_RECIPIENTS

_MAX_LINE = 2_000
_MAX_BESIDE = 200  # characters of a line that are looked at on either side of an address
_MAX_IN_LINE = 50
_MAX_MENTIONS = 3_000
_MAX_PROSE = 300  # addresses whose sentences are read; those in lists cost little
_MAX_BLOCK = 40  # lines about one recipient
_MAX_BLOCKS = 20  # times that one is named


class Rank(IntEnum):
    """How surely a place in the text names a recipient; the lowest is the surest."""

    LABELLED = 1  # `Recipient: a@example.com`, `<a@example.com>:`
    LISTED = 2  # alone on its line, or at its head
    SAID = 3  # in a sentence that says: not delivered
    REFUSED = 4  # in an SMTP dialogue, or beside a reply code
    MENTIONED = 5  # anywhere, where it also is a recipient of the message
    SUMMARY = 6  # in the summary of the message, as `To:`


@dataclass(frozen=True, slots=True)
class Mention:
    """An address, where it stands, and how."""

    address: str
    line: int
    rank: Rank


class Notice:
    """A notice, gone through once.

    `own` are the sender's addresses and the reporter's; `recipients` those of the returned message.
    """

    def __init__(self, lines: Sequence[str], own: Iterable[str], recipients: Iterable[str]) -> None:
        self._lines = [line[:_MAX_LINE] for line in lines[:MAX_NOTICE_LINES]]
        self._own = {address.lower() for address in own}
        self._known = {address.lower() for address in recipients} - self._own
        self._prose_left = _MAX_PROSE
        self._aliases: dict[str, list[str]] = {}
        self._mentions = list(self._go_through())
        self._lines_of: dict[str, list[int]] = {}
        self._keys_in: dict[int, set[str]] = {}
        for mention in self._mentions:
            key = mention.address.lower()
            self._lines_of.setdefault(key, []).append(mention.line)
            self._keys_in.setdefault(mention.line, set()).add(key)

    def named(self) -> list[str]:
        """Whom it names as not reached. The sender and people in office only where it names nobody else."""
        strangers = [mention for mention in self._mentions if mention.address.lower() not in self._own]
        private = [mention for mention in strangers if not ROLE.match(mention.address)]
        pool = private or strangers or self._mentions
        if not pool:
            return []
        best = min(mention.rank for mention in pool)
        unique: dict[str, str] = {}
        for mention in pool:
            if mention.rank == best or mention.rank < Rank.LISTED == best:
                unique.setdefault(mention.address.lower(), mention.address)
        return list(unique.values())[:MAX_RECIPIENTS]

    def strangers(self, addresses: Iterable[str]) -> list[str]:
        """Those of them that are not the sender's or the reporter's."""
        return [address for address in addresses if address.lower() not in self._own]

    def aliases_of(self, address: str) -> tuple[str, ...]:
        """Other names that it gives for this recipient."""
        return tuple(self._aliases.get(address.lower(), ()))

    def said_of(self, address: str, everybody: frozenset[str]) -> str:
        """The lines about one of several recipients (`everybody`, lower case): up to where another is named."""
        if len(everybody) <= 1:
            return "\n".join(self._lines)
        key = address.lower()
        others = everybody - {key}
        taken: list[str] = []
        for start in self._lines_of.get(key, [])[:_MAX_BLOCKS]:
            for at in range(start, min(start + _MAX_BLOCK, len(self._lines))):
                if at != start and not others.isdisjoint(self._keys_in.get(at, ())):
                    break
                taken.append(self._lines[at])
        return "\n".join(taken)

    def _go_through(self) -> Iterator[Mention]:
        last, count = "", 0
        for at, line in enumerate(self._lines):
            for found in list(ADDRESS.finditer(line) if "@" in line else ())[:_MAX_IN_LINE]:
                address = bare(found[0])
                before = line[max(0, found.start() - _MAX_BESIDE) : found.start()]
                is_alias = ALIAS.search(before[-60:]) is not None
                if last and is_alias:
                    self._aliases.setdefault(last.lower(), []).append(address)
                    continue
                # The alias of something that is no address (a pipe, a local user) is all there is.
                rank = Rank.SAID if is_alias else self._rank(at, address, before, line[found.end() :][:_MAX_BESIDE])
                if rank is not None and count < _MAX_MENTIONS:
                    yield Mention(address, at, rank)
                    last, count = address, count + 1

    def _rank(self, at: int, address: str, before: str, after: str) -> Rank | None:
        rank = _rank_in_list(before, after)
        if rank is None and self._prose_left > 0:
            self._prose_left -= 1
            rank = self._rank_in_prose(at, before, after)
        if rank in (None, Rank.SUMMARY) and address.lower() in self._known and not OTHERS.search(before):
            return Rank.MENTIONED
        return rank

    def _rank_in_prose(self, at: int, before: str, after: str) -> Rank | None:
        if DIALOGUE.search(before) and not OUR_COMMAND.search(before):
            return Rank.REFUSED
        if SUMMARY.match(before):
            return Rank.SUMMARY
        if OTHERS.search(before):
            return None
        whole = f"{before} {after}"
        if (
            ADDRESSED.search(before)
            or (CAPTION.match(before) and NOTHING_ELSE.match(after))
            or FAILURE.search(whole)
            or FAILURE.search(f"{self._line_above(at)} {before}")
        ):
            return Rank.SAID
        return Rank.REFUSED if DIALOGUE.search(whole) else None

    def _line_above(self, at: int) -> str:
        """The nearest line above that says something."""
        for line in reversed(self._lines[max(0, at - 3) : at]):
            if line.strip():
                return line.strip()[-_MAX_BESIDE:]
        return ""


def _rank_in_list(before: str, after: str) -> Rank | None:
    if LABEL.match(before):
        return Rank.LABELLED
    is_alone = NOTHING_ELSE.match(after) is not None
    if not BULLETS.match(before):
        return Rank.LISTED if is_alone and NAME_BEFORE.match(before) else None
    if after.lstrip(">\"' ").startswith(":"):
        return Rank.LABELLED
    if is_alone or AFTER_LISTED.match(after) or FAILURE.search(after) or DIALOGUE.search(after):
        return Rank.LISTED
    return None
