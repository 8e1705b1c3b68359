"""Refusals about endpoints and deliveries."""

from apps.core.errors import Conflict, Problem


class EndpointDisabled(Conflict):
    code = "invalid_state"
    message = "The endpoint is disabled and gets nothing; make it active first."


class AlreadyDelivered(Conflict):
    code = "invalid_state"
    message = "This delivery has succeeded; replay its event to send it once more."


class TestedTooOften(Problem):
    code = "rate_limited"
    status = 429
    message = "An endpoint can be tested ten times a minute."


class TooManyToReplay(Problem):
    code = "validation_error"
    status = 400
