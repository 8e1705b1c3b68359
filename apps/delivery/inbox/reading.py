"""The page of one captured message: which aspects it has, and the one that is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.safestring import SafeString

from apps.core.admin import page_link
from apps.delivery.inbox.letter import Letter, printable_source, read
from apps.delivery.inbox.links import Link, links
from apps.delivery.models import CapturedMessage
from apps.messages.models import Message


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows; the source only where it is looked at, because it may be long."""

    letter: Letter
    links: Sequence[Link]
    tabs: Sequence[Tab]
    shown: str
    source: str
    is_narrow: bool
    has_images: bool
    story: SafeString
    size: int


def page(row: CapturedMessage, query: QueryDict) -> Page:
    """Reads the row's source once. Anything unknown in the query is taken for the default."""
    source = bytes(row.source)
    letter = read(source)
    found = links(letter)
    tabs = _tabs(letter, found)
    asked = query.get("show", "")
    shown = asked if asked in {tab.name for tab in tabs} else tabs[0].name
    return Page(
        letter=letter,
        links=found,
        tabs=tabs,
        shown=shown,
        source=printable_source(source) if shown == "source" else "",
        is_narrow=query.get("width") == "phone",
        has_images=query.get("images") == "1",
        story=page_link(Message, row.message_id, "what became of it"),
        size=len(source),
    )


def _tabs(letter: Letter, found: Sequence[Link]) -> list[Tab]:
    tabs = [
        (letter.html is not None, Tab("html", "HTML")),
        (letter.text is not None, Tab("text", "Text")),
        (bool(letter.attachments), Tab("attachments", "Attachments", len(letter.attachments))),
        (bool(found), Tab("links", "Links", len(found))),
        (bool(letter.headers), Tab("headers", "Headers", len(letter.headers))),
        (True, Tab("source", "Source")),
    ]
    return [tab for is_there, tab in tabs if is_there]
