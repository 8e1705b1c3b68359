"""How lists of the console find rows by an id, which has an index, where the search is one."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.core.ids import parse_id


class ById:
    """For an admin: an id finds the rows that have it in one of `id_fields`.

    Any other search is the list's own; where it has none (`is_by_id_alone`), it finds nothing.
    """

    id_fields: tuple[str, ...] = ("pk",)
    is_by_id_alone = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        identifier = parse_id(search_term.strip().lower())
        if identifier is not None:
            found = Q.create([(field, identifier) for field in self.id_fields], connector=Q.OR)
            return queryset.filter(found), False
        if self.is_by_id_alone and search_term.strip():
            return queryset.none(), False
        above: Any = super()  # an admin, with which this is mixed
        found_texts: tuple[QuerySet[Any], bool] = above.get_search_results(request, queryset, search_term)
        return found_texts
