"""Refusals about sender domains."""

from apps.core.errors import Conflict, Problem


class DomainExists(Conflict):
    message = "This workspace has this domain already."


class DomainNotVerified(Problem):
    code = "domain_not_verified"
    status = 403
