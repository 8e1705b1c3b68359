"""What is told about a template: one event with its state as it was then."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.templates.models import Template, TemplateVersion


def tell(event_type: EventType, template: Template, version: TemplateVersion | None = None) -> None:
    """Records an event in the caller's transaction."""
    data: dict[str, Any] = {
        "slug": template.slug,
        "name": template.name,
        "status": template.status,
        "activeVersionId": str(template.active_version_id),
    }
    if version is not None:
        data |= {"versionId": str(version.pk), "versionNumber": version.number, "variables": version.variables}
    record([NewEvent(template.workspace_id, event_type, ResourceType.TEMPLATE, template.pk, data=data)])


def test_sent(
    workspace_id: UUID, template_id: UUID, version_id: UUID, message_id: UUID, recipients: Sequence[str]
) -> NewEvent:
    """The event that a test was sent, for whoever sends it to record with the message."""
    return NewEvent(
        workspace_id,
        EventType.TEMPLATE_TEST_SENT,
        ResourceType.TEMPLATE,
        template_id,
        message_id=message_id,
        data={"versionId": str(version_id), "recipients": list(recipients)},
    )
