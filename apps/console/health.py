"""What a load balancer, an orchestrator and Prometheus ask. None of it needs a key, and none tells a version."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from apps.console import overview

# A worker beats every second; one that has not for so long does nothing.
BEAT_WITHIN = timedelta(seconds=15)
DOWN = (DatabaseError, InterfaceError)
Check = tuple[bool, str]


@csrf_exempt
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Where to go from here."""
    return JsonResponse(
        {
            "name": "StackShift Mail",
            "api": "/v1/mail/",
            "docs": "/docs/",
            "schema": "/v1/schema",
            "console": "/admin/",
            "health": {"alive": "/healthz", "ready": "/readyz", "metrics": "/metrics"},
        }
    )


@csrf_exempt
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; a restart would help if it did not. It asks nobody else."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether mail that is accepted here now would be stored and sent."""
    results = {name: _run(check) for name, check in CHECKS.items()}
    is_ready = all(ok for ok, _detail in results.values())
    body = {
        "status": "ready" if is_ready else "not ready",
        "checks": {name: {"ok": ok, "detail": detail} for name, (ok, detail) in results.items()},
    }
    return JsonResponse(body, status=200 if is_ready else 503)


@csrf_exempt
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Gauges of the present state, for Prometheus."""
    try:
        registry = _gauges()
    except DOWN:
        return HttpResponse("# the database does not answer\n", status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _run(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except DOWN:
        # The reason names hosts and accounts, and so belongs into the log and not here.
        return False, "the database does not answer"


def _database() -> Check:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True, "answers"


def _migrations() -> Check:
    missing = len(_known_migrations() - set(MigrationRecorder(connection).applied_migrations()))
    return (True, "applied") if missing == 0 else (False, f"{missing} not applied; run manage.py migrate")


def _workers() -> Check:
    alive = overview.drains_alive(within=BEAT_WITHIN)
    return (True, f"{alive} at work") if alive else (False, "none at work; run manage.py worker")


CHECKS: dict[str, Callable[[], Check]] = {"database": _database, "migrations": _migrations, "workers": _workers}


@cache
def _known_migrations() -> set[tuple[str, str]]:
    """Those in this version's files, which cannot change while it runs."""
    return set(MigrationLoader(None).graph.nodes)


def _gauges() -> CollectorRegistry:
    # A registry of its own: the default one tells the versions of Python and its platform.
    registry = CollectorRegistry(auto_describe=False)
    queue = overview.queue()
    depth = Gauge(
        "stackshift_queue_recipients", "Recipients that wait or are being sent.", ["status", "lane"], registry=registry
    )
    for status in overview.SHOWN_STATUSES:
        for lane, number in overview.lanes():
            depth.labels(status.value, lane).set(queue.depth.get((status, number), 0))
    for name, text, value in (
        ("stackshift_queue_oldest_due_seconds", "How long the oldest due recipient waits.", queue.oldest_due_seconds),
        ("stackshift_workers_alive", "Delivery workers with a recent beat.", overview.drains_alive()),
        ("stackshift_destinations_paused", "Destinations resting after failures.", overview.paused_destinations()),
        ("stackshift_recipients_accepted_today", "Recipients accepted this day (UTC).", overview.accepted_today()),
    ):
        Gauge(name, text, registry=registry).set(value)
    return registry
