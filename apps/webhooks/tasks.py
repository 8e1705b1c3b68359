"""The entry point of django-q2's job that sends webhooks, and how the watchdog knows of it (apps.core.jobs.ENDLESS)."""

from apps.webhooks.services import shift


def send() -> None:
    shift.work()


def at_work_here() -> int:
    return shift.at_work_here()
