"""What a report says, as plain values that can cross a process boundary; and the limits of what is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What sort of mail it is."""

    BOUNCE = "bounce"  # somebody did not get the message, and will not
    DELAY = "delay"  # the MTA is still trying
    SUCCESS = "success"  # a notice that the message arrived, was relayed or expanded
    AUTO_REPLY = "auto_reply"  # a vacation notice and its like (RFC 3834)
    COMPLAINT = "complaint"  # a feedback report (RFC 5965)
    OTHER = "other"  # nothing that says anything about a delivery, or nothing that could be read


class Action(StrEnum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Permanence(StrEnum):
    """What the answer of the receiving side says about the next message to this address."""

    HARD = "hard"  # 5.x.x or 5yz: it will be refused again
    SOFT = "soft"  # 4.x.x or 4yz: it may be taken; also where the MTA gave up after many of these
    UNKNOWN = "unknown"  # codes that contradict each other, or no code and no telling words


class Disposition(StrEnum):
    """What became of this message: the other question, which a code does not answer."""

    PERMANENT = "permanent"  # the MTA gave up
    TEMPORARY = "temporary"  # it goes on trying


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One address the report is about."""

    address: str
    alternatives: tuple[str, ...]  # other names of the same: as first given, as rewritten, as forwarded
    action: Action
    status: str | None  # RFC 3463, `5.1.1`
    code: int | None  # RFC 5321, 550
    permanence: Permanence
    disposition: Disposition | None  # None where the message arrived
    reason: str  # the rule of `reply_rules` that explains it, or nothing
    fault: str  # `reply_rules.Fault`: who is to blame, or nothing
    suppress: bool  # the address itself is dead (never from a policy or a reputation)
    diagnostic: str  # what the receiving side said, one line, bounded


@dataclass(frozen=True, slots=True)
class OriginalMessage:
    """What the report lets us know of the message it is about; empty where it does not say.

    Nothing here is proof: whoever writes a report can write anything into it.
    """

    message_id: str = ""
    envelope_id: str = ""  # Original-Envelope-Id (RFC 3464 section 2.2.1): the ENVID we gave
    return_path: str = ""
    from_: str = ""
    to: str = ""
    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # lower-case name, value: the first of those returned


@dataclass(frozen=True, slots=True)
class Complaint:
    """RFC 5965 section 3, with the addresses bare."""

    feedback_type: str = ""  # abuse, fraud, virus, not-spam, opt-out, auth-failure, other
    user_agent: str = ""
    version: str = ""
    source_ip: str = ""
    original_mail_from: str = ""
    original_rcpt_to: tuple[str, ...] = ()
    removal_recipient: tuple[str, ...] = ()
    reported_domain: tuple[str, ...] = ()
    arrival_date: str = ""
    reporting_mta: str = ""
    auth_failure: str = ""
    fields: tuple[str, ...] = ()  # the names of all fields, sorted


@dataclass(frozen=True, slots=True)
class Report:
    """One piece of mail, read. `note` says why, where nothing could be made of it."""

    kind: Kind
    recipients: tuple[ReportedRecipient, ...] = ()
    original: OriginalMessage = OriginalMessage()
    complaint: Complaint | None = None
    sent_to: tuple[str, ...] = ()  # whom the report was sent to: our return path, if it is genuine
    note: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a message may have; beyond it the message is not read at all."""

    octets: int = 32 * 1024 * 1024
    lines: int = 500_000
    fields: int = 1_000  # header fields of one entity
    field_octets: int = 65_536  # of one header field, unfolded
    parts: int = 500
    depth: int = 20


LIMITS = Limits()

# What is taken of it; the rest is cut.
MAX_NOTICE_OCTETS = 65_536  # the words for people
MAX_NOTICE_LINES = 1_000
MAX_STATUS_OCTETS = 1024 * 1024  # each machine-readable part
MAX_RETURNED_OCTETS = 256 * 1024  # of the returned message, whose header is all that matters
MAX_RETURNED_FIELDS = 100
MAX_RECIPIENTS = 1_000
MAX_DIAGNOSTIC = 1_000  # characters
MAX_VALUE = 1_000  # characters of any other value that is handed on


class TooMuchError(ValueError):
    """A limit is exceeded; the message says which."""
