"""Refusals about keys of both kinds."""

from apps.core.errors import Problem


class Unauthorized(Problem):
    code = "unauthorized"
    status = 401
    message = "Send a valid API key as `Authorization: Bearer sspat_...`."


class InsufficientScope(Problem):
    code = "insufficient_scope"
    status = 403


class IdempotencyConflict(Problem):
    code = "idempotency_conflict"
    status = 409
    message = "This idempotency key was used for another request; use a new key for a new one."


class EarlierIsGone(Problem):
    code = "gone"
    status = 410
    message = "What this idempotency key made has been removed since; use a new key."
