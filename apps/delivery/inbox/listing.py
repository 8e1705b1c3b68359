"""What the inbox lists: the newest captured mail, paged by id, found among a bounded number, and never its source."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from django.core.exceptions import BadRequest
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.template.defaultfilters import filesizeformat

from apps.core import clock
from apps.core.admin import page_url
from apps.core.ids import parse_id
from apps.delivery.models import CapturedMessage

PAGE_SIZE = 50
# Naming the inboxes of all mail would read the whole table.
NEWEST_COUNTED, INBOXES_NAMED = 2_000, 30
SEARCHED = 5_000
MAX_SEARCH, MAX_TERMS = 200, 10
SUBJECT_SHOWN = 200
# Ids are made before they are committed, by workers whose clocks differ, so that a row may turn up behind others that
# were seen before it. The feed looks back this far, and the page leaves out what it shows already.
OVERLAP_MS = 30_000
TERM = re.compile(r'(?:(to|from|subject):)?(?:"([^"]+)"|(\S+))', re.IGNORECASE)
COLUMNS_OF = {"to": ("inbox",), "from": ("author", "sender"), "subject": ("subject",)}
EVERY_COLUMN = ("inbox", "author", "sender", "subject")


@dataclass(frozen=True, slots=True)
class View:
    """What somebody looks at: all mail, or that of an inbox, of a workspace, of a search."""

    inbox: str = ""
    workspace_id: UUID | None = None
    search: str = ""
    before: UUID | None = None

    @classmethod
    def asked(cls, query: QueryDict) -> Self:
        """Raises BadRequest for what no link of ours asks."""
        search = query.get("q", "").strip()
        if len(search) > MAX_SEARCH or len(TERM.findall(search)) > MAX_TERMS:
            raise BadRequest("The search is too long.")
        return cls(query.get("inbox", ""), id_asked(query, "workspace"), search, id_asked(query, "before"))

    def query(self, **changes: Any) -> str:
        """The query of a link to this view, or to one that differs in something."""
        view = replace(self, **changes)
        values = {"inbox": view.inbox, "workspace": view.workspace_id, "q": view.search, "before": view.before}
        return urlencode({name: value for name, value in values.items() if value})

    def narrowed(self) -> QuerySet[CapturedMessage]:
        """All mail of the inbox and the workspace, whatever the search."""
        rows: QuerySet[CapturedMessage] = CapturedMessage.objects.across_workspaces()
        if self.inbox:
            rows = rows.filter(inbox=self.inbox)
        return rows.filter(workspace_id=self.workspace_id) if self.workspace_id else rows

    def found(self) -> QuerySet[CapturedMessage]:
        """The mail of this view; a search reads the newest and no more."""
        rows = self.narrowed()
        if not self.search:
            return rows
        newest = rows.order_by("-pk").values("pk")[:SEARCHED]
        return CapturedMessage.objects.across_workspaces().filter(_matches(self.search), pk__in=newest)


@dataclass(frozen=True, slots=True)
class Line:
    """One mail of the list, as the page and the feed show it."""

    id: str
    url: str
    inbox: str
    author: str
    subject: str
    size: str
    has_attachments: bool
    received_at: str
    ago: str


@dataclass(frozen=True, slots=True)
class Inbox:
    """A recipient address, and how many of the newest mails it holds."""

    name: str
    count: int


def lines(view: View) -> tuple[list[Line], bool]:
    """A page of the view, newest first, and whether there is more behind it."""
    rows = view.found()
    if view.before:
        rows = rows.filter(pk__lt=view.before)
    page = _lines(rows, PAGE_SIZE + 1)
    return page[:PAGE_SIZE], len(page) > PAGE_SIZE


def lines_since(view: View, since_ms: int) -> list[Line]:
    """The newest of the view that may have come since a time, some of them seen before."""
    # Ids begin with milliseconds since 1970 (RFC 9562, 5.7).
    oldest = UUID(int=max(0, since_ms - OVERLAP_MS) << 80)
    return _lines(view.found().filter(pk__gte=oldest), PAGE_SIZE)


def inboxes(workspace_id: UUID | None) -> tuple[list[Inbox], bool]:
    """The inboxes of the newest mail, that with the newest first, and whether there is older mail."""
    rows = View(workspace_id=workspace_id).narrowed().order_by("-pk")
    # A Counter keeps the order in which it meets them.
    counts = Counter(rows.values_list("inbox", flat=True)[:NEWEST_COUNTED])
    is_cut = counts.total() == NEWEST_COUNTED or len(counts) > INBOXES_NAMED
    return [Inbox(name, count) for name, count in list(counts.items())[:INBOXES_NAMED]], is_cut


def neighbours(row: CapturedMessage) -> tuple[UUID | None, UUID | None]:
    """The next newer and the next older mail of the same inbox."""
    same = View(inbox=row.inbox, workspace_id=row.workspace_id).narrowed().values_list("pk", flat=True)
    newer = same.filter(pk__gt=row.pk).order_by("pk").first()
    return newer, same.filter(pk__lt=row.pk).order_by("-pk").first()


def id_asked(query: QueryDict, name: str) -> UUID | None:
    """An id from an address, None where there is none. Raises BadRequest."""
    text = query.get(name, "")
    identifier = parse_id(text)
    if text and identifier is None:
        raise BadRequest(f"{name} is no id")
    return identifier


def since_asked(query: QueryDict) -> int:
    """The time of the last question, 0 where there was none. Raises BadRequest."""
    text = query.get("since", "0")
    # 48 bits, as much as an id has room for.
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        raise BadRequest("since is no time")
    return int(text)


def now_ms() -> int:
    """This time as the next question of an open page names it."""
    return int(clock.now().timestamp() * 1000)


def _lines(rows: QuerySet[CapturedMessage], limit: int) -> list[Line]:
    return [_line(row) for row in rows.order_by("-pk").defer("source")[:limit]]


def _line(row: CapturedMessage) -> Line:
    return Line(
        id=str(row.pk),
        url=page_url(CapturedMessage, row.pk),
        inbox=row.inbox,
        # The name alone, as mail programs list it; the message's own page shows the address too.
        author=row.author.rpartition(" <")[0] or row.author or row.sender,
        subject=row.subject[:SUBJECT_SHOWN] or "(no subject)",
        size=filesizeformat(row.size).replace("\xa0", " ") if row.size else "",
        has_attachments=row.has_attachments,
        received_at=clock.wire_time(row.received_at) or "",
        ago=_ago(row.received_at),
    )


def _ago(moment: datetime) -> str:
    """How long ago, as static/inbox.js says it when the page has stood open for a while."""
    seconds = (clock.now() - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min"
    if seconds < 86_400:
        return f"{seconds // 3_600:.0f} h"
    return f"{seconds // 86_400:.0f} d"


def _matches(search: str) -> Q:
    """Every term of the search stands somewhere, or in the place that it names."""
    found = Q()
    for place, quoted, plain in TERM.findall(search):
        columns = COLUMNS_OF.get(place.lower(), EVERY_COLUMN)
        found &= Q.create([(f"{column}__icontains", quoted or plain) for column in columns], connector=Q.OR)
    return found
