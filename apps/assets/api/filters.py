"""The query parameters of the list of assets."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from apps.assets.models import Visibility
from apps.core.api.filters import TextFilter, WireFilterSet

FAMILIES = ("image", "video", "audio", "text", "document", "other")
DOCUMENTS = ("application/pdf", "application/msword", "application/rtf", "application/epub+zip")
OFFICE = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.")


class AssetFilters(WireFilterSet):
    query = TextFilter(method="by_query")
    mime = TextFilter(method="by_mime")
    family = django_filters.ChoiceFilter(choices=[(name, name) for name in FAMILIES], method="by_family")
    folder = TextFilter(field_name="folder")
    bucket = TextFilter(field_name="bucket")
    key = TextFilter(field_name="key")
    checksum = TextFilter(method="by_checksum")
    visibility = django_filters.ChoiceFilter(choices=Visibility.choices)
    tag = TextFilter(method="by_tag")

    def by_query(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """What was typed, anywhere in the name or the key."""
        return rows.filter(Q(original_name__icontains=value) | Q(key__icontains=value))

    def by_mime(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """One type, or all of one kind as `image/*`."""
        wanted = value.lower()
        if wanted.endswith("/*"):
            return rows.filter(mime_type__startswith=wanted[:-1])
        return rows.filter(mime_type=wanted)

    def by_family(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        documents = Q(mime_type__in=DOCUMENTS) | Q(mime_type__startswith=OFFICE[0]) | Q(mime_type__startswith=OFFICE[1])
        if value == "document":
            return rows.filter(documents)
        if value != "other":
            return rows.filter(mime_type__startswith=f"{value}/")
        for family in FAMILIES[:4]:
            documents |= Q(mime_type__startswith=f"{family}/")
        return rows.exclude(documents)

    def by_checksum(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(checksum_sha256=value.lower())

    def by_tag(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        wanted = value.strip().lower()
        return rows.filter(tags__contains=f"\n{wanted}\n") if wanted and "\n" not in wanted else rows.none()
