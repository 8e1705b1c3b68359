"""Stands in until the templates are there."""

from collections.abc import Sequence
from uuid import UUID

from apps.events.services import NewEvent
from apps.events.types import EventType, ResourceType


def test_sent(
    workspace_id: UUID, template_id: UUID, version_id: UUID, message_id: UUID, recipients: Sequence[str]
) -> NewEvent:
    data = {"versionId": str(version_id), "recipients": list(recipients)}
    return NewEvent(workspace_id, EventType.TEMPLATE_TEST_SENT, ResourceType.TEMPLATE, template_id, message_id, data)
