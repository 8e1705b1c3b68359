"""What machines ask: alive, ready, numbers, and where things are."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from apps.console import overview
from apps.core import clock
from apps.delivery.models import Destination, Drain
from apps.messages.models import Recipient
from apps.workspaces.models import Workspace
from tests.factories import make_domain, make_message, make_workspace


@pytest.fixture
def shop(db: None) -> Workspace:
    workspace = make_workspace("shop")
    make_domain(workspace)
    return workspace


def beat(seconds_ago: float) -> None:
    at = clock.now() - timedelta(seconds=seconds_ago)
    Drain.objects.create(host="here", pid=1, started_at=at, beat_at=at)


def due_for(workspace: Workspace, seconds: float) -> None:
    make_message(workspace)
    Recipient.objects.of(workspace.pk).update(next_attempt_at=clock.now() - timedelta(seconds=seconds))


def ready(client: Client) -> tuple[int, Any]:
    answer = client.get("/readyz")
    return answer.status_code, {name: check["ok"] for name, check in answer.json()["checks"].items()}


def test_alive_without_a_database(client: Client) -> None:
    # No database fixture: a query would raise.
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_with_a_worker_and_nothing_due(client: Client, shop: Workspace) -> None:
    beat(1)
    assert ready(client) == (200, {"database": True, "migrations": True, "workers": True})


def test_not_ready_without_a_worker_which_is_no_error(
    client: Client, shop: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    assert ready(client) == (503, {"database": True, "migrations": True, "workers": False})
    assert caplog.records == []


def test_ready_while_a_worker_beats(client: Client, shop: Workspace) -> None:
    beat(5)
    due_for(shop, 3600)
    assert ready(client)[0] == 200


def test_not_ready_when_due_mail_has_no_worker(client: Client, shop: Workspace) -> None:
    beat(20)
    due_for(shop, 60)
    assert ready(client) == (503, {"database": True, "migrations": True, "workers": False})


def test_not_ready_without_its_migrations(client: Client, db: None) -> None:
    beat(1)
    MigrationRecorder.Migration.objects.filter(app="delivery").delete()
    assert ready(client) == (503, {"database": True, "migrations": False, "workers": True})


def test_not_ready_and_silent_about_why_the_database_is_away(client: Client, db: None) -> None:
    refused = OperationalError("connection to 10.1.2.3 as stackshift failed")
    with patch("apps.console.health.connection.cursor", side_effect=refused):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "10.1.2.3" not in answer.content.decode()


def test_metrics_tell_queue_workers_and_pauses(client: Client, shop: Workspace) -> None:
    due_for(shop, 60)
    beat(1)
    now = clock.now()
    Destination.objects.create(key="mx.example", failures=1, paused_until=now + timedelta(hours=1), updated_at=now)
    answer = client.get("/metrics")
    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"].startswith("text/plain")
    assert 'stackshift_queue_recipients{lane="transactional",status="queued"} 1.0' in lines
    assert 'stackshift_queue_recipients{lane="otp",status="deferred"} 0.0' in lines
    assert "stackshift_workers_alive 1.0" in lines
    assert "stackshift_destinations_paused 1.0" in lines
    assert "stackshift_recipients_accepted_today 1.0" in lines
    (oldest,) = [line for line in lines if line.startswith("stackshift_queue_oldest_due_seconds ")]
    assert 60 <= float(oldest.split()[1]) < 90
    assert "python" not in answer.content.decode()


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
def test_they_are_only_read(path: str, client: Client, db: None) -> None:
    beat(1)
    assert client.get(path).status_code == 200
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405


def test_the_root_says_where_things_are(client: Client) -> None:
    assert client.get("/").json()["docs"] == "/docs/"


def test_the_schema_is_openapi(client: Client, db: None) -> None:
    answer = client.get("/v1/schema")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/mail/send" in document["paths"]
    assert {path.split("/")[1] for path in document["paths"]} == {"v1", "api"}
    assert {path.split("/")[3] for path in document["paths"] if path.startswith("/api/")} == {"assets"}


def test_the_reference_needs_nothing_from_outside(client: Client, db: None) -> None:
    page = client.get("/docs/").content.decode()
    script = client.get("/docs/?script=").content.decode()
    for text in (page, script):
        assert "https://" not in text
        assert "http://" not in text
        assert "//cdn" not in text
    assert "/v1/schema" in script
    assert "<script>" not in page


def test_the_index_tells_the_state_with_few_queries(
    client: Client, shop: Workspace, django_assert_max_num_queries: Any
) -> None:
    due_for(shop, 90)
    with django_assert_max_num_queries(11):
        tiles = {tile.label: tile for tile in overview.read()}
    assert tiles["queued"].value == "1"
    assert tiles["oldest due"].value == "2 min"
    assert tiles["oldest due"].is_alarming
    assert (tiles["workers alive"].value, tiles["workers alive"].is_alarming) == ("0", True)
    assert tiles["verified domains"].value == "1"
