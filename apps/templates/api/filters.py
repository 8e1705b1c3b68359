"""Filters of the list of templates."""

import django_filters
from django.db.models import Q, QuerySet

from apps.core.api.filters import TextFilter, WireFilterSet
from apps.templates.models import Status, Template


class TemplateFilters(WireFilterSet):
    status = django_filters.ChoiceFilter(field_name="status", choices=Status.choices)
    search = TextFilter(method="named_like")

    def filter_queryset(self, queryset: QuerySet[Template]) -> QuerySet[Template]:
        """Those that are deleted show only where they are asked for."""
        found: QuerySet[Template] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("status") else found.exclude(status=Status.DELETED)

    def named_like(self, rows: QuerySet[Template], name: str, text: str) -> QuerySet[Template]:
        """Text within the name or the slug; `%` and `_` mean themselves."""
        return rows.filter(Q(name__icontains=text) | Q(slug_key__icontains=text))
