"""Filters of the list of inbound messages."""

from django.db.models import QuerySet

from apps.core.api.filters import IdFilter, TextFilter, WireFilterSet
from apps.core.errors import Invalid
from apps.inbound.models import InboundMessage
from apps.protocols.address import AddressError, parse_mailbox


def _sent_to(rows: QuerySet[InboundMessage], name: str, text: str) -> QuerySet[InboundMessage]:
    try:
        return rows.filter(recipient=parse_mailbox(text).email)
    except AddressError as error:
        raise Invalid({name: [error.reason]}) from error


class InboundMessageFilters(WireFilterSet):
    recipient = TextFilter(method=lambda rows, name, text: _sent_to(rows, name, text))
    domainId = IdFilter(field_name="domain_id")
