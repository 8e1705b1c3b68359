"""No spelling of a private address gets a connection: not at registration, not when it is sent to."""

import socket
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from apps.console.management.commands import quickstart
from apps.core.crypto import seal
from apps.core.ids import new_id
from apps.webhooks.models import DeliveryAttempt, Endpoint
from apps.webhooks.services import endpoints
from tests import stored
from tests.client import Api
from tests.fakes.dns_server import DnsServer
from tests.fakes.web_sink import WebSink
from tests.webhooks.conftest import LOOPBACK, WEBHOOKS, Hooks, row_of

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMES = ("ftp://h.example/", "file:///etc/passwd", "gopher://h.example/", "javascript:alert(1)", "ws://h.example/")
NO_SCHEME = ("//h.example/", "h.example/hook", "https:h.example", "https:/h.example", "https://", "https:///x", "", " ")
# Written by W2 of the catalogue; {port} is where the canary listens.
LOOPBACKS = (
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "0177.0.0.1"),
    *("017700000001", "0", "0.0.0.0", "0.1.2.3", "127.0.0.01", "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1"),
    *("localhost", "localhost.", "LOCALHOST", "x.localhost", "ip6-localhost", "localhost.localdomain."),
    *("[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]"),
    *(
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[::1%25lo]",
        "[::1%lo]",
        "[fe80::1%25eth0]",
    ),
)
RESERVED = (
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8"),
    *("192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
    *(
        "255.255.255.255",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
        "[100::1]",
        "[5f00::1]",
        "[3fff::1]",
    ),
    *("[2001:db8::1]", "[2001:1ff::1]", "[fc00::1]", "[::2]"),
)
ODD = (
    *(
        "https://a:b@h.example/",
        "https://a@h.example/",
        "https://h.example#@e.example/",
        "https://h.example\\@e.example/",
    ),
    *("https://h%00.example/", "https://h.example:99999/", "https://h.example:0/", "https://h.example:/"),
    *("https://h.example:22/", "https://h.example:25/", "https://h.example:5432/", "https://h.example:-1/"),
    *("https://h.\texample/", "https://h.example/\nHost: x", "https://h.example/a b", "https://h.example/#f"),
    *(
        "https://bücher.example/",
        "https://h.example./",
        "https://-h.example/",
        "https://h..example/",
        "https://h_.example/",
    ),
    *(f"https://h.example/{'x' * 2_040}", f"https://{'a' * 64}.example/", "https://[h.example]/", "https://[::1/"),
    *("https://intranet/", "https://db.internal/", "https://printer.local/", "http://h.example/", "https://1.2.3/"),
    *("https://h.example:44\u0664/", "https://h.example:0x1bb/", "HTTP://h.example/", "https://localhost:443/"),
)


class Canary:
    """Counts who connects."""

    def __init__(self, host: str) -> None:
        self.visits = 0
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            client.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def canaries() -> Iterator[list[Canary]]:
    found = [Canary("127.0.0.1"), Canary("::1")]
    yield found
    for canary in found:
        canary.close()


@pytest.fixture
def dns(settings: Any) -> Iterator[DnsServer]:
    with DnsServer() as server:
        settings.MAIL_DNS_SERVERS = server.address
        yield server


def all_forms(port: int) -> list[str]:
    hosts = [*LOOPBACKS, *RESERVED]
    return [
        f"{scheme}://{host}{where}/hook" for host in hosts for scheme in ("https", "http") for where in ("", f":{port}")
    ]


def test_no_form_is_registered(api: Api, canaries: list[Canary]) -> None:
    before = stored.everything()

    for url in [*all_forms(canaries[0].port), *SCHEMES, *NO_SCHEME, *ODD]:
        answer = api.post(WEBHOOKS, {"url": url, "eventTypes": ["mail.message.sent"]})
        assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", ["url"]), url

    assert stored.everything() == before
    assert [canary.visits for canary in canaries] == [0, 0]


def test_no_form_is_taken_by_a_change(api: Api, canaries: list[Canary]) -> None:
    url = "https://hooks.customer.example/hook"
    endpoint = api.post(WEBHOOKS, {"url": url, "eventTypes": ["mail.message.sent"]}).data
    before = stored.everything()

    for url in [*all_forms(canaries[0].port)[::4], *SCHEMES, *ODD]:
        answer = api.patch(f"{WEBHOOKS}/{endpoint['id']}", {"url": url})
        assert (answer.status, list(answer.fields)) == (400, ["url"]), url

    assert stored.everything() == before


def test_no_form_gets_a_connection_if_it_is_stored_all_the_same(
    hooks: Hooks, canaries: list[Canary], dns: DnsServer, settings: Any
) -> None:
    """As an older version, or a hand in the database, may have let it in."""
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    row = row_of(hooks.register("https://hooks.customer.example/hook"))
    endpoints.delete(row)
    urls = [url for port in {canary.port for canary in canaries} for url in all_forms(port) if f":{port}" in url]
    Endpoint.objects.across_workspaces().bulk_create([_with_url(row, url) for url in urls])
    hooks.happen()

    hooks.send()

    assert [canary.visits for canary in canaries] == [0, 0]
    codes = DeliveryAttempt.objects.across_workspaces().values_list("error_code", flat=True)
    assert len(codes) == len(urls)
    assert set(codes) == {"forbidden_url", "blocked_destination", "dns_no_address"}


def _with_url(row: Endpoint, url: str) -> Endpoint:
    """Another endpoint with an address that no door would take."""
    identifier = new_id()
    sealed = seal("whsec_" + "a" * 44, bound_to=f"webhook:{identifier}")
    values = {"workspace_id": row.workspace_id, "created_at": row.created_at, "updated_at": row.updated_at}
    return Endpoint(id=identifier, url=url, event_types=["mail.message.queued"], secret_sealed=sealed, **values)


@pytest.mark.parametrize(
    ("types", "case"),
    [
        ({"A": ["127.0.0.1"]}, "private"),
        ({"A": ["93.184.215.14", "127.0.0.1"]}, "mixed"),
        ({"AAAA": ["::1"]}, "private IPv6"),
        ({"AAAA": ["::ffff:127.0.0.1"]}, "mapped"),
        ({"AAAA": ["64:ff9b::7f00:1"]}, "NAT64"),
        ({"CNAME": ["inside.customer.example."]}, "an alias"),
        ({"A": ["169.254.169.254"]}, "metadata"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_that_leads_inside_gets_no_connection(
    hooks: Hooks, dns: DnsServer, canaries: list[Canary], settings: Any, types: dict[str, list[str]], case: str
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    name = "hooks.customer.example"
    dns.set("inside.customer.example", "A", "127.0.0.1")
    for kind in ("A", "AAAA", "CNAME"):
        if kind in types:
            dns.set(name, kind, *types[kind])
    endpoint = hooks.register(f"https://{name}/hook")
    hooks.happen()

    hooks.send()

    (delivery,) = hooks.deliveries(endpoint["id"])
    assert delivery["lastError"] == f"{name} leads to an address that is not public; nothing was sent."
    assert [canary.visits for canary in canaries] == [0, 0]


def test_a_name_that_is_bound_anew_gets_no_connection(hooks: Hooks, dns: DnsServer, settings: Any) -> None:
    """The address that was checked is the one that is connected to, however often the name changes."""
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.2/32"]
    with WebSink() as inside:
        name = "rebind.customer.example"
        dns.set(name, "A", "127.0.0.2", ttl=0)
        dns.set(name, "AAAA")
        endpoint = hooks.register(f"http://{name}:{inside.port}/hook")
        hooks.happen()
        dns.set(name, "A", "127.0.0.1", ttl=0)

        hooks.send()
        hooks.send_later()

        assert inside.connections == 0
        assert hooks.endpoint(endpoint["id"])["failureCount"] == 2


def test_our_own_address_is_refused(api: Api, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOOPBACK
    settings.PUBLIC_URL = "http://localhost:8123"
    answer = api.post(WEBHOOKS, {"url": "http://localhost:8123/internal/mail/bounces", "eventTypes": ["*"]})
    assert (answer.status, list(answer.fields)) == (400, ["url"])


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.customer.example",
        "https://hooks.customer.example/",
        "https://HOOKS.customer.example:443/a/b?c=d&e=%20",
        "https://xn--bcher-kva.example:8443/hook",
        "https://8.8.8.8/hook",
        "https://[2606:4700::1111]/hook",
    ],
)
def test_public_https_is_taken_as_it_is(api: Api, url: str) -> None:
    answer = api.post(WEBHOOKS, {"url": url, "eventTypes": ["mail.message.sent"]})
    assert (answer.status, answer.data["url"]) == (201, url)


def test_an_allowed_network_may_be_http_on_any_port(hooks: Hooks, dns: DnsServer, sink: WebSink) -> None:
    dns.set("receiver.customer.example", "A", "127.0.0.1")
    dns.set("receiver.customer.example", "AAAA")
    hosts = ("127.0.0.1", "localhost", "receiver.customer.example")
    for host in hosts:
        hooks.register(sink.url(host=host))
    hooks.happen()

    hooks.send()

    assert sorted(got.headers["Host"] for got in sink.got) == sorted(f"{host}:{sink.port}" for host in hosts)


def test_a_name_outside_the_allowed_networks_is_still_refused(hooks: Hooks, dns: DnsServer) -> None:
    dns.set("elsewhere.customer.example", "A", "10.0.0.1")
    dns.set("elsewhere.customer.example", "AAAA")
    for url in ("http://elsewhere.customer.example/", "http://unknown.customer.example/", "http://8.8.8.8/"):
        answer = hooks.api.post(WEBHOOKS, {"url": url, "eventTypes": ["*"]})
        assert (answer.status, answer.fields) == (400, {"url": ["must begin with https://"]}), url


def test_the_stored_row_keeps_the_text(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url("/hook"))
    assert row_of(endpoint).pk == UUID(endpoint["id"])
    assert row_of(endpoint).url == endpoint["url"]


@pytest.mark.parametrize(
    ("public_url", "said", "allowed"),
    [
        ("http://localhost:8000", None, {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128"}),
        ("https://mail.example.com", None, {}),
        ("http://localhost:8000", "", {}),
        ("http://localhost:8000", "10.0.0.0/8", {}),
    ],
)
def test_quickstart_allows_this_machine_until_somebody_says_otherwise(
    settings: Any, monkeypatch: pytest.MonkeyPatch, public_url: str, said: str | None, allowed: dict[str, str]
) -> None:
    settings.PUBLIC_URL = public_url
    if said is not None:
        monkeypatch.setenv("WEBHOOK_ALLOWED_NETWORKS", said)
    assert quickstart._for_trying_out() == allowed
