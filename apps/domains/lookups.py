"""Whom the DNS doctor asks: the domain's own name servers, or only those that the operator has named."""

from typing import Protocol

from django.conf import settings

from apps.protocols.authority import AuthorityResolver
from apps.protocols.dns import Answer, Resolver, parse_servers
from apps.protocols.doctor import Look


class WideLook(Look, Protocol):
    """A look that can also tell what each server says by itself."""

    def txt_of_each(self, name: str) -> tuple[Answer[str], ...]: ...


def look() -> WideLook:
    """A new one for each check, because it remembers the servers of zones."""
    if servers := parse_servers(settings.MAIL_DNS_SERVERS):
        return Resolver(servers)
    return AuthorityResolver(Resolver())
