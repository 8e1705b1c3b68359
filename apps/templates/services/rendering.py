"""A version ready to render, for whoever sends: found once, compiled once, and rendered as often as there are people.

prepared = prepare(workspace_id, "order-confirmation")   # or prepare_version(...) for mail accepted earlier
rendered = prepared.render({"name": "Ada"})
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.templates.engine.content import Content, Rendered
from apps.templates.errors import TemplateArchived, TemplateNotFound, VersionNotFound
from apps.templates.models import Status, TemplateVersion
from apps.templates.services.lookups import find, find_version

__all__ = ["Prepared", "Rendered", "content_of", "prepare", "prepare_version"]

# Of all compiled versions in this process: parsed markup takes some twenty times its source.
MAX_KEPT, MAX_CHARACTERS = 200, 4_000_000


class Prepared:
    """A version ready to render; made by `prepare`."""

    def __init__(self, version: TemplateVersion, content: Content) -> None:
        self.template_id: UUID = version.template_id
        self.version_id: UUID = version.pk
        self._content = content

    def render(self, data: Mapping[str, Any]) -> Rendered:
        """Raises MissingVariables with every missing name, TemplateRenderError, and Invalid for data that is none."""
        return self._content.render(data)


def prepare(workspace_id: UUID, reference: str, version_id: str | None = None) -> Prepared:
    """The active version of a template by id or slug, or the pinned one.

    Raises TemplateNotFound, VersionNotFound, TemplateArchived.
    """
    try:
        template = find(workspace_id, reference)
    except TemplateNotFound as error:
        raise TemplateNotFound(details=_named("template", TemplateNotFound.message)) from error
    if template.status == Status.ARCHIVED:
        raise TemplateArchived
    version: TemplateVersion = template.active_version  # type: ignore[assignment]  # a stored template has one
    if version_id is not None:
        try:
            version = find_version(template, version_id)
        except VersionNotFound as error:
            raise VersionNotFound(details=_named("versionId", VersionNotFound.message)) from error
    return Prepared(version, content_of(version))


def prepare_version(workspace_id: UUID, version_id: UUID) -> Prepared:
    """A version that accepted mail is pinned to, whatever became of its template since. Raises TemplateNotFound."""
    version = TemplateVersion.objects.of(workspace_id).filter(pk=version_id).first()
    if version is None:
        raise TemplateNotFound
    return Prepared(version, content_of(version))


def content_of(version: TemplateVersion) -> Content:
    """The version compiled, once in this process. Raises TemplateRenderError where our limits became narrower."""
    if (kept := _cache.get(version.pk)) is None:
        kept = Content(version.subject, version.sent_html, version.text)
        _cache.put(version.pk, kept)
    return kept


def _named(field: str, reason: str) -> dict[str, Any]:
    return {"fields": {field: [reason]}}


class _Cache:
    """The versions used last. Versions never change, so nothing here goes stale."""

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, Content] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def get(self, version_id: UUID) -> Content | None:
        with self._lock:
            if (content := self._kept.get(version_id)) is not None:
                self._kept.move_to_end(version_id)
            return content

    def put(self, version_id: UUID, content: Content) -> None:
        with self._lock:
            if version_id in self._kept:  # another thread compiled it meanwhile
                return
            self._kept[version_id] = content
            self._characters += content.size
            while len(self._kept) > MAX_KEPT or (self._characters > MAX_CHARACTERS and len(self._kept) > 1):
                self._characters -= self._kept.popitem(last=False)[1].size


_cache = _Cache()
