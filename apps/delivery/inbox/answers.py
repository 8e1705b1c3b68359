"""Answers that hold parts of captured mail itself, each with a policy that makes it inert wherever it is opened."""

import re

from django.http import HttpResponse

from apps.delivery.inbox.letter import Attachment
from apps.delivery.models import CapturedMessage

# The page of somebody else's making: nothing runs, nothing is fetched, and it belongs to no origin.
PREVIEW_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# The same for somebody who asked for the images, which tell their owner that the mail was read.
IMAGES_POLICY = "sandbox; default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'"
FILE_POLICY = "sandbox; default-src 'none'"
EXTENSION = re.compile(r"\.[a-z0-9]{1,8}\Z", re.IGNORECASE)


def preview(html: str, *, with_images: bool) -> HttpResponse:
    """The HTML part alone, for the frame of the message's page."""
    answer = HttpResponse(html, content_type="text/html; charset=utf-8")
    answer["Content-Security-Policy"] = IMAGES_POLICY if with_images else PREVIEW_POLICY
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-DNS-Prefetch-Control"] = "off"
    answer["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def source_file(row: CapturedMessage) -> HttpResponse:
    """The message as it was captured, byte for byte, to keep and not to open here."""
    return _file(bytes(row.source), f"{row.pk}.eml", "text/plain; charset=utf-8")


def attachment_file(attachment: Attachment, number: int) -> HttpResponse:
    """What was attached, under a name of ours; of the sender's only a plain extension is kept."""
    extension = EXTENSION.search(attachment.name)
    name = f"attachment-{number}{extension[0].lower() if extension else ''}"
    return _file(attachment.content, name, "application/octet-stream")


def _file(content: bytes, name: str, content_type: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Content-Security-Policy"] = FILE_POLICY
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
