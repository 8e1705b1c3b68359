"""Refusals about assets."""

from apps.core.errors import Conflict, Problem


class AttachmentNotFound(Problem):
    code = "attachment_not_found"
    status = 400
    message = "There is no such asset in this workspace."


class AttachmentNotReady(Problem):
    code = "attachment_not_ready"
    status = 400
    message = "The upload of this attachment is not complete; finish it, then send."


class AssetGone(Exception):
    """The bytes that an accepted mail needs are not there; the text says why."""


class FileTooLarge(Problem):
    code = "payload_too_large"
    status = 413

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The file may have at most {max_bytes} bytes.", details={"maxBytes": max_bytes})


class StaleRevision(Conflict):
    def __init__(self, revision: int) -> None:
        super().__init__(
            f"The asset has changed and is at revision {revision}; read it again before you change it.",
            details={"revision": revision},
        )


class WrongState(Problem):
    code = "invalid_state"
    status = 409


class LinkExpired(Problem):
    code = "link_expired"
    status = 410
    message = "This link has expired or was used as often as it may be; ask for a new one."


class StorageUnavailable(Problem):
    code = "storage_unavailable"
    status = 503
    message = "The file storage does not answer; nothing was stored. Try again in a few seconds."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=5)
