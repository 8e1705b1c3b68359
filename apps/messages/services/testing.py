"""Sends a template with sample data to see what it looks like, and tells that it was a test."""

from collections.abc import Sequence
from uuid import UUID

from apps.core.rows import Part
from apps.events.models import Event
from apps.events.services import rows_of
from apps.keys.services import Caller
from apps.messages.services.accept import accept
from apps.messages.services.draft import Accepted, Draft, Order
from apps.templates.services.happenings import test_sent


def send_test(caller: Caller, draft: Draft) -> Accepted:
    """Stores a message that a template made, with its event. Raises what `accept` raises."""
    origin = draft.origin
    if origin.template_id is None or origin.template_version_id is None:
        raise ValueError("a test is of a template's version")
    tested: tuple[UUID, UUID] = (origin.template_id, origin.template_version_id)
    recipients = [addressee.mailbox.email for addressee in draft.recipients]

    def event_of(accepted: Accepted) -> Sequence[Part]:
        event = test_sent(caller.workspace_id, *tested, accepted.message_id, recipients)
        return [(Event, rows_of([event], at=accepted.created_at))]

    return accept(caller, Order(draft), beside=event_of)
