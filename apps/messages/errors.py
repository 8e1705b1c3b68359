"""Refusals about messages."""

from apps.core.errors import Problem


class AttachmentNotFound(Problem):
    code = "attachment_not_found"
    status = 400
    message = "There is no such asset in this workspace."


class ContentTooLarge(Problem):
    code = "payload_too_large"
    status = 413
