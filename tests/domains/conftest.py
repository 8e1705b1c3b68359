"""A live DNS server that every look-up of the platform goes to, and what a customer does with a zone editor."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from tests.fakes.dns_server import DnsServer


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server, override_settings(MAIL_DNS_SERVERS=server.address):
        yield server


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
