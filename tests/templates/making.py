"""Makes templates the way the platform makes them."""

from uuid import UUID

from apps.templates.models import Template
from apps.templates.services import authoring
from apps.workspaces.models import Workspace


def make_template(workspace: Workspace, slug: str = "welcome", **values: str) -> Template:
    given = {"name": "Welcome", "slug": slug, "subject": "Subject", "html": "<p>Hello</p>", "text": "Hello"}
    return authoring.create(workspace.pk, given | values)


def version_ids(template: Template) -> dict[str, UUID]:
    """The ids in the address of the template's active version."""
    assert template.active_version_id is not None
    return {"id": template.pk, "version_id": template.active_version_id}
