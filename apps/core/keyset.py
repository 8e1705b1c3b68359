"""Lists by id, which is by time: a page is found by the id where it begins, and costs the same however deep it lies.

Ids are UUIDs of version 7, so the newest rows come first by the primary key alone; nothing is counted or skipped.
"""

from typing import Any

from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

BEFORE, AFTER = "before", "after"


class KeysetChangeList(ChangeList):
    """The admin's list with "Newer" and "Older" for page numbers."""

    is_keyset = True
    newer_query = older_query = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        # The page's place is no filter, and no link to another choice of rows takes it along.
        for name in (BEFORE, AFTER, PAGE_VAR):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        found: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return found

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Whatever an address asks for: any other order would sort the whole table."""
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        after = self._id(request.GET.get(AFTER))
        newer = self._newer(after) if after is not None else []
        # A page short of rows would be followed by the same rows again; the first page is the better answer.
        if len(newer) > self.list_per_page:
            self._show(newer[1:], has_newer=True, has_older=True)
        else:
            self._show_older_than(self._id(request.GET.get(BEFORE)) if after is None else None)
        # The templates of the admin ask for one; it has nothing to count.
        self.paginator = self.model_admin.get_paginator(request, self.root_queryset.none(), self.list_per_page)

    def _newer(self, after: Any) -> list[Any]:
        """The rows above a page, the newest first, and one more that tells whether there are others above them."""
        rows = self.queryset.filter(pk__gt=after).order_by("pk")[: self.list_per_page + 1]
        return list(rows)[::-1]

    def _show_older_than(self, before: Any) -> None:
        rows = self.queryset if before is None else self.queryset.filter(pk__lt=before)
        found = list(rows[: self.list_per_page + 1])
        self._show(found[: self.list_per_page], has_newer=before is not None, has_older=len(found) > self.list_per_page)

    def _show(self, rows: list[Any], *, has_newer: bool, has_older: bool) -> None:
        self.result_list = rows
        # How many there are on other pages is not known, so this page is all that the admin is told of.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(rows)
        if has_older:
            self.older_query = self.get_query_string({BEFORE: rows[-1].pk})
        if has_newer:
            # An empty page has nothing to begin from, and what is newer than it is the first page.
            self.newer_query = self.get_query_string({AFTER: rows[0].pk} if rows else {})

    def _id(self, text: str | None) -> Any:
        """The id in an address; None, and so the first page, where it is none."""
        try:
            return self.lookup_opts.pk.to_python(text) if text else None
        except ValidationError:
            return None
