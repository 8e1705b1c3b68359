"""Finds the message that a report is about, and those of its recipients of whom it speaks.

Anyone may write a report. What may touch a recipient is what a stranger cannot know: a return path that we signed, or
the Message-ID, which holds an unguessable id; and the recipient named must be one that the message had.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.core.crypto import derived_keys
from apps.core.errors import TemporarilyUnavailable
from apps.core.ids import parse_id
from apps.inbound.states import Matched, MatchedBy
from apps.messages.models import Message, Recipient
from apps.messages.states import Status
from apps.protocols import verp
from apps.protocols.address import comparison_key
from apps.protocols.reports.types import Kind, Report, ReportedRecipient

_MESSAGE_ID = re.compile(r"<?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@([A-Za-z0-9.-]{1,253})>?")
# Header fields that may hold the return path, and those in which other systems keep a Message-ID they replaced.
_PATHS = ("return-path", "x-envelope-from", "x-original-return-path", "x-original-envelope-from", "envelope-from")
_IDS = ("x-original-message-id", "x-google-original-message-id", "in-reply-to", "references", "resent-message-id")
MAX_NAMED = 200
# In a complaint the address is often made unreadable (RFC 6590); then it names nobody rather than somebody else.
_REDACTED = re.compile(r"redact|^[*x]{3,}|\*{2,}|^[0-9a-f]{32,}$|undisclosed", re.IGNORECASE)
# Of a recipient that nothing was handed over for, nobody can report anything.
_HANDED_OVER = frozenset({Status.SENT, Status.BOUNCED, Status.FAILED})

NO_SIGN = "It names neither a return path that we signed nor the Message-ID of a message of ours."
BAD_SIGNATURE = "It came to a return path that looks like ours and that we did not sign."
GONE = "It names a message that is not here any more."
NAMES_NOBODY = "It does not say whom of several recipients it is about."
NOT_SENT = "It is about a recipient to whom the message was not handed over."
OTHER_RECIPIENT = "It is about somebody to whom the message was never addressed."


@dataclass(frozen=True, slots=True)
class About:
    """A recipient of ours, and what the report says of it; None: only that it is about this one."""

    recipient: Recipient
    said: ReportedRecipient | None


@dataclass(frozen=True, slots=True)
class Match:
    """What a report belongs to. Without `about` it touches nobody."""

    status: Matched
    explanation: str = ""
    by: MatchedBy | None = None
    message: Message | None = None
    about: Sequence[About] = ()


def match(report: Report, envelope: Sequence[str]) -> Match:
    """`envelope`: whom the report was sent to. Raises TemporarilyUnavailable where an outcome is just being written."""
    if report.kind in (Kind.AUTO_REPLY, Kind.OTHER):
        return Match(Matched.IGNORED, report.note or _NO_REPORT[report.kind])
    paths = [*envelope, *report.sent_to, *_returned_paths(report)]
    signed = next(filter(None, (verp.read(path, secrets=derived_keys("verp")) for path in paths)), None)
    if signed is not None:
        first: Recipient | None = Recipient.objects.across_workspaces().filter(pk=signed).first()
        return _within(report, first.message_id, MatchedBy.RETURN_PATH) if first else Match(Matched.UNMATCHED, GONE)
    if any(verp.is_in_form(path) for path in paths):
        return Match(Matched.FORGED, BAD_SIGNATURE)
    for by, texts in (
        (MatchedBy.MESSAGE_ID, [report.original.message_id]),
        (MatchedBy.HEADERS, _values(report, _IDS)),
    ):
        if (message_id := _ours(texts)) is not None:
            return _within(report, message_id, by)
    return Match(Matched.UNMATCHED, NO_SIGN)


_NO_REPORT = {
    Kind.AUTO_REPLY: "An automatic answer says nothing about delivery.",
    Kind.OTHER: "It reports nothing about a delivery.",
}


def _returned_paths(report: Report) -> list[str]:
    said_by_complaint = [report.complaint.original_mail_from] if report.complaint else []
    found = [report.original.return_path, *said_by_complaint, *_values(report, _PATHS)]
    return [path.strip("<> \t") for path in found if path]


def _values(report: Report, names: Sequence[str]) -> list[str]:
    return [value for name, value in report.original.headers if name in names]


def _ours(texts: Iterable[str]) -> UUID | None:
    """The message whose Message-ID stands in one of these texts."""
    named = [found for text in texts for found in _MESSAGE_ID.findall(text[:2_000])][:MAX_NAMED]
    by_id = {identifier: f"{text}@{domain}" for text, domain in named if (identifier := parse_id(text))}
    rows = Message.objects.across_workspaces().filter(pk__in=by_id).values_list("pk", "rfc_message_id")
    found = {pk for pk, rfc_message_id in rows if by_id[pk].lower() == rfc_message_id.lower()}
    return next((identifier for identifier in by_id if identifier in found), None)


def _within(report: Report, message_id: UUID, by: MatchedBy) -> Match:
    """Holds what the report says against the message's recipients."""
    message: Message | None = Message.objects.across_workspaces().filter(pk=message_id).first()
    if message is None:
        return Match(Matched.UNMATCHED, GONE, by)
    recipients = list(Recipient.objects.of(message.workspace_id).filter(message_id=message_id))
    about = _about(report, recipients)
    if about is None:
        return Match(Matched.FORGED, OTHER_RECIPIENT, by, message)
    if not about:
        return Match(Matched.UNMATCHED, NAMES_NOBODY, by, message)
    if any(one.recipient.status == Status.SENDING for one in about):
        # The server's report was faster than our record of its answer.
        raise TemporarilyUnavailable("The delivery that this is about is being recorded; send it again in a moment.")
    handed_over = [one for one in about if one.recipient.status in _HANDED_OVER]
    if not handed_over:
        return Match(Matched.UNMATCHED, NOT_SENT, by, message)
    return Match(Matched.MATCHED, by=by, message=message, about=handed_over)


def _about(report: Report, recipients: Sequence[Recipient]) -> list[About] | None:
    """The recipients of whom it speaks; none where it names nobody, None where it names only others."""
    by_key = {comparison_key(recipient.email): recipient for recipient in recipients}
    if report.complaint is not None:
        named = [*report.complaint.original_rcpt_to, *report.complaint.removal_recipient]
        named = [address for address in named if not _REDACTED.search(address)]
        said: list[tuple[Recipient | None, ReportedRecipient | None]]
        said = [(by_key.get(comparison_key(address)), None) for address in named]
    else:
        said = [(_meant(one, by_key), one) for one in report.recipients]
    if not said:
        return [About(recipients[0], None)] if len(recipients) == 1 else []
    found = {recipient.pk: About(recipient, one) for recipient, one in reversed(said) if recipient is not None}
    return list(found.values()) or None


def _meant(said: ReportedRecipient, by_key: dict[str, Recipient]) -> Recipient | None:
    keys = (comparison_key(address) for address in (said.address, *said.alternatives))
    return next((by_key[key] for key in keys if key in by_key), None)
