"""Keeps in the console's record who looked at what was written to somebody else."""

from datetime import timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.db.models import Model
from django.http import HttpRequest

from apps.core import clock

LOOKED = "Looked at it."
# One note tells enough of somebody who goes through all the parts of one mail.
NOTED_EVERY = timedelta(hours=1)


def note_look(request: HttpRequest, row: Model, text: str = LOOKED) -> None:
    """Writes one entry a user, row, text and hour."""
    entry: dict[str, Any] = {
        "user": request.user,
        "content_type": get_content_type_for_model(row),
        "object_id": str(row.pk),
        "action_flag": CHANGE,
        "change_message": text,
    }
    if not LogEntry.objects.filter(**entry, action_time__gt=clock.now() - NOTED_EVERY).exists():
        LogEntry.objects.create(**entry, object_repr=str(row)[:200])
