"""Refusals about mail that comes in."""

from apps.core.errors import NotFound, PayloadTooLarge, Problem


class DoorClosed(NotFound):
    message = "There is nothing at this address."


class WrongToken(Problem):
    code = "unauthorized"
    status = 401
    message = "Send the server's own token (MAIL_INTERNAL_TOKEN) as Authorization: Bearer; API keys are refused here."


class MailTooLarge(PayloadTooLarge):
    def __init__(self, limit: int) -> None:
        super().__init__(f"Mail of more than {limit} bytes is not taken.")


class NoSuchRecipient(NotFound):
    message = "Nobody here receives mail at this address."
