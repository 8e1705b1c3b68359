"""What the console's own pages share with its lists."""

from django import template
from django.utils.safestring import SafeString

from apps.core import admin

register = template.Library()


@register.simple_tag
def pill(word: str) -> SafeString:
    """A word of a fixed vocabulary with the colour of its meaning, as in the lists."""
    return admin.pill(word)
