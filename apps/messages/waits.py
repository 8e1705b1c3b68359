"""Why a recipient waits: a code, a sentence, and who can change it (docs: "Why is it waiting?")."""

from dataclasses import dataclass

from django.db import models


class WaitCode(models.TextChoices):
    QUEUED = "queued"
    RETRY = "retry"
    DESTINATION_PAUSED = "destination_paused"
    DESTINATION_BUSY = "destination_busy"
    DOMAIN_NOT_VERIFIED = "domain_not_verified"
    WORKSPACE_SUSPENDED = "workspace_suspended"
    ATTACHMENT_MISSING = "attachment_missing"
    CONFIGURATION = "configuration"
    QUARANTINE = "quarantine"
    HOLD = "hold"


# No time ends these waits, only somebody who releases the recipient.
FOR_A_PERSON = frozenset({WaitCode.QUARANTINE, WaitCode.HOLD})


@dataclass(frozen=True, slots=True)
class Explanation:
    sentence: str
    who_can_change_it: str
    # It ends without anybody doing anything, while workers run.
    ends_by_itself: bool = False


EXPLANATIONS = {
    WaitCode.QUEUED: Explanation(
        "It waits for a worker.",
        "nobody needs to, while workers run; else the operator of this server",
        ends_by_itself=True,
    ),
    WaitCode.RETRY: Explanation(
        "The receiving server asked us to try again later.",
        "nobody needs to: it is tried again by itself",
        ends_by_itself=True,
    ),
    WaitCode.DESTINATION_PAUSED: Explanation(
        "The receiving servers cannot be reached; they are tried again after a pause.",
        "the receiving side; it is tried again by itself",
    ),
    WaitCode.DESTINATION_BUSY: Explanation(
        "As many messages as its servers allow are on their way there already.",
        "nobody needs to: it goes out as soon as there is room",
        ends_by_itself=True,
    ),
    WaitCode.DOMAIN_NOT_VERIFIED: Explanation(
        "The sender's domain is no longer verified.", "you: publish the domain's DNS records and verify it"
    ),
    WaitCode.WORKSPACE_SUSPENDED: Explanation("The workspace may not send.", "the operator of this server"),
    WaitCode.ATTACHMENT_MISSING: Explanation(
        "A file that it carries was deleted or replaced after the message was accepted; it is not sent without.",
        "you: upload the same file again; what is not there when the message's time ends is given up",
    ),
    WaitCode.CONFIGURATION: Explanation(
        "This server cannot send: its transport or a key is set up wrongly.", "the operator of this server"
    ),
    WaitCode.QUARANTINE: Explanation(
        "A worker died each time it handled this recipient.",
        "the operator of this server: look, then release it",
    ),
    WaitCode.HOLD: Explanation("Held by an operator.", "an operator of this server, by releasing it"),
}


@dataclass(frozen=True, slots=True)
class Wait:
    """A reason to wait, with what is particular to this case."""

    code: WaitCode
    detail: str = ""
