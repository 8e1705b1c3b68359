"""What delivery jobs do for scheduled mail, about twice a second (apps.core.jobs.Tick)."""

from apps.scheduled.api.requests import read_stored
from apps.scheduled.services.dispatch import dispatch_due


def dispatch() -> int:
    """Returns how many of the mails that are due were dealt with."""
    return dispatch_due(read_stored)
