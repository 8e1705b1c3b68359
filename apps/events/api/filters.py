"""Filters of the list of events; here `from` and `to` are times."""

import django_filters

from apps.core.api.filters import IdFilter, MomentFilter, WireFilterSet
from apps.events.types import EventType, ResourceType

EventFilters = type(
    "EventFilters",
    (WireFilterSet,),
    {
        "__doc__": "Declared through type(), because `from` is a Python keyword.",
        "type": django_filters.ChoiceFilter(field_name="type", choices=EventType.choices),
        "resourceType": django_filters.ChoiceFilter(field_name="resource_type", choices=ResourceType.choices),
        "resourceId": IdFilter(field_name="resource_id"),
        "messageId": IdFilter(field_name="message_id"),
        "from": MomentFilter(field_name="created_at", lookup_expr="gte"),
        "to": MomentFilter(field_name="created_at", lookup_expr="lt"),
    },
)
