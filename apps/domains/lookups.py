"""Whom the DNS doctor asks: the domain's own name servers, or only those that the operator has named."""

from typing import Protocol

from django.conf import settings

from apps.protocols.authority import AuthorityResolver
from apps.protocols.dns import Answer, Budget, Resolver, parse_servers
from apps.protocols.doctor import Look

# What one look at a domain may cost. An ordinary one takes about forty questions and a second.
MAX_QUESTIONS, MAX_SECONDS = 200, 30.0


class WideLook(Look, Protocol):
    """A look that can also tell what each server says by itself."""

    def txt_of_each(self, name: str) -> tuple[Answer[str], ...]: ...


def look(domain: str) -> WideLook:
    """A new one for each check: it remembers the domain's servers, and what it has cost."""
    budget = Budget(questions=MAX_QUESTIONS, seconds=MAX_SECONDS)
    if servers := parse_servers(settings.MAIL_DNS_SERVERS):
        return Resolver(servers, budget=budget)
    return AuthorityResolver(Resolver(budget=budget), domain)
