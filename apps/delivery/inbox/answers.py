"""Parts of captured mail to keep, under names of ours."""

import re

from django.http import HttpResponse

from apps.core import inert
from apps.delivery.inbox.letter import Attachment

EXTENSION = re.compile(r"\.[a-z0-9]{1,8}\Z", re.IGNORECASE)


def attachment_file(attachment: Attachment, number: int) -> HttpResponse:
    """What was attached; of the sender's name for it only a plain extension is kept."""
    extension = EXTENSION.search(attachment.name)
    name = f"attachment-{number}{extension[0].lower() if extension else ''}"
    return inert.file(attachment.content, name, "application/octet-stream")
