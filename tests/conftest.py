"""The world that every test starts from, the guard around it, and what the run says about skipped tests."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from whitenoise.middleware import WhiteNoiseMiddleware

from apps.workspaces.models import Workspace
from tests.client import Api
from tests.factories import make_domain, make_key, make_workspace

LOOPBACK = ("127.", "::1", "localhost")
NOON = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a key of a workspace."""

    workspace: Workspace
    key: str
    api: Api


@dataclass(frozen=True, slots=True)
class World:
    """An owner and a teammate share a workspace with a verified domain; a stranger has a workspace too."""

    owner: Person
    teammate: Person
    stranger: Person


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def make_world() -> World:
    """For tests that need it in a transaction of their own kind."""
    ours, theirs = make_workspace("shop"), make_workspace("stranger")
    make_domain(ours, "shop.example")
    make_domain(theirs, "stranger.example")
    return World(_person(ours), _person(ours), _person(theirs))


def _person(workspace: Workspace) -> Person:
    _row, key = make_key(workspace)
    return Person(workspace, key, Api(key))


@pytest.fixture
def workspace(world: World) -> Workspace:
    return world.owner.workspace


@pytest.fixture
def api(world: World) -> Api:
    """The owner's."""
    return world.owner.api


@pytest.fixture
def frozen() -> Iterator[time_machine.Traveller]:
    """The clock stands at noon until the test moves it."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which a process of the platform works on this test's database."""
    return environment_of_the_database()


def environment_of_the_database() -> dict[str, str]:
    """For processes that outlive a test; the database does too."""
    names = settings.DATABASES["default"] | connection.settings_dict
    url = f"sqlite:///{names['NAME']}"
    if connection.vendor == "postgresql":
        account = f"{quote(names['USER'])}:{quote(names['PASSWORD'])}"
        url = f"postgresql://{account}@{names['HOST']}:{names['PORT']}/{names['NAME']}"
    return os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "stackshift_mail.settings"}


@pytest.fixture(autouse=True, scope="session")
def static_files_listed_once() -> Iterator[None]:
    """Each test client makes the middleware anew, which would look for all static files before its first answer."""
    original, listed = WhiteNoiseMiddleware.add_files_from_finders, dict[str, Any]()

    def add(middleware: WhiteNoiseMiddleware) -> None:
        if not listed:
            original(middleware)
            listed.update(middleware.files)
        middleware.files |= listed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add)
        yield


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """No test leaves the machine: a connection to elsewhere is an error and not a long wait."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


def _guarded(original: Any) -> Any:
    def call(sock: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        if sock.family != socket.AF_UNIX and not str(address[0]).startswith(LOOPBACK):
            raise PermissionError(f"a test tried to reach {address}")
        return original(sock, *arguments)

    return call


def pytest_report_header() -> str:
    return f"database: {connection.vendor}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was skipped is handed to `make test` for its closing line; with REQUIRE_ALL=1 it is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(session.config, "workerinput") or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if path := os.environ.get("SKIP_REPORT"):
        with Path(path).open("a") as lines:
            lines.writelines(f"{_skip_line(report)}\n" for report in skipped)
    if skipped and os.environ.get("REQUIRE_ALL") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skip_line(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"{report.nodeid} on {connection.vendor} ({reason.removeprefix('Skipped: ')})"
