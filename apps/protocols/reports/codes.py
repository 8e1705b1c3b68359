"""Finds the SMTP reply in what a report says, and draws the conclusions: status, permanence, reason.

What a reply means is read where all replies are read (`reply.py`). Here is only how to find one in prose, and
what follows when several codes, or none, are given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.protocols.smtp_wire import Phase, RawReply, clean, reply_from

# RFC 3463 section 2, on its own: not the middle of a version, an IP address or a date.
_STATUS = re.compile(r"(?<![\w./-])([245])\.(\d{1,3})\.(\d{1,3})(?!\d|\.\d)")
_VERSION = re.compile(
    r"(?:exim|version|release|\bv|build|mailer|postfix|sendmail|qmail|service|server)\W{0,3}$", re.IGNORECASE
)
# `550 5.1.1`, `550-5.7.1`, `550: 5.2.2`, `550 #5.1.1`, `550 (#5.1.1`
_WITH_STATUS = re.compile(
    r"(?<![\w.@/:+-])([45][0-7]\d)[-: ]{1,3}#?\(?#?([245]\.\d{1,3}\.\d{1,3})(?!\d|\.\d)", re.ASCII
)
_NO_AMOUNT = r"(?![ ]?(?:bytes|octets|kb|mb|seconds|sec|minutes|hours|days|messages)\b)"
_AT_START = re.compile(
    rf"^[\s>|*#\"'(\[<-]{{0,8}}([45][0-7]\d)(?=[\s:\-]|$){_NO_AMOUNT}", re.MULTILINE | re.IGNORECASE | re.ASCII
)
# `said: 550`, `<<< 550`, `error code is 550`, `(reason: 550`
_AFTER_MARK = re.compile(
    r"(?:said|says|saying|responded|response(?: was)?|respuesta|reply(?: was)?|answer(?:ed)?|returned"
    r"|error(?: code)?(?: is| was)?|code|status|reason|because|with|failed|failure|smtp|command|data|rcpt(?: to)?"
    r"|<<<|>>>|\.\.\.|[\])>\"':;=,({\[*-])[\s:\"'=<(\[#>-]{0,6}"
    rf"([45][0-7]\d)(?=[\s:\-\"')\]#,;]|$){_NO_AMOUNT}",
    re.IGNORECASE | re.ASCII,
)
# `Other mail system problem 550-'Unknown user`
_AMONG_WORDS = re.compile(r"(?<=\s)([45][0-7]\d)(?:-|[ ]{1,2})(?=[\"'<A-Z#])", re.ASCII)
_PHASES = (
    (Phase.MAIL, re.compile(r"(?:reply to|after|response to|>>>|-->|\[)\W{0,3}mail[ _]from", re.IGNORECASE)),
    (
        Phase.DOT,
        re.compile(
            r"end of (?:data|message)|after i sent the message|(?:>>>|-->|reply to|after) ?DATA\b", re.IGNORECASE
        ),
    ),
)
_CONTINUED = re.compile(r"^[45]\d\d[- ]")
_MAX_SEARCHED = 20_000
_MAX_REPLY_LINES = 12


@dataclass(frozen=True, slots=True)
class Codes:
    """What was found of a reply, and the words around it."""

    status: str | None
    code: int | None
    text: str  # all that was searched
    said: str  # the reply alone, as one line; all of it where no reply was found
    phase: Phase = Phase.RCPT


def status_in(text: str) -> str | None:
    """The first RFC 3463 code that is no part of a version number."""
    for found in _STATUS.finditer(text, 0, _MAX_SEARCHED):
        if not _VERSION.search(text[max(0, found.start() - 20) : found.start()]):
            return f"{found[1]}.{int(found[2])}.{int(found[3])}"
    return None


def codes_in(text: str) -> Codes:
    """The reply that a piece of prose or a Diagnostic-Code quotes."""
    text = text[:_MAX_SEARCHED]
    found = _WITH_STATUS.search(text)
    if found is None:
        found = _AT_START.search(text) or _AFTER_MARK.search(text) or _AMONG_WORDS.search(text)
    whole = clean(text)
    if found is None:
        return Codes(status_in(text), None, whole, whole)
    # What it answered stands right before it, or in the words that follow.
    near = text[max(0, found.start() - 150) : found.end() + 400]
    phase = next((phase for phase, words in _PHASES if words.search(near)), Phase.RCPT)
    reply = reply_from(RawReply(int(found[1]), _reply_lines(text, found)), phase, 0)
    return Codes(reply.enhanced or status_in(text), reply.code, whole, reply.text, phase)


def _reply_lines(text: str, found: re.Match[str]) -> list[bytes]:
    """From the code on, each line without it, as `ReplyParser` would give them; up to an empty line."""
    first, *more = text[found.end(1) :].splitlines()[:_MAX_REPLY_LINES] or [""]
    lines = [first.lstrip(" :-").lstrip("#(")]
    for line in more:
        if not line.strip():
            break
        lines.append(_CONTINUED.sub("", line.strip()))
    return [line.encode("utf-8", "replace") for line in lines]
