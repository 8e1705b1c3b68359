"""Where a message came from and what it carries, each with a link to the console's page of it."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.assets.models import Asset
from apps.batches.models import Batch
from apps.core.admin import page_link
from apps.messages.models import Attachment, Message
from apps.otp.models import Challenge
from apps.scheduled.models import Scheduled
from apps.templates.models import Template
from apps.workspaces.tenancy import TenantModel


@dataclass(frozen=True, slots=True)
class Fact:
    """One line among the facts of a message."""

    label: str
    shown: SafeString | str


def origin_of(message: Message) -> list[Fact]:
    """Its template, batch, schedule, challenge and files, as far as it has them."""
    found = [
        ("Template", _row(Template, message, pk=message.template_id), "slug"),
        ("Batch", _row(Batch, message, pk=message.batch_id), "pk"),
        ("Scheduled", _row(Scheduled, message, pk=message.scheduled_id), "pk"),
        ("One-time code", _row(Challenge, message, message_id=message.pk), "purpose"),
    ]
    facts = [Fact(label, page_link(row, row.pk, getattr(row, name))) for label, row, name in found if row is not None]
    files = Attachment.objects.of(message.workspace_id).filter(message=message).order_by("position")
    if shown := [(_file(attachment),) for attachment in files]:
        facts.append(Fact("Carries", format_html_join(", ", "{}", shown)))
    return facts


def _row(model: type[TenantModel], message: Message, **where: Any) -> Model | None:
    """Nothing where the message names none, and where the row has gone since."""
    if None in where.values():
        return None
    row: Model | None = model.objects.of(message.workspace_id).filter(**where).first()
    return row


def _file(attachment: Attachment) -> SafeString:
    link = page_link(Asset, attachment.asset_id, attachment.filename)
    return format_html("{} ({} bytes)", link, f"{attachment.size:,}")
