"""Draws the conclusions about one recipient from the codes and the words of a report."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.protocols.reply import Meaning, read
from apps.protocols.reply_rules import BLOCK_LISTED, MAILBOX_FULL
from apps.protocols.reports.codes import Codes, codes_in, status_in
from apps.protocols.reports.notice_rules import EXPIRED, HARD_WORDS, SOFT_WORDS
from apps.protocols.reports.types import MAX_DIAGNOSTIC, Action, Permanence
from apps.protocols.smtp_wire import Reply

# Whatever the code says: a full mailbox is alive, and a block list is about us.
_SPARED = re.compile(f"{MAILBOX_FULL.pattern}|{BLOCK_LISTED.pattern}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows for one recipient."""

    status: str | None
    code: int | None
    permanence: Permanence
    reason: str
    fault: str
    suppress: bool
    diagnostic: str


def verdict(action: Action, status_field: str, text: str) -> Verdict:
    """`status_field` is the Status of a DSN, or nothing; `text` what was said, in whatever form."""
    stated = status_in(status_field)
    # Some put the reply where the status belongs.
    codes = codes_in(text if stated or not status_field[:3].isdigit() else f"{status_field}\n{text}")
    status = _better(stated, codes.status)
    shown = _shown(codes)
    if action not in (Action.FAILED, Action.DELAYED):
        return Verdict(status, codes.code, Permanence.UNKNOWN, "", "", False, shown)
    permanence = _permanence(action, status_field, stated, codes)
    meaning = _meaning(stated, codes, permanence)
    return Verdict(
        status=status,
        code=codes.code,
        permanence=permanence,
        reason=meaning.rule,
        fault=str(meaning.fault),
        suppress=meaning.suppress and permanence is Permanence.HARD and not _SPARED.search(codes.said),
        diagnostic=shown,
    )


def _shown(codes: Codes) -> str:
    parts = (str(codes.code), codes.status, codes.said) if codes.code else (codes.text,)
    return " ".join(" ".join(filter(None, parts)).split())[:MAX_DIAGNOSTIC]


def _better(stated: str | None, quoted: str | None) -> str | None:
    """`5.0.0` says no more than its class, so the code that was quoted is told instead if it is of that class."""
    if stated is None or quoted is None:
        return stated or quoted
    says_little = stated.split(".")[1] == "0"
    return quoted if says_little and quoted[0] == stated[0] else stated


def _permanence(action: Action, status_field: str, stated: str | None, codes: Codes) -> Permanence:
    if action is Action.DELAYED:
        return Permanence.SOFT
    # `5.1` is no code, but its first figure is clear.
    found = stated or codes.status or status_field.strip()
    classes = {found[:1], str(codes.code or "")[:1]} & {"4", "5"}
    if len(classes) == 2:
        return Permanence.UNKNOWN
    if classes:
        return Permanence.HARD if "5" in classes else Permanence.SOFT
    return by_words(codes.text)


def by_words(text: str) -> Permanence:
    """What the words say where no code does."""
    words = " ".join(text.split())[:10_000]
    if SOFT_WORDS.search(words):
        return Permanence.SOFT
    if HARD_WORDS.search(words):
        return Permanence.HARD
    return Permanence.SOFT if EXPIRED.search(words) else Permanence.UNKNOWN


def _meaning(stated: str | None, codes: Codes, permanence: Permanence) -> Meaning:
    """As if the reply had come to us; where no code is given, the one that fits what is known.

    The code that is quoted goes before the one that the reporter made of it: many make 5.1.1 of everything.
    """
    status = codes.status or stated
    assumed = 450 if permanence is Permanence.SOFT else 550
    if codes.code is None and status is not None:
        assumed = 450 if status[0] == "4" else 550
    return read(Reply(codes.code or assumed, status, codes.said, codes.phase, 0))
