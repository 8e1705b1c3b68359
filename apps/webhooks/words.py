"""Says what came of a request in the words of whoever runs the receiving server."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from apps.core.http import Reply
from apps.webhooks import schedule
from apps.webhooks.models import MAX_SNIPPET

MAX_SHOWN = 200
# Who says when to come back is believed (RFC 9110, section 10.2.3).
TELLS_WHEN = frozenset({429, 503})


def error_of(reply: Reply) -> tuple[str, str]:
    """A code and a sentence for an answer that is no success; both blank for one that is."""
    if 200 <= reply.status < 300:
        return "", ""
    if 300 <= reply.status < 400:
        return "redirect", _redirect(reply)
    answered = f"Your server answered {_named(reply.status)} after {_spoken(reply.seconds)}."
    return "http_status", f"{answered} The endpoint is disabled." if reply.status == HTTPStatus.GONE else answered


def snippet_of(reply: Reply) -> str:
    """The first bytes of the answer as text that can be stored."""
    return reply.body[:MAX_SNIPPET].decode("utf-8", "replace").replace("\0", "\ufffd")


def wish_of(reply: Reply, now: datetime) -> timedelta | None:
    """How long the server wants to be left alone, within bounds."""
    text = reply.headers.get("retry-after", "").strip()
    if reply.status not in TELLS_WHEN or not text:
        return None
    if text.isascii() and text.isdigit():
        return schedule.wish(float(text[:12]))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return schedule.wish((aware - now).total_seconds())


def _spoken(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _redirect(reply: Reply) -> str:
    place = reply.headers.get("location", "")
    shown = "".join(char if char.isprintable() else "?" for char in place[:MAX_SHOWN])
    where = f" to {shown}" if shown else ""
    return (
        f"Your server answered {_named(reply.status)}{where}. Redirects are not followed: register that address itself."
    )
