"""Sees to it that mail makes progress: keeps delivery jobs queued, and restarts clusters that do nothing.

It looks at progress, never at the existence of processes: a django-q2 cluster whose workers wait for a lock that a
killed one took with it looks healthy for ever.
"""

import logging
import socket
import sys
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ, Schedule

from apps.core import clock
from apps.core.jobs import CLUSTER_OF, ENDLESS, Job, enqueue
from apps.delivery.models import Drain
from apps.delivery.services.maintenance import ensure_schedules
from apps.delivery.shaping import delivery_workers
from apps.delivery.supervisor import Child, Supervisor
from apps.messages.models import Recipient

logger = logging.getLogger(__name__)

FRESH = timedelta(seconds=10)
# Longer than a start, and than any step of a healthy worker.
PATIENCE_SECONDS = 20.0
STALLED = timedelta(seconds=30)
SCHEDULE_LATE = timedelta(minutes=4)


def clusters() -> list[Child]:
    """One small django-q2 cluster for each kind of work, so that none can starve another."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster"]
    names = ("delivery", "maintenance", *sorted({CLUSTER_OF[job] for job in ENDLESS}))
    return [Child(name, command, {"Q_CLUSTER_NAME": name, "STACKSHIFT_ROLE": name}) for name in names]


class Watchdog:
    """Called at every tick of the supervisor that runs the clusters."""

    def __init__(self) -> None:
        self._all_well_at = time.monotonic()
        self._has_schedules = False
        self._seen_at = dict.fromkeys(ENDLESS, time.monotonic())

    def __call__(self, supervisor: Supervisor) -> None:
        delivery, maintenance, *others = supervisor.children
        try:
            # Here and not before the start, because the database may come up later than we do.
            self._ensure_schedules()
            missing = self._keep_jobs_queued()
            stalled = _is_stalled()
            late = _is_schedule_late()
            silent = [job for job, count in ENDLESS.items() if not self._keep_going(job, count)]
        except (DatabaseError, InterfaceError):
            # Nothing can make progress without the database, and no restart would help.
            connection.close()
            self._all_well_at = time.monotonic()
            self._seen_at = dict.fromkeys(ENDLESS, time.monotonic())
            return
        if not missing and not stalled:
            self._all_well_at = time.monotonic()
        elif self._is_out_of_patience(delivery):
            why = "mail is due and nobody takes it" if stalled else f"{missing} of its jobs show no sign of life"
            supervisor.restart(delivery, why)
            self._all_well_at = time.monotonic()
        if late and time.monotonic() - maintenance.started_at > SCHEDULE_LATE.total_seconds():
            supervisor.restart(maintenance, "its recurring jobs are overdue")
        for job in silent:
            cluster = next(child for child in others if child.name == CLUSTER_OF[job])
            if time.monotonic() - max(self._seen_at[job], cluster.started_at) > PATIENCE_SECONDS:
                supervisor.restart(cluster, f"{job.value} shows no sign of life")
                self._seen_at[job] = time.monotonic()

    def _keep_going(self, job: Job, at_work_here: str) -> bool:
        """Whether a job that never ends is at work; one that is not is queued, unless it is already."""
        if import_string(at_work_here)():
            self._seen_at[job] = time.monotonic()
            return True
        if not OrmQ.objects.filter(key=CLUSTER_OF[job], lock__lte=timezone.now()).exists():
            with transaction.atomic():
                enqueue(job)
        return False

    def _ensure_schedules(self) -> None:
        if not self._has_schedules:
            ensure_schedules()
            self._has_schedules = True

    def _is_out_of_patience(self, child: Child) -> bool:
        return time.monotonic() - max(self._all_well_at, child.started_at) > PATIENCE_SECONDS

    def _keep_jobs_queued(self) -> int:
        """Queues a job for every worker that has none; returns how many jobs show no sign of life."""
        now = clock.database_now()
        alive = Drain.objects.filter(host=socket.gethostname(), beat_at__gt=now - FRESH).count()
        waiting = OrmQ.objects.filter(key=CLUSTER_OF[Job.DELIVER], lock__lte=timezone.now()).count()
        missing = max(0, delivery_workers() - alive)
        with transaction.atomic():
            for _ in range(missing - waiting):
                enqueue(Job.DELIVER)
        return missing


def _is_stalled() -> bool:
    """Work has been due for long, and nobody has looked for any for as long."""
    now = clock.database_now()
    due = Recipient.objects.across_workspaces().filter(lease_until=None, next_attempt_at__lt=now - STALLED)
    return due.exists() and not Drain.objects.filter(looked_at__gt=now - STALLED).exists()


def _is_schedule_late() -> bool:
    moment: datetime = timezone.now() - SCHEDULE_LATE
    return Schedule.objects.filter(next_run__lt=moment).exists()
