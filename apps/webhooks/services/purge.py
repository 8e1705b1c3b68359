"""Takes away what deleted endpoints leave behind, a little at a time: one may have had a million deliveries."""

from django.db import transaction

from apps.core import clock
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint
from apps.webhooks.states import Status

CHUNK = 1_000


def purge() -> int:
    """Takes away one chunk; returns how many deliveries went."""
    now = clock.database_now()
    deleted = Endpoint.objects.across_workspaces().filter(status=Status.DELETED).exclude(lease_until__gt=now)
    endpoint = deleted.order_by("pk").first()
    if endpoint is None:
        return 0
    rows = Delivery.objects.of(endpoint.workspace_id).filter(endpoint=endpoint)
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK])
    with transaction.atomic():
        DeliveryAttempt.objects.of(endpoint.workspace_id).filter(delivery_id__in=ids).delete()
        Delivery.objects.of(endpoint.workspace_id).filter(pk__in=ids).delete()
        if len(ids) < CHUNK:
            Endpoint.objects.of(endpoint.workspace_id).filter(pk=endpoint.pk).delete()
    return len(ids)
