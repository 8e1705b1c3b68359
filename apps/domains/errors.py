"""Refusals about sender domains."""

from apps.core.errors import Conflict, Problem


class DomainExists(Conflict):
    message = "This workspace has this domain already."


class DomainNotVerified(Problem):
    code = "domain_not_verified"
    status = 403


class CannotRotate(Problem):
    code = "invalid_state"
    status = 409


class AskedTooOften(Problem):
    code = "rate_limited"
    status = 429
    message = "This domain was looked up too often; it is also looked up by itself."
