"""List filters as django-filter FilterSets, which refuse what they do not know instead of ignoring it."""

from datetime import UTC
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from apps.core.api.serializers import RFC_3339
from apps.core.errors import Invalid
from apps.core.ids import parse_id

PAGING = frozenset({"limit", "cursor"})
MAX_LENGTH = 320


class WireFilterSet(django_filters.FilterSet):
    """Declares the query parameters of one list; none besides these and the paging ones are accepted."""


class NoFilters(WireFilterSet):
    """For lists that can only be paged."""


class TextFilter(django_filters.CharFilter):
    """Compares one text exactly."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_LENGTH, strip=False, **kwargs)


class _IdField(forms.CharField):
    def clean(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        if (identifier := parse_id(value)) is None:
            raise forms.ValidationError("must be an id as this API gives them")
        return identifier


class IdFilter(django_filters.Filter):
    field_class = _IdField


class _MomentField(forms.CharField):
    def clean(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        try:
            moment = parse_datetime(value.upper()) if RFC_3339.fullmatch(value) else None
            moment = moment.astimezone(UTC) if moment else None
        except (ValueError, OverflowError):  # such as one minute past midnight of the year 1, east of Greenwich
            moment = None
        if moment is None:
            raise forms.ValidationError("must be an RFC 3339 time with a zone, such as 2026-05-12T09:00:00Z")
        return moment


class MomentFilter(django_filters.Filter):
    field_class = _MomentField


class StrictFilterBackend:
    """Applies `view.filterset_class`. Raises Invalid for unknown, repeated or wrong parameters."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset_class = getattr(view, "filterset_class", NoFilters)
        known = PAGING | set(filterset_class.base_filters)
        problems = {}
        for name, values in request.query_params.lists():
            if name not in known:
                problems[name[:100]] = ["unknown query parameter"]
            elif len(values) > 1:
                problems[name] = ["may be given once"]
            elif "\0" in values[0]:
                problems[name] = ["must not contain NUL characters"]
        if problems:
            raise Invalid(problems)
        filterset = filterset_class(request.query_params, queryset=queryset, request=request)
        if not filterset.is_valid():
            raise Invalid({name: list(errors) for name, errors in filterset.errors.items()})
        filtered: QuerySet[Any] = filterset.qs
        return filtered

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        filterset_class = getattr(view, "filterset_class", NoFilters)
        return [
            {"name": name, "in": "query", "required": False, "schema": _schema_of(query_filter)}
            for name, query_filter in filterset_class.base_filters.items()
        ]


def _schema_of(query_filter: django_filters.Filter) -> dict[str, Any]:
    if isinstance(query_filter, IdFilter):
        return {"type": "string", "format": "uuid"}
    if isinstance(query_filter, MomentFilter):
        return {"type": "string", "format": "date-time"}
    if choices := query_filter.extra.get("choices"):
        return {"type": "string", "enum": [value for value, _label in choices]}
    return {"type": "string"}
