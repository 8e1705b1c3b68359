"""Filters of the list of suppressions."""

import django_filters

from apps.core.api.filters import WireFilterSet
from apps.keys.api.filters import AddressFilter
from apps.suppressions.models import Reason


class SuppressionFilters(WireFilterSet):
    email = AddressFilter(field_name="key")
    reason = django_filters.ChoiceFilter(field_name="reason", choices=Reason.choices)
