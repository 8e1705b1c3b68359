"""Whether a message without machine-readable parts is a notice about a delivery at all.

No single sign decides: daemons also send other mail, and people write about bounces.
"""

from __future__ import annotations

from apps.protocols.reports.addresses import typed
from apps.protocols.reports.codes import codes_in
from apps.protocols.reports.notice_rules import (
    AUTO_REPLY_SUBJECT,
    BOUNCE_SUBJECT,
    CHALLENGE,
    DAEMON,
    DAEMON_NAME,
    DELAY,
    FAILURE,
    MACHINE,
    NO_REPLY,
    NOT_DELIVERED,
    REPLY_SUBJECT,
)
from apps.protocols.reports.parts import Mail, every, first

_MDN = "message/disposition-notification"


def is_notice(mail: Mail, subject: str, notice: str, *, has_copy: bool) -> bool:
    """Whether the message says, by its envelope and by its words, that mail was not delivered."""
    if any(part.type == _MDN for part in mail.parts):
        return False
    if every(mail.fields, "x-failed-recipients"):
        return True
    if AUTO_REPLY_SUBJECT.search(subject) and not BOUNCE_SUBJECT.search(subject):
        return False
    has_title = BOUNCE_SUBJECT.search(subject) is not None and REPLY_SUBJECT.match(subject) is None
    envelope = _sender_signs(mail) + 2 * has_title
    words = " ".join(notice.split())[:10_000]
    if not has_title:
        envelope -= _is_for_many(mail)
        if CHALLENGE.search(words):
            return False
    codes = codes_in(notice)
    said = 2 * bool(NOT_DELIVERED.search(words)) + bool(FAILURE.search(words) or DELAY.search(words))
    said += has_copy + bool(codes.code or codes.status)
    said += MACHINE.search(words) is not None
    # A daemon under a title that says so needs no words that we understand; people need all of it.
    return envelope >= 4 or (envelope == 3 and said >= 2) or (envelope == 2 and said >= 5)


def _sender_signs(mail: Mail) -> int:
    sender = (first(mail.fields, "from") or first(mail.fields, "sender"))[:500]
    local = typed(sender).partition("@")[0].lower()
    path = first(mail.fields, "return-path").strip(" <>").partition("@")[0].lower()
    has_path = bool(every(mail.fields, "return-path"))
    kind = mail.parameters.get("report-type", "").lower()
    signs = 2 * bool(DAEMON.search(local) or DAEMON_NAME.search(sender) or "<>" in sender or not sender)
    signs += (local == "mailer-daemon") + (NO_REPLY.search(local) is not None)
    signs += has_path and path in ("", "mailer-daemon", "postmaster")
    signs += 2 * (kind == "delivery-status" or mail.type == "multipart/report")
    return signs + first(mail.fields, "auto-submitted").lower().startswith("auto-")


def _is_for_many(mail: Mail) -> bool:
    """Newsletters and lists; some lists pass bounces on, though, and those come from a daemon."""
    sender = typed(first(mail.fields, "from")[:500]).lower()
    is_list = bool(every(mail.fields, "list-id") or every(mail.fields, "list-unsubscribe"))
    return is_list and not sender.startswith("mailer-daemon@")
