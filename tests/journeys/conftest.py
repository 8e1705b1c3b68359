"""What the journeys start from: a database that processes share, DNS, a sink, and the platform's own processes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import connection

from tests.fakes.dns_server import DnsServer
from tests.journeys.rig import Platform

ONLY_ON = "only_on"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What makes sense on one kind of database is no gap on the other, and so it is not skipped but left out."""
    out = [item for item in items if _vendor_of(item) not in (None, connection.vendor)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def _vendor_of(item: pytest.Item) -> str | None:
    return getattr(getattr(item, "function", None), ONLY_ON, None)


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def platform(process_environment: dict[str, str], tmp_path: Path, dns: DnsServer) -> Iterator[Callable[..., Platform]]:
    """Makes a platform on this test's database; every process of it ends with the test."""
    with ExitStack() as stack:

        def make(mail_port: int, **changes: str) -> Platform:
            made = Platform(process_environment, tmp_path, mail_port=mail_port, dns=dns, **changes)
            return stack.enter_context(made)

        yield make
