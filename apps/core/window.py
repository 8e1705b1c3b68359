"""The time that a list of a big table shows: the last 24 hours, unless it is asked for more or for certain rows."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core import clock
from apps.core.ids import first_id_at, parse_id

PARAMETER, ANY = "when", "any"
CHOICES = (("24h", "Last 24 hours"), ("7d", "Last 7 days"), ("30d", "Last 30 days"), (ANY, "Any time"))
SPANS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}


class WhenFilter(admin.SimpleListFilter):
    """A range of the primary key, because ids begin with the time of their making; no index on a time is needed."""

    title = "when"
    parameter_name = PARAMETER
    # What names certain rows; an old row is not hidden from whoever asks for exactly it.
    certain = frozenset({"id", "message_id", "recipient_id", "resource_id", "queue"})

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.default = ANY if self._asks_for_certain(request) else "24h"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return CHOICES

    def value(self) -> str:
        given = super().value()
        return given if given in dict(CHOICES) else self.default

    def choices(self, changelist: Any) -> Iterator[Any]:
        for value, label in CHOICES:
            query = changelist.get_query_string({PARAMETER: value})
            yield {"selected": value == self.value(), "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # An action names its rows one by one, and each is as good as another.
        if self.value() == ANY or request.method == "POST":
            return queryset
        return self.since(queryset, SPANS[self.value()])

    def since(self, queryset: QuerySet[Any], span: timedelta) -> QuerySet[Any]:
        return queryset.filter(pk__gte=first_id_at(clock.now() - span))

    def _asks_for_certain(self, request: HttpRequest) -> bool:
        names = {name.removesuffix("__exact") for name in request.GET}
        return bool(names & self.certain) or is_certain(request.GET.get(SEARCH_VAR, ""))


def is_certain(term: str) -> bool:
    """Whether a search asks for one thing and not for whatever looks like it."""
    return parse_id(term.strip().lower()) is not None or is_address(term)


def is_address(term: str) -> bool:
    local, at, domain = term.strip().rpartition("@")
    return bool(local and at and domain) and not term.strip().partition(" ")[1]
