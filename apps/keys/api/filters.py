"""Filters that more than one app has."""

from typing import Any

import django_filters
from django import forms

from apps.core.api.filters import MAX_LENGTH
from apps.protocols.address import AddressError, parse_mailbox


class _AddressField(forms.CharField):
    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if text in self.empty_values:
            return None
        try:
            return parse_mailbox(text).key
        except AddressError as error:
            raise forms.ValidationError(error.reason) from error


class AddressFilter(django_filters.Filter):
    """Any spelling of one mailbox, compared with a column of comparison keys."""

    field_class = _AddressField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_LENGTH, strip=False, **kwargs)
