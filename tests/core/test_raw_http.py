"""What only the bytes on the wire show, to and from the web server as it runs in production."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.messages.models import Message
from tests.client import MESSAGES, SEND, mail
from tests.factories import make_domain, make_key, make_workspace
from tests.fakes.dns_server import DnsServer
from tests.journeys.rig import SENDER, Platform

BODY = json.dumps(mail()).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


class Wire:
    """Requests as bytes, each on a connection of its own."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key

    def ask(self, line: str, *headers: str, body: bytes = b"", key: str | None = None) -> tuple[int, str, bytes]:
        """The status, the headers as text, and everything after them."""
        authorization = f"Authorization: Bearer {self.key if key is None else key}"
        lines = [f"{line} HTTP/1.1", "Host: localhost", authorization, "Connection: close", *headers, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall("\r\n".join(lines).encode() + body)
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
        head, _, rest = received.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode("latin-1").lower(), rest

    def post(self, *headers: str, body: bytes) -> tuple[int, str, bytes]:
        return self.ask(f"POST {SEND}", "Content-Type: application/json", *headers, body=body)


@pytest.fixture
def wire(process_environment: dict[str, str], tmp_path: Path) -> Iterator[Wire]:
    """One web server; starting it takes longer than all that is asked of it."""
    workspace = make_workspace()
    make_domain(workspace, SENDER)
    with (
        DnsServer() as dns,
        Platform(process_environment, tmp_path, mail_port=2525, dns=dns, MAIL_TRANSPORT="capture") as live,
    ):
        live.start_web()
        yield Wire(live.port, make_key(workspace)[1])


def test_a_chunked_body_without_a_length_is_411_in_json(wire: Wire) -> None:
    status, head, body = wire.post("Transfer-Encoding: chunked", body=CHUNKED)

    assert status == 411
    assert "content-type: application/json" in head
    assert json.loads(body)["error"]["code"] == "length_required"
    assert Message.objects.across_workspaces().count() == 0


def test_two_idempotency_headers_are_refused_and_one_is_taken(wire: Wire) -> None:
    length = f"Content-Length: {len(BODY)}"

    status, _head, body = wire.post(length, "Idempotency-Key: a", "Idempotency-Key: b", body=BODY)

    assert status == 400
    assert list(json.loads(body)["error"]["details"]["fields"]) == ["idempotencyKey"]
    assert wire.post(length, "Idempotency-Key: a", body=BODY)[0] == 202
    assert Message.objects.across_workspaces().count() == 1


def test_head_is_get_without_a_body(wire: Wire) -> None:
    for path, key in [(MESSAGES, None), (MESSAGES, "nobody"), (f"{MESSAGES}/x", None), ("/v1/mail/nothing", None)]:
        status, head, body = wire.ask(f"HEAD {path}", key=key)
        wanted, _, shown = wire.ask(f"GET {path}", key=key)

        assert (status, body) == (wanted, b""), path
        assert shown, path
        assert f"content-length: {len(shown)}" in head, path
