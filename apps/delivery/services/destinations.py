"""Destinations in trouble: failed connections count against them, and they rest before they are tried again."""

from datetime import timedelta

from django.db import transaction

from apps.core import clock
from apps.delivery.models import Destination
from apps.delivery.schedule import pause_after
from apps.messages.services.interventions import make_due_after
from apps.messages.waits import WaitCode


def failed(key: str, error: str) -> timedelta:
    """Counts a failed connection and returns how long the destination rests now."""
    with transaction.atomic():
        now = clock.database_now()
        row, _ = Destination.objects.select_for_update().get_or_create(key=key, defaults={"updated_at": now})
        if row.paused_until is not None and row.paused_until > now:
            return row.paused_until - now  # many parcels failed in the same storm; it counts once
        row.failures += 1
        pause = pause_after(row.failures)
        row.paused_until, row.last_error, row.updated_at = now + pause, error, now
        row.save()
    return pause


def reached(key: str) -> None:
    """A connection succeeded, so that earlier failures count no more."""
    Destination.objects.filter(key=key).delete()


def resume(destination: Destination) -> None:
    """Ends a pause by hand. All that waits for any destination is looked at anew; others that rest hold theirs."""
    Destination.objects.filter(pk=destination.pk).delete()
    make_due_after(WaitCode.DESTINATION_PAUSED)
