"""The entry points of django-q2's jobs about what comes in."""

from apps.core import clock
from apps.inbound.services import reports


def sweep() -> None:
    reports.sweep(clock.now())
