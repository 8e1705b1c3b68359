"""What servers do, told in words that let their owner mend it, and at a cost for us that is bounded."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apps.core import http
from tests.fakes.certificates import Authority
from tests.fakes.dns_server import DnsServer
from tests.fakes.web_sink import Say, WebSink, raw_server
from tests.webhooks.conftest import Hooks

pytestmark = pytest.mark.django_db(transaction=True)
HOST = "hooks.customer.example"


@pytest.fixture
def dns(settings: Any) -> Iterator[DnsServer]:
    with DnsServer() as server:
        server.set(HOST, "A", "127.0.0.1")
        server.set(HOST, "AAAA")
        settings.MAIL_DNS_SERVERS = server.address
        yield server


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Trusted by this process, as OpenSSL is told."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


def attempt(hooks: Hooks, url: str) -> dict[str, Any]:
    """What is recorded of one try."""
    endpoint = hooks.register(url)
    hooks.happen()
    hooks.send()
    (delivery,) = hooks.deliveries(endpoint["id"])
    (found,) = hooks.delivery(delivery["id"])["attempts"]
    assert found["error"] == delivery["lastError"] == hooks.endpoint(endpoint["id"])["lastError"]
    return dict(found)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(hooks: Hooks, sink: WebSink, status: int) -> None:
    sink.answering = lambda got: Say(status, body=b"")
    found = attempt(hooks, sink.url())
    assert (found["statusCode"], found["errorCode"], found["error"]) == (status, None, None)


@pytest.mark.parametrize(
    ("say", "code", "sentence"),
    [
        (Say(500), "http_status", "Your server answered 500 Internal Server Error after "),
        (Say(404), "http_status", "Your server answered 404 Not Found after "),
        (Say(599), "http_status", "Your server answered 599 after "),
        (
            Say(301, {"Location": "http://169.254.169.254/latest"}),
            "redirect",
            "Your server answered 301 Moved Permanently to http://169.254.169.254/latest. Redirects are not followed: "
            "register that address itself.",
        ),
        (
            Say(308, {"Location": "file:///etc/passwd"}),
            "redirect",
            "Your server answered 308 Permanent Redirect to file",
        ),
        (Say(304), "redirect", "Your server answered 304 Not Modified. Redirects"),
        (
            Say(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            "malformed_answer",
            "The answer cannot be read: what came back is not",
        ),
        (Say(raw=b"<html>HTTP/0.9</html>\r\n\r\n"), "malformed_answer", "The answer cannot be read: what came back is"),
        (Say(raw=b"HTTP/1.1 200 OK\r\nX: y"), "malformed_answer", "The answer cannot be read: the answer ended within"),
        (Say(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "malformed_answer", "The answer cannot be read: too many int"),
        (Say(raw=b"HTTP/1.1 101 Switching\r\n\r\n"), "http_status", "Your server answered 101 Switching Protocols"),
        (
            Say(raw=b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000),
            "malformed_answer",
            "The answer cannot be read: the headers",
        ),
        (Say(raw=b""), "connection_lost", "The connection was closed before an answer came."),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Say) else "",
)
def test_what_went_wrong_is_told(hooks: Hooks, sink: WebSink, say: Say, code: str, sentence: str) -> None:
    sink.answering = lambda got: say
    found = attempt(hooks, sink.url())
    assert found["errorCode"] == code
    assert found["error"].startswith(sentence), found["error"]
    assert len(sink.got) == 1


def test_nobody_listening_is_told(hooks: Hooks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = attempt(hooks, f"http://127.0.0.1:{port}/")
    assert found["errorCode"] == "connection_refused"
    assert found["error"] == f"Nothing answers at 127.0.0.1 port {port}: the connection was refused."


def test_a_name_without_an_address_is_told(hooks: Hooks, dns: DnsServer) -> None:
    found = attempt(hooks, "https://nowhere.customer.example/")
    assert (found["errorCode"], found["error"]) == (
        "dns_no_address",
        "The name nowhere.customer.example has no address.",
    )


def test_a_name_that_nobody_can_look_up_is_told(hooks: Hooks, dns: DnsServer) -> None:
    dns.fail(HOST, "SERVFAIL")
    found = attempt(hooks, f"https://{HOST}/")
    assert found["errorCode"] == "dns_failed"
    assert found["error"] == f"The name {HOST} could not be looked up: the server failed (SERVFAIL)."


def test_https_works_with_a_name_and_with_an_address(
    hooks: Hooks, dns: DnsServer, authority: Authority, sinks: Callable[..., WebSink]
) -> None:
    sink = sinks(context=authority.server_context(HOST, "127.0.0.1"))
    for host in (HOST, "127.0.0.1"):
        hooks.register(sink.url(host=host))
    hooks.happen()

    hooks.send()

    assert sorted(got.headers["Host"] for got in sink.got) == [f"127.0.0.1:{sink.port}", f"{HOST}:{sink.port}"]


@pytest.mark.parametrize("case", ["expired", "name", "self-signed", "stranger"])
def test_what_is_wrong_with_a_certificate_is_told(
    hooks: Hooks, dns: DnsServer, authority: Authority, tmp_path: Path, sinks: Callable[..., WebSink], case: str
) -> None:
    (tmp_path / "other").mkdir()
    contexts: dict[str, Callable[[], ssl.SSLContext]] = {
        "expired": lambda: authority.server_context(HOST, ends_at=datetime(2026, 5, 3, 12, tzinfo=UTC)),
        "name": lambda: authority.server_context("elsewhere.customer.example"),
        "self-signed": lambda: authority.server_context(HOST, is_self_signed=True),
        "stranger": lambda: Authority(tmp_path / "other").server_context(HOST),
    }
    told = {
        "expired": ("certificate_expired", "The certificate expired on 2026-05-03."),
        "name": ("certificate_name", f"The certificate is not for {HOST}."),
        "self-signed": ("certificate_untrusted", "Nobody we know vouches for the certificate: it is self-signed, or "),
        "stranger": ("certificate_untrusted", "Nobody we know vouches for the certificate: it is self-signed, or "),
    }
    sink = sinks(context=contexts[case]())

    found = attempt(hooks, sink.url(host=HOST))

    assert found["errorCode"] == told[case][0]
    assert found["error"].startswith(told[case][1]), found["error"]
    assert sink.got == []


def test_http_behind_https_is_told(hooks: Hooks, sink: WebSink) -> None:
    found = attempt(hooks, sink.url().replace("http:", "https:"))
    assert found["errorCode"] == "tls_failed"
    assert found["error"].startswith("TLS failed: ")


@pytest.mark.parametrize("kind", ["silent", "head drips", "accepts and says nothing over TLS"])
def test_the_deadline_stands_over_everything(hooks: Hooks, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(http.HttpClient.__init__, "__kwdefaults__", {"allowed": (), "deadline": 0.5, "context": None})

    def answer(client: socket.socket) -> None:
        if kind == "head drips":
            for _ in range(400):
                client.sendall(b"H")
                time.sleep(0.02)
        time.sleep(2)

    with raw_server(answer) as port:
        scheme = "https" if "TLS" in kind else "http"
        found = attempt(hooks, f"{scheme}://127.0.0.1:{port}/")

    expected = ("connect_timeout", "No connection within") if "TLS" in kind else ("timeout", "It did not answer within")
    assert found["errorCode"] == expected[0]
    assert found["error"].startswith(expected[1])
    assert found["durationMs"] < 1_500


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000", "Transfer-Encoding: chunked", "X: y"])
def test_a_body_without_end_costs_64_kilobytes_and_is_a_success(hooks: Hooks, framing: str) -> None:
    sent: list[int] = []

    def answer(client: socket.socket) -> None:
        client.recv(65_536)
        client.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        part = b"8000\r\n" + b"x" * 0x8000 + b"\r\n" if "chunked" in framing else b"x" * 0x8000
        for _ in range(10_000):
            client.sendall(part)
            sent.append(len(part))

    with raw_server(answer) as port:
        found = attempt(hooks, f"http://127.0.0.1:{port}/")

    assert (found["statusCode"], found["error"]) == (200, None)
    assert found["responseSnippet"] == "x" * 1_024
    assert sum(sent) < 20_000_000  # what the system's buffers took before the connection ended


def test_a_body_that_drips_is_not_waited_for(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.3)

    def answer(client: socket.socket) -> None:
        client.recv(65_536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(200):
            client.sendall(b"x")
            time.sleep(0.02)

    with raw_server(answer) as port:
        found = attempt(hooks, f"http://127.0.0.1:{port}/")

    assert (found["statusCode"], found["error"]) == (200, None)
    assert 0 < len(found["responseSnippet"]) < 100


def test_what_is_compressed_is_not_unpacked(hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(200, {"Content-Encoding": "gzip"}, body=b"\x1f\x8b\x08\x00" + b"\x00" * 2_000)
    found = attempt(hooks, sink.url())
    assert sink.got[0].headers["Accept-Encoding"] == "identity"
    assert found["responseSnippet"].startswith("\x1f\ufffd\x08\ufffd")
    assert "\0" not in found["responseSnippet"]


def test_connections_are_used_again_and_replaced_when_the_server_ends_them(hooks: Hooks, sink: WebSink) -> None:
    hooks.register(sink.url())
    ids = hooks.happen(12)
    hooks.send()
    assert sorted(sink.ids()) == ids
    assert sink.connections <= 4

    sink.got.clear()
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"  # and the end, though it promised to stay
    sink.answering = lambda got: Say(raw=raw)
    ids = hooks.happen(12)
    hooks.send()
    assert sorted(set(sink.ids())) == ids
    assert len(hooks.events("mail.webhook.delivery.succeeded")) == 24
