"""Reads what a reply means: whose fault, for how long, what follows from it (RFC 3463, RFC 5321 section 4.2).

The rules are data, in `reply_rules.py`: enhanced code first, then basic code, then text. Three questions are
kept apart, since mixing them is how address lists get ruined: is this try over for good (`permanent`), is the
address dead (`suppress`, `bounce`), must somebody act (`alert`).
"""

from __future__ import annotations

from dataclasses import replace

from apps.protocols.reply_rules import (
    ACCEPTED,
    BEFORE_MAIL,
    DEFERRED,
    ENHANCED,
    FAILURES,
    PLAIN,
    REFUSED,
    SENDER,
    Bounce,
    Charge,
    Fault,
    Meaning,
)
from apps.protocols.smtp_wire import Failure, FailureKind, Phase, Reply

__all__ = ["Bounce", "Charge", "Fault", "Meaning", "explanation_of", "read"]

_SHARED_RULE = "_shared"
_MEANINGS = (
    *(rule.meaning for rule in (*ENHANCED, *PLAIN, *BEFORE_MAIL)),
    *(DEFERRED, ACCEPTED, SENDER, *REFUSED.values(), *FAILURES.values()),
)
_EXPLANATIONS = {meaning.rule: meaning.explanation for meaning in _MEANINGS}

# Said before there is a message: these are about this server and us, never about a recipient.
_OPENING = frozenset({Phase.CONNECT, Phase.BANNER, Phase.EHLO, Phase.STARTTLS, Phase.AUTH, Phase.RSET})
# Said once for all recipients that were accepted.
_SHARED = frozenset({Phase.DATA, Phase.DOT})


def read(reply: Reply | Failure, *, recipients: int = 1) -> Meaning:
    """What this answer means. Never raises, whatever the server wrote.

    `recipients` is how many share the answer: what is said to several after DATA condemns none of them.
    """
    if isinstance(reply, Failure):
        return FAILURES[reply.kind]
    if reply.code < 400:
        # 3yz never ends anything: taking it for consent would lose the message.
        return ACCEPTED if reply.code < 300 else FAILURES[FailureKind.PROTOCOL]
    meaning = _settled(reply, _matched(reply))
    if meaning.suppress and recipients > 1 and reply.command in _SHARED:
        return replace(meaning, suppress=False, bounce=None, rule=f"{meaning.rule}{_SHARED_RULE}")
    return meaning


def explanation_of(rule: str) -> str:
    """What the rule of this name says of a reply, or nothing where there is no such rule any more."""
    return _EXPLANATIONS.get(rule.removesuffix(_SHARED_RULE), "")


def _matched(reply: Reply) -> Meaning:
    # The basic code's first digit decides how long it lasts, so the enhanced class is read as if it agreed.
    code = f"{reply.code // 100}.{reply.enhanced.partition('.')[2]}" if reply.enhanced else ""
    # A code that says nothing ("5.0.0") still leaves the text to be read.
    rules = BEFORE_MAIL if reply.command in _OPENING else ENHANCED + PLAIN
    for rule in rules:
        if rule.matches(reply, code):
            return rule.meaning
    return DEFERRED if reply.code < 500 else REFUSED.get(reply.command, REFUSED[Phase.DOT])


def _settled(reply: Reply, meaning: Meaning) -> Meaning:
    """Hold the verdict against the facts that overrule it."""
    if reply.command is Phase.MAIL and meaning.fault is Fault.RECIPIENT:
        # No recipient has been named yet: what is said about an address here is said about ours.
        meaning = SENDER
    if reply.code < 500:
        # 4yz is temporary whatever else it says, and the temporary says nothing about an address.
        return replace(meaning, permanent=False, suppress=False, bounce=None)
    if meaning.suppress and reply.enhanced is not None and reply.enhanced[0] != "5":
        # Two codes that contradict each other are no ground for never writing again.
        return replace(meaning, suppress=False, bounce=None)
    return meaning
