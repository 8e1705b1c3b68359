"""Filters of the lists of messages and bounces; here `from` and `to` are addresses."""

from typing import Any

import django_filters
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.core.api.filters import IdFilter, TextFilter, WireFilterSet
from apps.core.errors import Invalid
from apps.events.models import Event
from apps.events.types import EventType
from apps.keys.api.filters import AddressFilter
from apps.messages.models import Message, Recipient
from apps.messages.states import BounceType, Status
from apps.protocols.address import AddressError, parse_mailbox


def _canonical(name: str, text: str) -> str:
    try:
        return parse_mailbox(text).email
    except AddressError as error:
        raise Invalid({name: [error.reason]}) from error


def _sent_to(rows: QuerySet[Message], name: str, text: str) -> QuerySet[Message]:
    """Also the recipients in cc and bcc."""
    recipients = Recipient.objects.across_workspaces().filter(
        message_id=OuterRef("pk"), workspace_id=OuterRef("workspace_id"), email=_canonical("to", text)
    )
    return rows.filter(Exists(recipients))


def _sent_from(rows: QuerySet[Message], name: str, text: str) -> QuerySet[Message]:
    return rows.filter(from_email=_canonical("from", text))


_FILTERS: dict[str, Any] = {
    "__doc__": "Declared through type(), because `from` is a Python keyword.",
    "status": django_filters.ChoiceFilter(field_name="status", choices=Status.choices),
    "to": TextFilter(method=lambda rows, name, text: _sent_to(rows, name, text)),
    "from": TextFilter(method=lambda rows, name, text: _sent_from(rows, name, text)),
}
MessageFilters = type("MessageFilters", (WireFilterSet,), _FILTERS)


def _about(rows: QuerySet[Event], name: str, text: str) -> QuerySet[Event]:
    """What tells of one recipient: its own events, its suppression, and that the message was queued at all."""
    email = _canonical(name, text)
    return rows.filter(Q(data__recipient=email) | Q(data__email=email) | Q(type=EventType.MESSAGE_QUEUED))


class TimelineFilters(WireFilterSet):
    recipient = TextFilter(method=lambda rows, name, text: _about(rows, name, text))


BounceFilters = type(
    "BounceFilters",
    (WireFilterSet,),
    {
        "__doc__": "Declared through type(), for the sake of `messageId`.",
        "email": AddressFilter(field_name="key"),
        "type": django_filters.ChoiceFilter(field_name="type", choices=BounceType.choices),
        "messageId": IdFilter(field_name="message_id"),
    },
)
