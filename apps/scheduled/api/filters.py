"""Filters of the list of scheduled mail."""

import django_filters

from apps.core.api.filters import WireFilterSet
from apps.scheduled.states import Kind, Status


class ScheduledFilters(WireFilterSet):
    status = django_filters.ChoiceFilter(field_name="status", choices=Status.choices)
    kind = django_filters.ChoiceFilter(field_name="kind", choices=Kind.choices)
