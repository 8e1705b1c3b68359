"""Filters of the list of challenges."""

import django_filters
from django.db.models import QuerySet

from apps.core.api.filters import TextFilter, WireFilterSet
from apps.core.errors import Invalid
from apps.otp.models import Challenge
from apps.otp.states import Status
from apps.protocols.address import AddressError, parse_mailbox


def _sent_to(rows: QuerySet[Challenge], name: str, text: str) -> QuerySet[Challenge]:
    try:
        return rows.filter(key=parse_mailbox(text).key)
    except AddressError as error:
        raise Invalid({name: [error.reason]}) from error


class ChallengeFilters(WireFilterSet):
    to = TextFilter(method=lambda rows, name, text: _sent_to(rows, name, text))
    purpose = TextFilter(field_name="purpose")
    status = django_filters.ChoiceFilter(field_name="status", choices=Status.choices)
