"""Makes and changes templates. A change of content is a new version, which is active from then on.

What costs time - reading the parts, inlining CSS - is done before the transaction; within it the template's row is
locked, so that of two changes at once each becomes a version of its own, the second upon the first.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.errors import Invalid
from apps.core.ids import new_id
from apps.core.rows import insert
from apps.events.types import EventType
from apps.templates.engine.compiled import Part
from apps.templates.engine.content import variables_of
from apps.templates.engine.css import inline
from apps.templates.errors import SlugTaken, TemplateNotFound
from apps.templates.models import MAX_SLUG, Status, Template, TemplateVersion
from apps.templates.services.happenings import tell

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
PARTS = tuple(Part)
DETAILS = ("name", "description")


def create(workspace_id: UUID, values: Mapping[str, str]) -> Template:
    """Makes a template with its first version from name, slug, subject, description, html and text.

    Raises Invalid, SlugTaken, TemplateRenderError, PartTooLarge.
    """
    slug, now = _acceptable(values["slug"]), clock.now()
    columns = _columns(dict.fromkeys(PARTS, "") | _contents(values))
    template = Template(
        workspace_id=workspace_id,
        name=values["name"],
        slug=slug,
        slug_key=slug.lower(),
        description=values.get("description", ""),
        created_at=now,
        updated_at=now,
    )
    try:
        with transaction.atomic():
            template.save(force_insert=True)
            version = _add_version(template, columns)
            tell(EventType.TEMPLATE_CREATED, template)
            tell(EventType.TEMPLATE_VERSION_CREATED, template, version)
    except IntegrityError as error:
        raise SlugTaken(details={"slug": slug}) from error
    return template


def update(template: Template, values: Mapping[str, str]) -> Template:
    """Changes what is given of name, description, subject, html and text; what is the same changes nothing.

    Raises Invalid, TemplateNotFound, TemplateRenderError, PartTooLarge.
    """
    columns = _columns(_contents(values))
    with transaction.atomic():
        row = _locked(template)
        details = {name: values[name] for name in DETAILS if name in values and values[name] != getattr(row, name)}
        version = _changed(row, columns)
        if version is not None or details:
            _save(row, **details)
            if version is not None:
                tell(EventType.TEMPLATE_VERSION_CREATED, row, version)
            tell(EventType.TEMPLATE_UPDATED, row)
    return row


def activate(template: Template, version: TemplateVersion) -> bool:
    """Makes another version the one that goes out; False where it is so already. Raises TemplateNotFound."""
    with transaction.atomic():
        row = _locked(template)
        if row.active_version_id == version.pk:
            return False
        row.active_version = version
        _save(row)
        tell(EventType.TEMPLATE_UPDATED, row)
    return True


def delete(template: Template) -> bool:
    """Takes a template away; mail that was accepted with it still goes out. False where it is gone already."""
    return _move(template, (Status.ACTIVE, Status.ARCHIVED), Status.DELETED, EventType.TEMPLATE_DELETED)


def archive(template: Template) -> bool:
    """Lets nothing new be sent with a template; False where it is not active."""
    return _move(template, (Status.ACTIVE,), Status.ARCHIVED, EventType.TEMPLATE_UPDATED)


def restore(template: Template) -> bool:
    """Makes an archived template active again; False where it is not archived."""
    return _move(template, (Status.ARCHIVED,), Status.ACTIVE, EventType.TEMPLATE_UPDATED)


def _move(template: Template, before: tuple[Status, ...], after: Status, event: EventType) -> bool:
    now = clock.now()
    gone = {"deleted_at": now} if after == Status.DELETED else {}
    with transaction.atomic():
        rows = _mine(template).filter(status__in=before)
        if not rows.update(status=after, updated_at=now, **gone):
            return False
        template.refresh_from_db()
        tell(event, template)
    return True


def _mine(template: Template) -> QuerySet[Template]:
    rows: QuerySet[Template] = Template.objects.of(template.workspace_id).filter(pk=template.pk)
    return rows


def _locked(template: Template) -> Template:
    row = _mine(template).exclude(status=Status.DELETED).select_for_update().first()
    if row is None:
        raise TemplateNotFound
    return row


def _save(row: Template, **details: Any) -> None:
    """Writes what a locked row's owner may write."""
    for name, value in details.items():
        setattr(row, name, value)
    row.updated_at = clock.now()
    row.save(update_fields=[*DETAILS, "active_version", "last_number", "updated_at"])


def _changed(row: Template, columns: Mapping[str, Any]) -> TemplateVersion | None:
    """A version that is the active one with these parts changed; None where none of them differs."""
    active = TemplateVersion.objects.of(row.workspace_id).get(pk=row.active_version_id)
    if all(columns[part] == getattr(active, part) for part in PARTS if part in columns):
        return None
    kept = {name: getattr(active, name) for name in (*PARTS, "html_inlined", "css_refusal")}
    return _add_version(row, kept | dict(columns), names=active.names)


def _add_version(
    template: Template, columns: Mapping[str, Any], names: Mapping[str, Any] | None = None
) -> TemplateVersion:
    """Stores a version and makes it the active one."""
    if not columns[Part.HTML] and not columns[Part.TEXT]:
        raise Invalid({"text": ["give html, text or both"]})
    template.last_number += 1
    row = {
        **{str(name): value for name, value in columns.items()},
        "id": new_id(),
        "workspace_id": template.workspace_id,
        "template_id": template.pk,
        "number": template.last_number,
        "names": {**(names or {}), **columns.get("names", {})},
        "created_at": clock.now(),
    }
    insert(TemplateVersion, [row])
    version = TemplateVersion(**row)
    template.active_version = version
    _save(template)
    return version


def _contents(values: Mapping[str, str]) -> dict[Part, str]:
    return {part: values[part] for part in PARTS if part in values}


def _columns(contents: Mapping[Part, str]) -> dict[str, Any]:
    """The columns of a version for these parts, each read and found to be a template."""
    columns: dict[str, Any] = {part.value: source for part, source in contents.items()}
    columns["names"] = {part.value: variables_of(part, source) for part, source in contents.items()}
    if Part.SUBJECT in contents and not contents[Part.SUBJECT].strip():
        raise Invalid({"subject": ["must not be blank"]})
    if Part.HTML in contents:
        inlined = inline(contents[Part.HTML])
        is_same = inlined.html == contents[Part.HTML]
        columns |= {"html_inlined": "" if is_same else inlined.html, "css_refusal": inlined.refusal}
    return columns


def _acceptable(slug: str) -> str:
    if len(slug) > MAX_SLUG or not SLUG.fullmatch(slug):
        wanted = f"must be at most {MAX_SLUG} letters, digits, '.', '_' and '-', and begin with a letter or digit"
        raise Invalid({"slug": [wanted]})
    if _looks_like_an_id(slug):
        raise Invalid({"slug": ["looks like an id, and addresses take both; choose another one"]})
    return slug


def _looks_like_an_id(slug: str) -> bool:
    try:
        uuid.UUID(slug)
    except ValueError:
        return False
    return True
