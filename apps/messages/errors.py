"""Refusals about messages."""

from apps.core.errors import Problem


class ContentTooLarge(Problem):
    code = "payload_too_large"
    status = 413


class TooMuchTogether(ContentTooLarge):
    message = "The mails before this one are as much as one request may make; send this one in another batch."


class AttachmentsTooLarge(Problem):
    code = "attachments_too_large"
    status = 413
