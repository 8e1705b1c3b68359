"""How the console finds messages and what belongs to them: by ids, by addresses and by the open queue."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.core import clock
from apps.core.ids import first_id_at, parse_id
from apps.core.search import ById
from apps.core.window import is_address
from apps.messages.models import Message, Recipient
from apps.messages.states import OPEN
from apps.protocols.address import AddressError, canonical_email
from apps.workspaces.models import Workspace

# Senders have no index by address, so their mail is looked for among the newest.
SENT_WITHIN = timedelta(hours=24)


class IdSearch(ById):
    """Finds rows by an id or a whole address where the search is one; these have indexes, and texts have none."""

    id_fields: tuple[str, ...] = ("pk", "message_id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if is_address(term):
            return self.addressed(queryset, _as_stored(term)), False
        return super().get_search_results(request, queryset, search_term)

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        """The rows of the list that are about this address."""
        return queryset.filter(recipient__in=recipients_of(address).values("pk"))


class QueueFilter(admin.SimpleListFilter):
    """The open recipients, asked for in the words of the partial indexes over exactly those."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("due", "Due now"), *((status.value, status.label) for status in sorted(OPEN))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Recipient]) -> QuerySet[Recipient]:
        if self.value() == "due":
            return queryset.filter(next_attempt_at__lte=clock.database_now(), lease_until__isnull=True)
        if self.value() not in OPEN:
            return queryset
        is_work = Q(next_attempt_at__isnull=False) | Q(lease_until__isnull=False)
        return queryset.filter(is_work, status=self.value())


def _as_stored(address: str) -> str:
    """In the form in which addresses are kept; what has none is looked for as it is."""
    try:
        return canonical_email(address)
    except AddressError:
        return address


def recipients_of(address: str) -> QuerySet[Recipient]:
    """Of all workspaces, which are named because the index by address begins with the workspace."""
    everywhere: QuerySet[Recipient] = Recipient.objects.across_workspaces()
    return everywhere.filter(workspace__in=Workspace.objects.values("pk"), email=address)


def messages_about(queryset: QuerySet[Message], address: str) -> QuerySet[Message]:
    """Those to this address, those newly sent from it, and the one whose Message-ID it is."""
    everywhere: QuerySet[Message] = Message.objects.across_workspaces()
    since = first_id_at(clock.now() - SENT_WITHIN)
    # Joined as sets: with an OR the database would go through the whole table.
    found = recipients_of(address).values("message_id")
    found = found.union(everywhere.filter(pk__gte=since, from_email=address).values("pk"))
    if identifier := parse_id(address.partition("@")[0].lower()):
        found = found.union(everywhere.filter(pk=identifier, rfc_message_id=address).values("pk"))
    return queryset.filter(pk__in=found)
