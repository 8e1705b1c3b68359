"""Makes templates the way the platform makes them."""

from apps.templates.models import Template
from apps.templates.services import authoring
from apps.workspaces.models import Workspace


def make_template(workspace: Workspace, slug: str = "welcome", **values: str) -> Template:
    given = {"name": "Welcome", "slug": slug, "subject": "Subject", "html": "<p>Hello</p>", "text": "Hello"}
    return authoring.create(workspace.pk, given | values)
