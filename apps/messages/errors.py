"""Refusals about messages."""

from apps.core.errors import Problem


class ContentTooLarge(Problem):
    code = "payload_too_large"
    status = 413


class AttachmentsTooLarge(Problem):
    code = "attachments_too_large"
    status = 413
