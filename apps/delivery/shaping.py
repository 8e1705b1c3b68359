"""How much a destination is given at once, as data: what the large receivers allow one sender (field D3, D4)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections at once from this whole server, and messages on each before a new one is opened."""

    group: str
    connections: int
    messages: int

    def connections_here(self) -> int:
        """One process's share of the connections; each has at least one, so few of them is for few workers."""
        return max(1, self.connections // delivery_workers())


DEFAULT_CONNECTIONS, DEFAULT_MESSAGES = 20, 100
RELAY = Limits("relay", 40, 1_000)
# By the end of every MX host's name; domains that share a provider share its limits.
PROVIDERS: tuple[tuple[str, Limits], ...] = (
    (".google.com", Limits("google", 5, 50)),
    (".googlemail.com", Limits("google", 5, 50)),
    (".outlook.com", Limits("microsoft", 5, 50)),
    (".yahoodns.net", Limits("yahoo", 5, 20)),
    (".icloud.com", Limits("apple", 10, 5)),
    (".mimecast.com", Limits("mimecast", 10, 100)),
    (".orange.fr", Limits("orange", 2, 100)),
    (".gmx.net", Limits("gmx", 4, 20)),
    (".web.de", Limits("gmx", 4, 20)),
    (".comcast.net", Limits("comcast", 25, 1_000)),
)


def limits_of(key: str, hosts: Sequence[str]) -> Limits:
    """The limits of a set of MX hosts; `key` names the set where no provider claims all of it."""
    for ending, limits in PROVIDERS:
        if hosts and all(host.lower().endswith(ending) for host in hosts):
            return limits
    return Limits(key, DEFAULT_CONNECTIONS, DEFAULT_MESSAGES)


def delivery_workers() -> int:
    return settings.DELIVERY_WORKERS or os.cpu_count() or 1
