"""With the real Postfix between us and the world: what bounces comes back by itself, and mail comes in."""

import asyncio
import shutil
import smtplib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from apps.delivery.services.drain import drain
from apps.inbound.models import InboundMessage, Report
from apps.messages.models import Bounce
from apps.suppressions.models import Suppression
from tests.client import MESSAGES, SEND, mail
from tests.conftest import World, make_world
from tests.fakes.dns_server import DnsServer
from tests.fakes.postfix import Postfix, missing
from tests.fakes.smtp_sink import RawSmtpServer
from tests.inbound.mail import NAME, RAW, make_inbound_domain
from tests.inbound.test_listener import Listening

PATIENCE = 30.0  # seconds, of which one is usual

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is one")


@pytest.fixture
def world(transactional_db: None) -> World:
    world = make_world()
    make_inbound_domain(world.owner.workspace)
    return world


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that Postfix's own user may pass through, which pytest's are not."""
    path = Path(tempfile.mkdtemp(prefix="stackshift-postfix-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def listening(world: World, settings: LazySettings) -> Iterator[Listening]:
    with DnsServer() as dns:
        settings.MAIL_DNS_SERVERS = dns.address
        settings.MAIL_LISTENER_PORT = 0
        with Listening() as server:
            yield server


def wait_for(what: Callable[[], object], relay: Postfix) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, relay.log
        time.sleep(0.05)


def test_a_report_of_the_relay_comes_back_by_itself_and_suppresses_the_recipient(
    listening: Listening, world: World, settings: LazySettings, folder: Path
) -> None:
    refusing = RawSmtpServer({"rcpt": b"550 5.1.1 User unknown\r\n"})
    with refusing, Postfix(folder, {"inbox.test": refusing.port, "bounces.shop.example": listening.port}) as relay:
        settings.MAIL_TRANSPORT = "relay"
        settings.MAIL_RELAY_URL = f"smtp://127.0.0.1:{relay.port}"
        settings.DELIVERY_WORKERS = 1
        api, policy = world.owner.api, asyncio.get_event_loop_policy()
        message = api.post(SEND, mail(to="gone@inbox.test")).data["id"]
        try:
            drain(until_idle=True)
        finally:
            asyncio.set_event_loop_policy(policy)  # the engine chose another for the process

        wait_for(lambda: Bounce.objects.of(world.owner.workspace.pk).exists(), relay)

    report = Report.objects.get()
    assert (report.kind, report.status, report.matched_by) == ("bounce", "matched", "return_path")
    assert api.get(f"{MESSAGES}/{message}").data["status"] == "bounced"
    (bounce,) = api.get(f"{MESSAGES}/{message}/bounces").rows
    assert (bounce["type"], bounce["source"], bounce["enhancedCode"]) == ("hard", "dsn", "5.1.1")
    suppression = Suppression.objects.of(world.owner.workspace.pk).get()
    assert (suppression.email, suppression.reason) == ("gone@inbox.test", "hard_bounce")
    assert api.post(SEND, mail(to="gone@inbox.test")).data["status"] == "suppressed"


def test_mail_for_an_inbound_domain_comes_in(listening: Listening, world: World, folder: Path) -> None:
    with Postfix(folder, {NAME: listening.port}) as relay:
        with smtplib.SMTP("127.0.0.1", relay.port, local_hostname="mx.a.example", timeout=10) as client:
            client.sendmail("ann@a.example", [f"info@{NAME}", f"sales@{NAME}"], RAW)

        rows = InboundMessage.objects.of(world.owner.workspace.pk)
        wait_for(lambda: rows.count() == 2, relay)

    first = rows.get(recipient=f"info@{NAME}")
    assert (first.subject, first.text, first.envelope_sender) == (
        "Where is my order? ☕",
        "Where is it?",
        "ann@a.example",
    )
    # Postfix said who its client was; that address is nobody's in the DNS of this test.
    assert first.spf == "none"
    assert first.authentication["spf"]["domain"] == "a.example"
