"""Makes and changes endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.core import clock
from apps.core.crypto import seal
from apps.core.errors import Invalid
from apps.core.http import read_target
from apps.core.ids import new_id
from apps.events.types import EventType
from apps.protocols.networks import parse_networks
from apps.protocols.signing import new_secret
from apps.protocols.web_address import DEFAULT_PORTS, NotAnAddress, WebAddress
from apps.webhooks.models import Endpoint
from apps.webhooks.services.happenings import tell, tell_disabled
from apps.webhooks.services.pace import locked, plan
from apps.webhooks.states import DisabledBy, Status

MAX_ENDPOINTS = 50
EVERYTHING = "*"
# A test goes to the one endpoint that is tested.
SUBSCRIBABLE = tuple(kind for kind in EventType.values if kind != EventType.WEBHOOK_TEST)


@dataclass(frozen=True, slots=True)
class WithSecret:
    """An endpoint and its secret, which is shown this once."""

    endpoint: Endpoint
    secret: str


def create(workspace_id: UUID, values: Mapping[str, Any]) -> WithSecret:
    """Adds an endpoint with url, event_types and description. Raises Invalid."""
    url, event_types = checked_url(values["url"]), checked_types(values["event_types"])
    if Endpoint.objects.of(workspace_id).exclude(status=Status.DELETED).count() >= MAX_ENDPOINTS:
        raise Invalid({"url": [f"a workspace has at most {MAX_ENDPOINTS} endpoints; delete one first"]})
    now, secret, identifier = clock.now(), new_secret(), new_id()
    endpoint = Endpoint(
        id=identifier,
        workspace_id=workspace_id,
        url=url,
        description=values.get("description") or "",
        event_types=event_types,
        secret_sealed=seal(secret, bound_to=_bound(identifier)),
        created_at=now,
        updated_at=now,
    )
    with transaction.atomic():
        endpoint.save(force_insert=True)
        tell(EventType.WEBHOOK_CREATED, endpoint)
    return WithSecret(endpoint, secret)


def update(endpoint: Endpoint, values: Mapping[str, Any]) -> Endpoint:
    """Changes what is given of url, description, event_types and status. Raises Invalid, NotFound."""
    wanted = {name: values[name] for name in ("url", "event_types", "description") if name in values}
    if "url" in wanted and wanted["url"] != endpoint.url:
        wanted["url"] = checked_url(wanted["url"])
    if "event_types" in wanted:
        wanted["event_types"] = checked_types(wanted["event_types"])
    if "description" in wanted:
        wanted["description"] = wanted["description"] or ""
    with transaction.atomic():
        row = locked(endpoint.workspace_id, endpoint.pk)
        changes = {name: value for name, value in wanted.items() if value != getattr(row, name)}
        for name, value in changes.items():
            setattr(row, name, value)
        if "url" in changes:
            _forget_failures(row)  # of another server
        has_switched = _switch(row, values.get("status", row.status))
        if changes or has_switched:
            _save(row)
        if changes or (has_switched and row.is_active):
            tell(EventType.WEBHOOK_UPDATED, row)
        if has_switched and not row.is_active:
            tell_disabled(row)
    return row


def rotate_secret(endpoint: Endpoint) -> WithSecret:
    """Signs with another secret from now on, at once: the published verifiers read one signature. Raises NotFound."""
    secret = new_secret()
    with transaction.atomic():
        row = locked(endpoint.workspace_id, endpoint.pk)
        row.secret_sealed = seal(secret, bound_to=_bound(row.pk))
        _save(row)
        tell(EventType.WEBHOOK_UPDATED, row)
    return WithSecret(row, secret)


def delete(endpoint: Endpoint) -> None:
    """Takes an endpoint away at once, and its history in the background. Raises NotFound."""
    with transaction.atomic():
        row = locked(endpoint.workspace_id, endpoint.pk)
        row.status, row.secret_sealed = Status.DELETED, ""
        _save(row)


def enable(endpoint: Endpoint) -> bool:
    """False where it is active already. Raises NotFound."""
    return _turn(endpoint, Status.ACTIVE)


def disable(endpoint: Endpoint) -> bool:
    """False where it is disabled already. Raises NotFound."""
    return _turn(endpoint, Status.DISABLED)


def checked_url(url: str) -> str:
    """An address that we may send to. Raises Invalid."""
    try:
        address = read_target(url, allowed_networks(), settings.MAIL_DNS_SERVERS)
    except NotAnAddress as error:
        raise Invalid({"url": [str(error)]}) from None
    if _is_our_own(address):
        raise Invalid({"url": ["must not be an address of this server"]})
    return url


def checked_types(kinds: list[str], *, named: str = "eventTypes") -> list[str]:
    """Raises Invalid."""
    if not kinds:
        raise Invalid({named: [f'name at least one type, or "{EVERYTHING}"']})
    if unknown := [kind for kind in kinds if kind not in SUBSCRIBABLE and kind != EVERYTHING]:
        raise Invalid({named: [f"{unknown[0][:100]} is no type of event"]})
    if len(set(kinds)) != len(kinds):
        raise Invalid({named: ["names a type twice"]})
    return kinds


def allowed_networks() -> tuple[Any, ...]:
    """Where private addresses, http and any port are in order."""
    return parse_networks(",".join(settings.WEBHOOK_ALLOWED_NETWORKS))


def bound_to(endpoint: Endpoint) -> str:
    """What its sealed secret is bound to."""
    return _bound(endpoint.pk)


def _bound(endpoint_id: UUID) -> str:
    return f"webhook:{endpoint_id}"


def _is_our_own(address: WebAddress) -> bool:
    own = urlsplit(settings.PUBLIC_URL)
    port = own.port or DEFAULT_PORTS.get(own.scheme, 0)
    return (address.host, address.port) == (own.hostname, port)


def _turn(endpoint: Endpoint, status: Status) -> bool:
    was_active = endpoint.is_active
    return update(endpoint, {"status": status}).is_active != was_active


def _switch(row: Endpoint, status: str) -> bool:
    """Whether that is a change; what waits stays, and goes out when the endpoint is active again."""
    if status == row.status:
        return False
    row.status = status
    if row.is_active:
        row.disabled_at, row.disabled_by = None, ""
        _forget_failures(row)
    else:
        row.disabled_at, row.disabled_by = clock.now(), DisabledBy.REQUEST
    return True


def _forget_failures(row: Endpoint) -> None:
    row.failure_count = row.failed_in_a_row = row.strikes = 0
    row.failing_since = row.paused_until = None
    row.last_error = ""


def _save(row: Endpoint) -> None:
    row.updated_at = clock.now()
    plan(row)
    row.save()
