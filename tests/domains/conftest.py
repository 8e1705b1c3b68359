"""A live DNS server that every look-up of the platform goes to, and what a customer does with a zone editor."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from apps.protocols.dns import Resolver, parse_servers
from tests.fakes.dns_server import DnsServer


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server, override_settings(MAIL_DNS_SERVERS=server.address):
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits a moment where the platform waits seconds, for servers that never answer. Not while the clock is frozen."""
    monkeypatch.setattr("apps.domains.services.checking.look", _impatient_look)


def _impatient_look(domain: str) -> Resolver:
    return Resolver(parse_servers(settings.MAIL_DNS_SERVERS), timeout=0.1, lifetime=0.3)


def publish(dns: DnsServer, domain: dict[str, Any], *, without: str = "") -> None:
    """Writes the records that the API shows into the zone, all but those of one purpose."""
    for record in domain["records"]:
        if record["purpose"] != without:
            value = record["value"] + "." if record["type"] == "CNAME" else record["value"]
            dns.set(record["name"], record["type"], value)


def statuses(domain: dict[str, Any]) -> dict[str, str]:
    return {name: domain[f"{name}Status"] for name in ("spf", "dkim", "dmarc", "returnPath")}


def record_of(domain: dict[str, Any], purpose: str) -> dict[str, Any]:
    return next(record for record in domain["records"] if record["purpose"] == purpose)
