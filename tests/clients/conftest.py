"""The published clients, each in a folder of its own, in front of a running server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import override_settings

from apps.delivery.services.drain import drain
from stackshift_mail.env import asset_storage
from tests.conftest import environment_of_the_database
from tests.factories import make_key, make_workspace
from tests.fakes.dns_server import DnsServer
from tests.journeys.processes import ROOT
from tests.journeys.rig import SENDER, LiveApi, Platform

VERSIONS = ("0.1.2", "1.3.1")
MOUNTS = ("/v1", "/api/v1")
FOLDER = ROOT / ".venv" / "clients"


@dataclass
class ApiError(Exception):
    """What the client raised."""

    message: str
    status_code: int
    code: str | None
    details: Any


class Client:
    """A published client behind a pipe: `client("mail.send", ...)` is its `client.mail.send(...)`."""

    def __init__(self, version: str, url: str, key: str) -> None:
        self.version = version
        origin = url.removesuffix("/v1").removesuffix("/api")
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed(version))}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("published_client.py"))],
            env={**environment, "CLIENT_KEY": key, "CLIENT_MAIL_URL": url, "CLIENT_URL": f"{origin}/api/v1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, name: str, /, *positional: Any, **named: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, positional, named]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ApiError(*answer["error"])
        return answer["result"]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@cache
def installed(version: str) -> Path:
    """The folder of this version, installed at its first use. Several test processes may come at once."""
    folder = FOLDER / version
    if not folder.exists():
        own = FOLDER / f"{version}-{os.getpid()}"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        done = subprocess.run(
            [*command, "--target", str(own), f"stackshift=={version}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"stackshift {version} cannot be installed: {done.stderr.strip()[-200:]}")
        if not folder.exists():
            own.rename(folder)
    return folder


@pytest.fixture(scope="module")
def running(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """One server for all tests of a module: it keeps nothing between two requests but its connections."""
    with django_db_blocker.unblock():
        environment = environment_of_the_database()
    folder = tmp_path_factory.mktemp("clients")
    changes = {"MAIL_TRANSPORT": "capture", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with DnsServer() as dns, Platform(environment, folder, mail_port=2525, dns=dns, **changes) as live:
        live.start_web()
        yield live


@pytest.fixture
def server(running: Platform, transactional_db: None) -> Platform:
    """In front of a database and a DNS that are empty when the test begins."""
    running.dns.clear()
    return running


@pytest.fixture
def key(server: Platform) -> str:
    return make_key(make_workspace())[1]


@pytest.fixture
def connect(server: Platform, key: str) -> Iterator[Callable[..., Client]]:
    """Makes clients; with a verified domain behind their key if they ask for it."""
    made: list[Client] = []

    def make(version: str, mount: str, *, domain: str = SENDER, own_key: str = key) -> Client:
        if domain:
            LiveApi(server.url, own_key).register(domain, server.dns)
        made.append(Client(version, f"{server.url}{mount}", own_key))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def deliver(server: Platform) -> Iterator[Callable[[], None]]:
    """Delivers what is due into the inboxes of the capture transport, with the files that the server keeps."""
    place = asset_storage("", server.folder / "assets")
    with override_settings(STORAGES={**storages.backends, "assets": place}):
        yield lambda: drain(until_idle=True)
