"""The platform as it runs in production: web server and workers as processes, DNS and mail servers on loopback."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import requests

from tests.client import Answer
from tests.factories import make_key, make_workspace
from tests.fakes.dns_server import DnsServer
from tests.journeys.ledger import LedgerSink
from tests.journeys.processes import Tree, manage, python, wait_until
from tests.journeys.story import Story, story_of

SENDER = "shop.example"
INBOX = "inbox.example"
RETRIES = ",".join(["1", "1", *["2"] * 60])
LEASE_SECONDS = 5
# Runs the delivery engine alone, without django-q2 around it.
DRAIN = "import django; django.setup(); from apps.delivery.services.drain import drain; drain()"


class LiveApi:
    """The same calls as tests.client.Api, over HTTP to a running server."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self._session = requests.Session()

    def get(self, path: str, query: dict[str, Any] | None = None) -> Answer:
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.call("POST", path, body)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: Any = None, *, query: dict[str, Any] | None = None) -> Answer:
        response = self._session.request(
            method,
            f"{self.url}{path}",
            json=body,
            params=query,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            allow_redirects=False,
        )
        return Answer(response.status_code, response.json() if response.content else None, response.headers)

    def twin(self) -> "LiveApi":
        """Another connection, for another thread."""
        return LiveApi(self.url, self.key)

    def register(self, domain: str, dns: DnsServer) -> str:
        """Adds a sender's domain as a customer does: publish what the answer says, then ask to verify it."""
        created = self.post("/v1/mail/domains", {"domain": domain})
        assert created.status == 201, created
        for record in created.data["records"]:
            value = f"{record['value']}." if record["type"] == "CNAME" else record["value"]
            dns.set(record["name"], record["type"], value)
        verified = self.post(f"/v1/mail/domains/{created.data['id']}/verify")
        assert verified.data["status"] == "verified", verified
        return str(verified.data["id"])

    def story(self, message_id: str) -> Story:
        return story_of(self, message_id)


class Platform:
    """Processes on one database. `mail_port` is where all the mail servers of the world listen."""

    def __init__(
        self, database: Mapping[str, str], folder: Path, *, mail_port: int, dns: DnsServer, **changes: str
    ) -> None:
        self.folder, self.dns, self.port = folder, dns, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **database,
            "STACKSHIFT_VAR": str(folder),
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
            "DELIVERY_WORKERS": "2",
            "MAIL_TRANSPORT": "mx",
            "MAIL_MX_PORT": str(mail_port),
            "MAIL_DNS_SERVERS": dns.address,
            "MAIL_RETRY_SCHEDULE": RETRIES,
            "MAIL_LEASE_SECONDS": str(LEASE_SECONDS),
            "LOG_LEVEL": "WARNING",
            **changes,
        }
        self._trees: list[Tree] = []
        receives_mail(dns, INBOX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for tree in self._trees:
            tree.clear_away()
            print(f"--- the end of {tree.log.name}:\n{tree.output[-4000:]}")  # noqa: T201 - pytest shows it on failure

    def start(self, command: list[str], name: str) -> Tree:
        tree = Tree(command, self.environment, self.folder / f"{name}-{len(self._trees)}.log")
        self._trees.append(tree)
        return tree

    def start_web(self) -> Tree:
        configuration = "stackshift_mail/gunicorn.conf.py"
        web = self.start(python("-m", "gunicorn", "--config", configuration), "web")
        wait_until(lambda: self.answers("/healthz"), "the web server answers")
        return web

    def start_worker(self) -> Tree:
        """The whole of `manage.py worker`: watchdog, clusters, drains."""
        return self.start(manage("worker"), "worker")

    def start_drain(self) -> Tree:
        """One process that delivers, and nothing that watches over it."""
        return self.start(python("-c", DRAIN), "drain")

    def answers(self, path: str) -> bool:
        try:
            return requests.get(f"{self.url}{path}", timeout=10).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def customer(self, *, domain: str = SENDER) -> LiveApi:
        """A workspace with a key and a verified domain."""
        api = LiveApi(self.url, make_key(make_workspace())[1])
        api.register(domain, self.dns)
        return api


def receives_mail(dns: DnsServer, domain: str, *hosts: str) -> None:
    """The domain's mail servers, by preference; each host is an address of loopback."""
    addresses = hosts or ("127.0.0.1",)
    names = [f"mx{number}.{domain}" for number in range(len(addresses))]
    dns.set(domain, "MX", *(f"{10 * number} {name}." for number, name in enumerate(names)))
    for name, address in zip(names, addresses, strict=True):
        dns.set(name, "A", address)
        dns.set(name, "AAAA")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sink(folder: Path, *, delay_ms: int = 0, drop_every: int = 0) -> LedgerSink:
    return LedgerSink(folder / "ledger", delay_ms=delay_ms, drop_every=drop_every)
