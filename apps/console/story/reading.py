"""Everything that the story of one message shows, in a number of queries that no message can raise."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from apps.console.story.telling import Card, card, headline
from apps.console.story.timeline import Line, timeline
from apps.core import clock
from apps.events.models import Event
from apps.messages.models import Attempt, Bounce, Message, Recipient
from apps.messages.operations import Verb
from apps.messages.story import talk_of
from apps.protocols.address import comparison_key
from apps.protocols.reply import Fault, explanation_of
from apps.suppressions.services import in_force

MAX_ATTEMPTS = 25
MAX_RECIPIENTS = 100
MAX_MOMENTS = 500

CLASSES = {
    Fault.RECIPIENT: "about this recipient",
    Fault.CONTENT: "about this message",
    Fault.POLICY: "about us: reputation, authentication or a rule of theirs",
    Fault.INFRASTRUCTURE: "about the way there, or the server itself",
    Fault.TEMPORARY: "about nothing in particular: come again",
}


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt with what its reply means and what followed."""

    row: Attempt
    lines: Sequence[tuple[object, object, object]]
    reply_class: str
    explanation: str
    bounce: Bounce | None


@dataclass(frozen=True, slots=True)
class Story:
    headline: str
    cards: Sequence[Card]
    verbs: Sequence[Verb]
    lines: Sequence[Line]
    tries: Sequence[Try]
    has_more_tries: bool
    has_more_recipients: bool
    has_more_moments: bool


def read(message: Message) -> Story:
    """The story as it stands now."""
    now = clock.database_now()
    workspace = message.workspace_id
    recipients = list(Recipient.objects.of(workspace).filter(message=message).order_by("position"))
    attempts = list(Attempt.objects.of(workspace).filter(message=message).order_by("-pk")[: MAX_ATTEMPTS + 1])
    events = list(Event.objects.of(workspace).filter(message_id=message.pk).order_by("-pk")[: MAX_MOMENTS + 1])
    bounces = {row.recipient_id: row for row in Bounce.objects.of(workspace).filter(message=message).order_by("pk")}
    addresses = [(workspace, comparison_key(row.email)) for row in recipients]
    suppressed = in_force(set(addresses))
    cards = [card(row, suppressed.get(address), now=now) for row, address in zip(recipients, addresses, strict=True)]
    return Story(
        headline=headline(message, recipients, now=now),
        cards=cards[:MAX_RECIPIENTS],
        verbs=[verb for verb in Verb if any(verb in card.verbs for card in cards)],
        lines=timeline(events[:MAX_MOMENTS], attempts[:MAX_ATTEMPTS], _entries(message)),
        tries=[_try(attempt, bounces.get(attempt.recipient_id)) for attempt in attempts[:MAX_ATTEMPTS]],
        has_more_tries=len(attempts) > MAX_ATTEMPTS,
        has_more_recipients=len(cards) > MAX_RECIPIENTS,
        has_more_moments=len(events) > MAX_MOMENTS,
    )


def _entries(message: Message) -> list[LogEntry]:
    about = ContentType.objects.get_for_model(Message)
    entries = LogEntry.objects.filter(content_type=about, object_id=str(message.pk)).select_related("user")
    return list(entries.order_by("-action_time")[:MAX_MOMENTS])


def _try(attempt: Attempt, bounce: Bounce | None) -> Try:
    return Try(
        row=attempt,
        lines=talk_of(attempt.conversation),
        reply_class=CLASSES.get(attempt.fault, attempt.fault),  # type: ignore[call-overload]  # a word of the database, as the keys are
        explanation=explanation_of(attempt.rule),
        # A bounce ends a recipient, so it belongs to a try that failed.
        bounce=bounce if attempt.status == "failed" else None,
    )
