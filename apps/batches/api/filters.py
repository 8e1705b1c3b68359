"""Filters of the lists of batches and of their items."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from apps.batches.models import BatchType
from apps.batches.services.reading import in_state
from apps.core.api.filters import WireFilterSet
from apps.messages.states import Status


def _in_state(rows: QuerySet[Any], name: str, state: str) -> QuerySet[Any]:
    return in_state(rows, state)


class BatchFilters(WireFilterSet):
    type = django_filters.ChoiceFilter(field_name="type", choices=BatchType.choices)


class ItemFilters(WireFilterSet):
    status = django_filters.ChoiceFilter(choices=Status.choices, method=_in_state)
