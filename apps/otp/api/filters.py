"""Filters of the list of challenges."""

import django_filters

from apps.core.api.filters import TextFilter, WireFilterSet
from apps.keys.api.filters import AddressFilter
from apps.otp.states import Status


class ChallengeFilters(WireFilterSet):
    to = AddressFilter(field_name="key")
    purpose = TextFilter(field_name="purpose")
    status = django_filters.ChoiceFilter(field_name="status", choices=Status.choices)
