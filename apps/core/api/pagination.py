"""Keyset paging on one unique, time-sortable id (wire contract 1.4): no offsets, no counts, no page shown twice."""

import base64
import binascii
from typing import Any
from uuid import UUID

from django.db.models import Model
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Invalid, Problem

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class InvalidCursor(Problem):
    code = "invalid_cursor"
    status = 400
    message = "The cursor is not one of ours; start again without it."


class KeysetPagination(BasePagination):
    """Newest first. `limit` from 1 to 100; `cursor` is what the page before gave as `nextCursor`."""

    default_limit = DEFAULT_LIMIT
    newest_first = True

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        limit = self._limit(request)
        if (cursor := request.query_params.get("cursor")) is not None:
            comparison = "id__lt" if self.newest_first else "id__gt"
            queryset = queryset.filter(**{comparison: read_cursor(cursor)})
        rows = list(queryset.order_by("-id" if self.newest_first else "id")[: limit + 1])
        self.has_more = len(rows) > limit
        self.page: list[Model] = rows[:limit]
        return self.page

    def get_paginated_response(self, data: Any) -> Response:
        cursor = write_cursor(self.page[-1].pk) if self.has_more else None
        return Response({"data": data, "nextCursor": cursor, "hasMore": self.has_more})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["data", "nextCursor", "hasMore"],
            "properties": {
                "data": schema,
                "nextCursor": {"type": ["string", "null"]},
                "hasMore": {"type": "boolean"},
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": self.default_limit}
        return [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
        ]

    def _limit(self, request: Request) -> int:
        text = request.query_params.get("limit", str(self.default_limit))
        if not (len(text) <= 3 and text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
            raise Invalid({"limit": [f"must be a whole number from 1 to {MAX_LIMIT}"]})
        return int(text)


class WholeListPagination(KeysetPagination):
    """For lists that the published clients read without a cursor: a full page unless they ask for less."""

    default_limit = MAX_LIMIT


class OldestFirstPagination(WholeListPagination):
    """For stories, which are read from their beginning."""

    newest_first = False


def write_cursor(identifier: UUID) -> str:
    return base64.urlsafe_b64encode(identifier.bytes).rstrip(b"=").decode()


def read_cursor(text: str) -> UUID:
    """Raises InvalidCursor for anything that `write_cursor` did not make."""
    try:
        identifier = UUID(bytes=base64.b64decode(f"{text}==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise InvalidCursor from None
    if write_cursor(identifier) != text:
        raise InvalidCursor
    return identifier
