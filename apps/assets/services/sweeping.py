"""Removes what has had its time: deleted assets, sessions that nobody finished, links, and bytes without an owner."""

from datetime import timedelta

from apps.assets.models import Asset, SessionStatus, SignedLink, UploadSession
from apps.assets.services import blobs
from apps.core import clock

# A session is told as expired or canceled for a while before it is unknown.
KEEP_SESSIONS = timedelta(days=1)
# What is left of a deleted asset is its row, for questions about old mail.
KEEP_DELETED = timedelta(days=30)
AT_ONCE = 1_000


def sweep() -> None:
    """Safe at any time, and twice at once: each step asks again whether its time has come."""
    now = clock.now()
    SignedLink.objects.across_workspaces().filter(expires_at__lt=now - KEEP_SESSIONS).delete()
    deleted = Asset.objects.across_workspaces().filter(deleted_at__lt=now - KEEP_DELETED)
    Asset.objects.across_workspaces().filter(pk__in=list(deleted.values_list("pk", flat=True)[:AT_ONCE])).delete()
    unfinished = UploadSession.objects.across_workspaces().exclude(status=SessionStatus.COMPLETED)
    unfinished.filter(expires_at__lt=now - KEEP_SESSIONS).delete()
    blobs.sweep(now)
