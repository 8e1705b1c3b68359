"""Bounces as the platform records them, through the one door for outcomes."""

from collections.abc import Sequence
from datetime import timedelta

from apps.core import clock
from apps.domains.models import Domain
from apps.messages.models import Bounce, Recipient
from apps.messages.services.outcomes import AttemptFacts, Holding, Outcome, record
from apps.messages.states import AttemptStatus, BounceType, Status
from apps.protocols.address import Mailbox
from apps.suppressions.models import Reason
from apps.workspaces.models import Workspace
from tests.factories import make_message

FULL = "mailbox_full"


def claimed(workspace: Workspace, email: str = "ada@example.com") -> Holding:
    """A new message to this address, in the hands of a worker."""
    domain = Domain.objects.of(workspace.pk).earliest("pk").name
    message = make_message(workspace, email, sender=Mailbox(f"shop@{domain}"))
    rows = Recipient.objects.of(workspace.pk).filter(message=message)
    rows.update(lease_until=clock.database_now() + timedelta(minutes=1), next_attempt_at=None, fence=1)
    row = rows.get()
    return Holding(
        recipient_id=row.pk,
        message_id=message.pk,
        workspace_id=workspace.pk,
        fence=1,
        email=row.email,
        lane=row.lane,
        attempt_count=0,
        tries=0,
        crashes=1,
        queued_at=row.queued_at,
        waited_for=None,
        waiting_since=None,
        last_error="",
    )


def _facts(status: AttemptStatus, code: int, enhanced: str, said: str, rule: str) -> AttemptFacts:
    now = clock.now()
    return AttemptFacts(
        status, now, now, "mx", "mx.example.com", smtp_code=code, enhanced_code=enhanced, response=said, rule=rule
    )


def sent(holding: Holding) -> Outcome:
    return Outcome(holding, Status.SENT, _facts(AttemptStatus.SENT, 250, "2.0.0", "250 2.0.0 OK", "accepted"))


def soft(holding: Holding, rule: str = FULL) -> Outcome:
    facts = _facts(AttemptStatus.FAILED, 552, "5.2.2", "552 5.2.2 Mailbox full", rule)
    return Outcome(holding, Status.BOUNCED, facts, bounce=BounceType.SOFT, error=facts.response)


def hard(holding: Holding) -> Outcome:
    facts = _facts(AttemptStatus.FAILED, 550, "5.1.1", "550 5.1.1 No such user", "no_such_mailbox")
    return Outcome(
        holding, Status.BOUNCED, facts, bounce=BounceType.HARD, suppress=Reason.HARD_BOUNCE, error=facts.response
    )


def refused(holding: Holding, rule: str = "block_listed") -> Outcome:
    facts = _facts(AttemptStatus.FAILED, 550, "5.7.1", "550 5.7.1 Blocked", rule)
    return Outcome(holding, Status.FAILED, facts, error=facts.response)


def make_bounce(workspace: Workspace, email: str = "ada@example.com", *, is_hard: bool = False) -> Bounce:
    """A bounce of a new message to this address, with all that follows from it."""
    holding = claimed(workspace, email)
    record([(hard if is_hard else soft)(holding)])
    row: Bounce = Bounce.objects.of(workspace.pk).get(recipient_id=holding.recipient_id)
    return row


def soft_bounces(workspace: Workspace, count: int, emails: Sequence[str] = ("ada@example.com",)) -> list[Bounce]:
    """One after another, by turns for these spellings."""
    return [make_bounce(workspace, emails[number % len(emails)]) for number in range(count)]
