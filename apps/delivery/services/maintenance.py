"""Keeps small what would grow for ever: queue leftovers, signs of dead workers, forgotten destinations."""

from datetime import timedelta

from django_q.models import OrmQ, Schedule, Task

from apps.core import clock
from apps.core.jobs import Job
from apps.delivery.models import Destination, Drain

KEEP = timedelta(days=7)


def clean_up() -> None:
    """Safe at any time: nothing that is deleted here is the truth about any mail."""
    now = clock.database_now()
    Task.objects.filter(stopped__lt=now - KEEP).delete()
    # A claimed task whose process died; django-q2 would run it again hours later, for nothing.
    OrmQ.objects.filter(lock__lt=now - timedelta(days=1)).delete()
    Drain.objects.filter(beat_at__lt=now - timedelta(hours=1)).delete()
    Destination.objects.filter(updated_at__lt=now - KEEP).delete()


def ensure_schedules() -> None:
    """The recurring jobs of the maintenance cluster, as rows that django-q2's scheduler reads."""
    every = {Job.RECOVER: 1, Job.CLEAN_UP: 60, Job.CHECK_DOMAINS: 1, Job.SWEEP_ASSETS: 10, Job.SWEEP_REPORTS: 60}
    for job, minutes in every.items():
        Schedule.objects.update_or_create(
            name=job.name.lower(),
            defaults={"func": job.value, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )
    Schedule.objects.exclude(name__in=[job.name.lower() for job in every]).filter(func__startswith="apps.").delete()
