"""Refusals about mail that comes in."""

from apps.core.errors import Conflict, NotFound, PayloadTooLarge, Problem


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


class DomainExists(Conflict):
    message = "This workspace has this inbound domain already."


class DomainTaken(Conflict):
    message = "Another workspace receives mail for this domain; ask the operator of this server."


class AskedTooOften(Problem):
    code = "rate_limited"
    status = 429
    message = "This domain was looked up too often; wait a minute."


class FileGone(NotFound):
    message = "The bytes of this attachment are not here any more."
