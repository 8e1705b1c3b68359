"""The listener takes what is for somebody here, whole and once, and says 250 only when it is stored."""

import asyncio
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from apps.inbound import listener
from apps.inbound.errors import NoSuchRecipient
from apps.inbound.models import InboundAttachment, InboundMessage, Report
from apps.inbound.services import doors, letters
from apps.inbound.services.arrival import Arrival
from apps.messages.models import Recipient
from apps.protocols.authentication.types import Origin
from apps.suppressions.models import Suppression
from tests import stored
from tests.conftest import World, make_world
from tests.fakes.dns_server import DnsServer
from tests.fakes.smtp_sink import certificate
from tests.inbound.mail import NAME, RAW, make_inbound_domain
from tests.inbound.making import arf, dsn, make_sent, return_path
from tests.journeys.processes import ROOT

TO = f"info@{NAME}"


class Listening:
    """A listener in a thread of this process."""

    def __init__(self) -> None:
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "Listening":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._until.set)
        self._thread.join(10)

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="mx.a.example", timeout=10)

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def _started(self, port: int) -> None:
        self.port = port
        self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._until = asyncio.get_running_loop(), asyncio.Event()
        await listener.serve(started=self._started, until=self._until)


@pytest.fixture
def world(transactional_db: None) -> World:
    """Committed, because the listener works in threads of its own."""
    world = make_world()
    make_inbound_domain(world.owner.workspace)
    return world


@pytest.fixture
def configured(world: World, settings: LazySettings) -> Iterator[LazySettings]:
    with DnsServer() as dns:
        settings.MAIL_DNS_SERVERS = dns.address
        settings.MAIL_LISTENER_PORT = 0
        settings.MAIL_FEEDBACK_ADDRESS = "fbl@shop.example"
        settings.MAIL_INBOUND_HOST = "inbound.mail.example"
        yield settings


@pytest.fixture
def listening(configured: LazySettings) -> Iterator[Listening]:
    with Listening() as server:
        yield server


def refusal(client: smtplib.SMTP, to: str, sender: str = "ann@a.example") -> tuple[int, str]:
    client.rset()
    client.mail(sender)
    code, text = client.rcpt(to)
    return code, text.decode()


def talk(sock: socket.socket, *lines: bytes) -> list[bytes]:
    """What is answered to each of these; what is sent goes out as it is."""
    answers = []
    for line in lines:
        sock.sendall(line)
        answer = b""
        while not answer.endswith(b"\r\n") or answer.split(b"\r\n")[-2][3:4] == b"-":
            piece = sock.recv(4096)
            if not piece:
                break
            answer += piece
        answers.append(answer)
    return answers


def mails(world: World) -> list[InboundMessage]:
    return list(InboundMessage.objects.of(world.owner.workspace.pk).order_by("pk"))


def test_a_mail_for_an_inbound_domain_is_stored_byte_for_byte(listening: Listening, world: World) -> None:
    raw = RAW.replace(b"Where is it?", b".\r\n..Where is it?\r\n. x")
    with listening.client() as client:
        client.sendmail("ann@a.example", [TO, f"sales@{NAME}"], raw)

    first, second = mails(world)
    assert {first.recipient, second.recipient} == {TO, f"sales@{NAME}"}
    assert (first.text, first.size, first.envelope_sender) == (".\n..Where is it?\n. x", len(raw), "ann@a.example")
    assert InboundAttachment.objects.of(world.owner.workspace.pk).filter(message=first).count() == 2


def test_a_bounce_to_a_signed_return_path_suppresses(listening: Listening, world: World) -> None:
    message = make_sent(world.owner.workspace)

    with listening.client() as client:
        client.sendmail("<>", [return_path(message)], dsn(message))

    assert Report.objects.get().status == "matched"
    assert Recipient.objects.of(message.workspace_id).get().status == "bounced"
    assert Suppression.objects.of(message.workspace_id).get().email == "ada@example.com"


def test_a_complaint_to_the_feedback_address_suppresses(listening: Listening, world: World) -> None:
    message = make_sent(world.owner.workspace)

    with listening.client() as client:
        client.sendmail("feedback@isp.example", ["FBL@shop.example"], arf(message, path=return_path(message)))

    assert Suppression.objects.of(message.workspace_id).get().reason == "complaint"


def test_nobody_else_gets_anything(listening: Listening, world: World) -> None:
    message = make_sent(world.owner.workspace)
    before = stored.everything()

    with listening.client() as client:
        client.ehlo()
        for to in ("x@elsewhere.example", "x", f"x@sub.{NAME}", return_path(message, secret=b"of somebody else")):
            assert refusal(client, to) == (550, "5.1.1 Nobody here receives mail at this address")
        assert client.docmd("DATA")[0] == 503

    assert stored.everything() == before


def test_the_same_mail_again_is_the_same(listening: Listening, world: World) -> None:
    for _ in range(2):
        with listening.client() as client:
            client.sendmail("ann@a.example", [TO], RAW)

    assert len(mails(world)) == 1


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r\n\x00.\r\n"], ids=repr)
def test_an_odd_end_of_data_smuggles_nothing_in(listening: Listening, world: World, ending: bytes) -> None:
    smuggled = b"MAIL FROM:<eve@evil.example>\r\nRCPT TO:<" + TO.encode() + b">\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
    with listening.raw() as sock:
        talk(sock, b"", b"EHLO a\r\n", b"MAIL FROM:<ann@a.example>\r\n", f"RCPT TO:<{TO}>\r\n".encode(), b"DATA\r\n")
        (answer,) = talk(sock, b"Subject: outer\r\n\r\nx" + ending + smuggled + b"\r\n.\r\n")

    is_bare = ending != b"\r\n\x00.\r\n"
    assert answer.startswith(b"550 5.6.0" if is_bare else b"250")
    # Whatever is taken is one mail, with all of it inside.
    assert [mail.subject for mail in mails(world)] == ([] if is_bare else ["outer"])


