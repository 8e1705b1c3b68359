"""Why scheduled mail has not been sent yet: a code, a sentence, and who can change it."""

from django.db import models

from apps.core.errors import Problem
from apps.messages.waits import Explanation


class WaitCode(models.TextChoices):
    NOT_DUE = "not_due"
    QUEUED = "queued"
    LIMIT = "limit"
    DOMAIN_NOT_VERIFIED = "domain_not_verified"
    WORKSPACE_SUSPENDED = "workspace_suspended"
    ATTACHMENT_MISSING = "attachment_missing"
    SERVER_TROUBLE = "server_trouble"


EXPLANATIONS = {
    WaitCode.NOT_DUE: Explanation(
        "Its time has not come.",
        "you: change its time with PATCH /mail/scheduled/{id}, or cancel it",
        ends_by_itself=True,
    ),
    WaitCode.QUEUED: Explanation(
        "It waits for a worker.",
        "nobody needs to, while workers run; else the operator of this server",
        ends_by_itself=True,
    ),
    WaitCode.LIMIT: Explanation(
        "The workspace has used up what it may send.",
        "the operator of this server, by a higher limit; else it goes out when the next period begins",
        ends_by_itself=True,
    ),
    WaitCode.DOMAIN_NOT_VERIFIED: Explanation(
        "The sender's domain is no longer verified.", "you: publish the domain's DNS records and verify it"
    ),
    WaitCode.WORKSPACE_SUSPENDED: Explanation("The workspace may not send.", "the operator of this server"),
    WaitCode.ATTACHMENT_MISSING: Explanation(
        "A file that it carries is not there; it is not sent without.",
        "you: cancel it and schedule it anew with a file that is there",
    ),
    WaitCode.SERVER_TROUBLE: Explanation(
        "Something went wrong on our side; it is tried again by itself.", "the operator of this server"
    ),
}
# Refusals that somebody can end, so that the mail waits for it. Every other one of a caller's making is final.
_WAITED_OUT = {
    "daily_limit_exceeded": WaitCode.LIMIT,
    "hourly_limit_exceeded": WaitCode.LIMIT,
    "domain_not_verified": WaitCode.DOMAIN_NOT_VERIFIED,
    "sending_disabled": WaitCode.WORKSPACE_SUSPENDED,
    "attachment_not_found": WaitCode.ATTACHMENT_MISSING,
    "attachment_not_ready": WaitCode.ATTACHMENT_MISSING,
}


def wait_for(refusal: Problem) -> WaitCode | None:
    """What mail waits for after this refusal at its time; None: it is refused for good."""
    if refusal.status == 429 or refusal.code in _WAITED_OUT:
        return _WAITED_OUT.get(refusal.code, WaitCode.LIMIT)
    return WaitCode.SERVER_TROUBLE if refusal.status >= 500 else None
