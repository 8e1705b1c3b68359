"""The operator's verbs as the console offers and audits them; what they do is in `services/interventions.py`."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from apps.messages.models import Message, Recipient
from apps.messages.services import interventions
from apps.messages.services.interventions import Intervention
from apps.messages.states import FINAL
from apps.messages.waits import FOR_A_PERSON
from apps.workspaces.models import User

MAX_REASON = 200
ADDRESSES_NAMED = 3
REASONS_TOLD = 3


class Verb(StrEnum):
    RETRY_NOW = "retry_now"
    RELEASE = "release"
    HOLD = "hold"
    CANCEL = "cancel"

    @property
    def label(self) -> str:
        return self.replace("_", " ").capitalize()

    @property
    def done(self) -> str:
        return DONE[self]


DONE = {Verb.RETRY_NOW: "Made due now", Verb.RELEASE: "Released", Verb.HOLD: "Held", Verb.CANCEL: "Canceled"}
TAKES_REASON = frozenset({Verb.HOLD, Verb.CANCEL})


def offered(row: Recipient) -> tuple[Verb, ...]:
    """The verbs that make sense for a recipient as it is now."""
    if row.status in FINAL or row.in_doubt:
        return ()
    if row.wait_code in FOR_A_PERSON:
        return (Verb.RELEASE, Verb.CANCEL)
    if row.lease_until is not None:
        return (Verb.HOLD, Verb.CANCEL)
    return (Verb.RETRY_NOW, Verb.HOLD, Verb.CANCEL)


def operate(request: HttpRequest, verb: Verb, rows: Sequence[Recipient], *, reason: str = "") -> Intervention:
    """Does it, writes an audit row at each message concerned, and tells the operator how it went."""
    reason = " ".join(reason.split())[:MAX_REASON]
    note = partial(_audit, request, verb, reason)
    answer = _service(verb, reason)([row.pk for row in rows], note=note)
    _tell(request, verb, answer)
    return answer


def _service(verb: Verb, reason: str) -> Callable[..., Intervention]:
    services: dict[Verb, Callable[..., Intervention]] = {
        Verb.RETRY_NOW: interventions.retry_now,
        Verb.RELEASE: interventions.release,
        Verb.HOLD: partial(interventions.hold, reason=reason),
        Verb.CANCEL: partial(interventions.cancel, reason=reason),
    }
    return services[verb]


def _audit(request: HttpRequest, verb: Verb, reason: str, rows: Sequence[Recipient]) -> None:
    """One row at each message; written in the transaction that changes these, so there is no change without it."""
    addresses: dict[UUID, list[str]] = defaultdict(list)
    for row in rows:
        addresses[row.message_id].append(row.email)
    about = ContentType.objects.get_for_model(Message)
    operator = cast(User, request.user)
    LogEntry.objects.bulk_create(
        LogEntry(
            user=operator,
            content_type=about,
            object_id=str(message_id),
            object_repr=str(message_id),
            action_flag=CHANGE,
            change_message=f"{verb.done} for {_named(found)}{f': {reason}' if reason else '.'}",
        )
        for message_id, found in addresses.items()
    )


def _named(addresses: Sequence[str]) -> str:
    rest = len(addresses) - ADDRESSES_NAMED
    return ", ".join(addresses[:ADDRESSES_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _tell(request: HttpRequest, verb: Verb, answer: Intervention) -> None:
    if answer.changed:
        count = len(answer.changed)
        messages.success(request, f"{verb.done}: {count} {'recipient' if count == 1 else 'recipients'}.")
    reasons = list(answer.refused.values())
    for reason in list(dict.fromkeys(reasons))[:REASONS_TOLD]:
        messages.warning(request, f"Unchanged: {reasons.count(reason)}. {reason}")
