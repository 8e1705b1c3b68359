"""`ingest` takes mail from a mail server's pipe; its exit codes say whether to try again or to refuse."""

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from apps.core.errors import TemporarilyUnavailable
from apps.inbound.models import InboundMessage, Report
from tests import stored
from tests.conftest import World
from tests.fakes.dns_server import DnsServer
from tests.inbound.mail import NAME, RAW, make_inbound_domain
from tests.inbound.making import arf, dsn, make_sent, return_path
from tests.journeys.processes import ROOT

TO = f"info@{NAME}"


@pytest.fixture(autouse=True)
def dns(settings: LazySettings) -> Iterator[DnsServer]:
    with DnsServer() as server:
        settings.MAIL_DNS_SERVERS = server.address
        yield server


def ingest(monkeypatch: pytest.MonkeyPatch, raw: bytes, *arguments: str) -> int:
    """The exit code."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    try:
        call_command("ingest", *arguments)
    except CommandError as error:
        return error.returncode
    return 0


def test_a_bounce_a_complaint_and_a_mail_are_taken(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    message = make_sent(world.owner.workspace)
    make_inbound_domain(world.owner.workspace)
    path = return_path(message)

    codes = [
        ingest(monkeypatch, dsn(message), "bounce", "--recipient", path, "--sender", "<>"),
        ingest(monkeypatch, arf(message, path=path), "complaint", "--recipient", "fbl@shop.example"),
        ingest(monkeypatch, RAW.replace(b"\r\n", b"\n"), "inbound", "--recipient", TO, "--sender", "ann@a.example"),
    ]

    assert codes == [0, 0, 0]
    assert [report.status for report in Report.objects.order_by("pk")] == ["matched", "matched"]
    mail = InboundMessage.objects.of(world.owner.workspace.pk).get()
    assert (mail.recipient, mail.envelope_sender, mail.text) == (TO, "ann@a.example", "Where is it?")


@pytest.mark.parametrize(
    ("raw", "arguments", "code"),
    [
        (RAW, ("inbound", "--recipient", "x@elsewhere.example"), 67),
        (RAW, ("inbound", "--recipient", TO, "x@elsewhere.example"), 67),
        (b"", ("inbound", "--recipient", TO), 65),
        (b"x" * 70_000, ("bounce", "--recipient", TO), 65),
    ],
)
def test_what_is_not_taken_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch,
    world: World,
    settings: LazySettings,
    raw: bytes,
    arguments: Sequence[str],
    code: int,
) -> None:
    settings.MAIL_INBOUND_MAX_BYTES = 64 * 1024
    make_inbound_domain(world.owner.workspace)
    before = stored.everything()

    assert ingest(monkeypatch, raw, *arguments) == code
    assert stored.everything() == before


@pytest.mark.parametrize("error", [OperationalError("gone"), TemporarilyUnavailable(), OSError("full")])
def test_what_passes_is_to_be_tried_again(monkeypatch: pytest.MonkeyPatch, world: World, error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("apps.inbound.management.commands.ingest._take", fail)

    assert ingest(monkeypatch, RAW, "inbound", "--recipient", TO) == 75


def test_a_platform_that_cannot_start_loses_nothing(tmp_path: Any) -> None:
    """No secrets, no database: a mail server must not take that for a refusal."""
    done = subprocess.run(
        [sys.executable, "manage.py", "ingest", "inbound", "--recipient", TO],
        cwd=ROOT,
        env={"STACKSHIFT_VAR": str(tmp_path)},
        input=RAW,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 75