@pytest.mark.parametrize(
    "raw", [b"Subject: x\r\n\r\na\nb\r\n", b"Subject: x\r\n\r\na\rb\r\n", b"Subject: x\n\r\nb\r\n"]
)
def test_a_bare_line_end_is_refused(listening: Listening, world: World, raw: bytes) -> None:
    with listening.raw() as sock:
        talk(sock, b"", b"EHLO a\r\n", b"MAIL FROM:<a@a.example>\r\n", f"RCPT TO:<{TO}>\r\n".encode(), b"DATA\r\n")
        (answer,) = talk(sock, raw + b".\r\n")

    assert answer.startswith(b"550 5.6.0")
    assert mails(world) == []


def test_when_it_cannot_be_stored_it_is_to_be_sent_again(
    listening: Listening, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch, listening.client() as client:
        patch.setattr(letters, "_keep", fail)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("ann@a.example", [TO], RAW)
    assert (refused.value.smtp_code, mails(world)) == (451, [])

    with listening.client() as client:
        client.sendmail("ann@a.example", [TO], RAW)
    assert len(mails(world)) == 1


def test_limits(configured: LazySettings, world: World) -> None:
    configured.MAIL_INBOUND_MAX_BYTES = 64 * 1024
    configured.MAIL_LISTENER_CONNECTIONS = 2
    with Listening() as server:
        with server.client() as client:
            client.ehlo()
            assert client.esmtp_features["size"] == "65536"
            assert client.docmd(f"MAIL FROM:<a@a.example> SIZE={10**6}")[0] == 552
            client.mail("a@a.example")
            client.rcpt(TO)
            assert client.data(b"x" * 70_000)[0] in (500, 552)
            client.mail("a@a.example")
            codes = [client.rcpt(f"a{number}@{NAME}")[0] for number in range(101)]
            assert (codes[:100], codes[100]) == ([250] * 100, 452)
        with server.client(), server.client(), server.raw() as third:
            assert talk(third, b"")[0].startswith(b"421 4.7.0")
            assert third.recv(100) == b""
        with server.client() as client:
            for _ in range(50):
                assert client.noop()[0] == 250
            assert client.noop()[0] == 421
    assert mails(world) == []


def test_one_stranger_cannot_take_all_connections() -> None:
    gate = listener.Gate(10, [])
    for _ in range(2):
        assert gate.admits("192.0.2.1")
        gate.open["192.0.2.1"] += 1

    assert not gate.admits("192.0.2.1")
    assert gate.admits("192.0.2.2")


def test_starttls_when_it_is_configured(configured: LazySettings, world: World) -> None:
    configured.MAIL_LISTENER_CERT = configured.MAIL_LISTENER_KEY = str(certificate())
    context = ssl.create_default_context(cafile=str(certificate()))
    context.check_hostname = False
    with Listening() as server, server.client() as client:
        client.starttls(context=context)
        client.sendmail("ann@a.example", [TO], RAW)

    assert len(mails(world)) == 1


def test_without_a_certificate_there_is_no_starttls(listening: Listening) -> None:
    with listening.client() as client:
        client.ehlo()

        assert not client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.docmd("VRFY", TO)[0] == 421


def test_a_relay_of_ours_says_where_a_mail_came_from(configured: LazySettings, world: World) -> None:
    with DnsServer({"a.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}) as dns:
        configured.MAIL_DNS_SERVERS = dns.address
        with Listening() as server, server.client() as client:
            client.ehlo()
            assert client.has_extn("xforward")
            assert client.docmd("XFORWARD NAME=mx.a.example ADDR=192.0.2.1 HELO=mx.a.example")[0] == 250
            client.sendmail("ann@a.example", [TO], RAW)
        configured.MAIL_LISTENER_TRUSTED = []
        with Listening() as server, server.client() as client:
            client.ehlo()
            assert not client.has_extn("xforward")
            assert client.docmd("XFORWARD ADDR=192.0.2.1")[0] == 550
            client.sendmail("ann@a.example", [f"sales@{NAME}"], RAW)

    assert [mail.spf for mail in mails(world)] == ["pass", "fail"]


def test_the_command_says_where_it_listens_and_stops(process_environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "smtp_listener"],
        cwd=ROOT,
        env=process_environment | {"MAIL_LISTENER_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        place = process.stdout.readline().removeprefix("Listening on ").strip().rstrip(".")
        host, _, port = place.rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=10) as client:
            assert client.ehlo()[0] == 250
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_mail_one_of_whose_recipients_is_gone_is_not_taken_for_the_others(world: World) -> None:
    before = stored.everything()

    with pytest.raises(NoSuchRecipient):
        doors.take(Arrival(RAW, (f"info@{NAME}", "gone@elsewhere.example")), Origin())

    assert stored.everything() == before
