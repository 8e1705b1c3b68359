"""Reads mail that comes back: which sort it is, whom it is about, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apps.protocols.reports.arf import read_complaint
from apps.protocols.reports.autoreply import is_auto_reply
from apps.protocols.reports.draft import Draft, draft_of
from apps.protocols.reports.dsn import statuses_in_text
from apps.protocols.reports.original import original_of, sent_to
from apps.protocols.reports.recipients import from_statuses, from_words, named_in_words
from apps.protocols.reports.signs import is_notice
from apps.protocols.reports.types import (
    LIMITS,
    MAX_STATUS_OCTETS,
    Action,
    Kind,
    Limits,
    Report,
    ReportedRecipient,
    TooMuchError,
)

_KINDS = ((Action.FAILED, Kind.BOUNCE), (Action.DELAYED, Kind.DELAY))
_NOBODY_NAMED = "It says that mail was not delivered, and not to whom."


def read_report(raw: bytes, limits: Limits = LIMITS) -> Report:
    """What this mail reports. Never raises, whatever it holds; time grows no faster than its size."""
    try:
        return _read(draft_of(raw, limits), limits)
    except TooMuchError as error:
        return Report(Kind.OTHER, note=str(error))


def _read(draft: Draft, limits: Limits) -> Report:
    report = Report(
        Kind.OTHER,
        original=original_of(draft.mail, draft.returned, draft.statuses, draft.text),
        sent_to=sent_to(draft.mail),
    )
    complaint = read_complaint(draft.mail, draft.returned)
    if complaint is not None:
        return replace(report, kind=Kind.COMPLAINT, complaint=complaint)
    if draft.statuses is not None:
        return _about(report, from_statuses(draft, draft.statuses))
    if is_notice(draft.mail, draft.subject, draft.text, has_copy=bool(draft.returned)):
        return _read_notice(draft, report, limits)
    return replace(report, kind=Kind.AUTO_REPLY) if is_auto_reply(draft.mail, draft.text) else report


def _read_notice(draft: Draft, report: Report, limits: Limits) -> Report:
    # Only here: a person who asks about a bounce may quote these fields.
    statuses = statuses_in_text("\n".join(draft.lines))
    if statuses is not None:
        return _about(report, from_statuses(draft, statuses))
    if not named_in_words(draft):
        inner = _inner(draft, limits)
        if inner is not None:
            return replace(inner, sent_to=report.sent_to)
    return _about(report, from_words(draft))


def _about(report: Report, recipients: Sequence[ReportedRecipient]) -> Report:
    if not recipients:
        return replace(report, kind=Kind.BOUNCE, note=_NOBODY_NAMED)
    actions = {recipient.action for recipient in recipients}
    # The worst of it names the whole.
    kind = next((kind for action, kind in _KINDS if action in actions), Kind.SUCCESS)
    return replace(report, kind=kind, recipients=tuple(recipients))


def _inner(draft: Draft, limits: Limits) -> Report | None:
    """The report that a gateway passed on whole, inside a notice of its own that names nobody."""
    for part in draft.mail.parts:
        if part.type == "message/rfc822":
            inner = draft_of(part.content(MAX_STATUS_OCTETS), limits)
            return _read(inner, limits) if inner.statuses is not None else None
    return None
