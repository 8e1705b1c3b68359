"""What delivery jobs do for scheduled mail, about twice a second (apps.core.jobs.Tick)."""

from apps.scheduled.services.dispatch import dispatch_due


def dispatch() -> None:
    dispatch_due()
