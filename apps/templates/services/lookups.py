"""Finds templates by id or slug, and their versions."""

from uuid import UUID

from django.db.models import QuerySet

from apps.core.ids import parse_id
from apps.templates.errors import TemplateNotFound, VersionNotFound
from apps.templates.models import MAX_SLUG, Status, Template, TemplateVersion


def find(workspace_id: UUID, reference: str) -> Template:
    """The template of this id or slug. Raises TemplateNotFound, also for one that was deleted."""
    mine = present(workspace_id)
    identifier = parse_id(reference)
    if identifier is not None:
        # No slug looks like an id, so one question is enough.
        template = mine.filter(pk=identifier).first()
    else:
        is_possible = len(reference) <= MAX_SLUG and reference.isascii() and "\0" not in reference
        template = mine.filter(slug_key=reference.lower()).first() if is_possible else None
    if template is None:
        raise TemplateNotFound
    return template


def present(workspace_id: UUID) -> QuerySet[Template]:
    """The templates that are not deleted."""
    rows: QuerySet[Template] = Template.objects.of(workspace_id).exclude(status=Status.DELETED)
    return rows.select_related("active_version")


def versions_of(template: Template) -> QuerySet[TemplateVersion]:
    rows: QuerySet[TemplateVersion] = TemplateVersion.objects.of(template.workspace_id).filter(template=template)
    return rows


def find_version(template: Template, version_id: str) -> TemplateVersion:
    """Raises VersionNotFound, also for a version of another template."""
    identifier = parse_id(version_id)
    version = versions_of(template).filter(pk=identifier).first() if identifier else None
    if version is None:
        raise VersionNotFound
    return version
