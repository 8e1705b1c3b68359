"""Every route, walked with the keys of a stranger, of nobody, without the scope, revoked: each refuses, and alike."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.apps import apps
from django.test.client import MULTIPART_CONTENT

from apps.core import clock
from apps.core.api.pagination import write_cursor
from apps.core.ids import new_id
from apps.events.models import Event
from apps.keys.api.permissions import ANY
from apps.keys.models import ApiKey
from apps.keys.services import revoke
from apps.messages.models import Message
from apps.protocols.address import Mailbox
from apps.protocols.doctor import CheckResult, Diagnosis
from apps.protocols.sender_records import CheckStatus
from apps.workspaces.models import Workspace
from apps.workspaces.tenancy import TenantModel
from tests import stored
from tests.assets.calls import file_part, form
from tests.assets.rows import make_asset, make_session
from tests.batches.making import make_batch
from tests.client import EVENTS, MESSAGES, SEND, Api, mail
from tests.conftest import World
from tests.factories import make_challenge, make_domain, make_key, make_message
from tests.inbound.mail import attachment_ids, make_inbound_domain, make_inbound_message
from tests.routes import Route, asset_routes, mail_routes
from tests.scheduled.making import make_scheduled
from tests.templates.making import make_template, version_ids
from tests.webhooks.making import make_delivery, make_endpoint

# For each route, an id of the owner's, or None where the address has none. A route that is not here fails below.
IDS: dict[str, Callable[[Workspace], UUID | dict[str, UUID]] | None] = {
    "POST mail/send": None,
    "POST mail/send-template": None,
    "POST mail/templates/<str:id>/test-send": lambda ours: make_template(ours).pk,
    "GET mail/limits": None,
    "GET mail/messages": None,
    "GET mail/messages/<str:id>": lambda ours: make_message(ours).pk,
    "GET mail/messages/<str:id>/attempts": lambda ours: make_message(ours).pk,
    "GET mail/messages/<str:id>/logs": lambda ours: make_message(ours).pk,
    "GET mail/messages/<str:id>/timeline": lambda ours: make_message(ours).pk,
    "GET mail/messages/<str:id>/bounces": lambda ours: make_message(ours).pk,
    "GET mail/domains": None,
    "POST mail/domains": None,
    "GET mail/domains/<str:id>": lambda ours: make_domain(ours, "other.example").pk,
    "DELETE mail/domains/<str:id>": lambda ours: make_domain(ours, "other.example").pk,
    "POST mail/domains/<str:id>/verify": lambda ours: make_domain(ours, "other.example", verified=False).pk,
    "POST mail/domains/<str:id>/rotate": lambda ours: make_domain(ours, "other.example").pk,
    "PUT mail/domains/<str:id>/second-signature": lambda ours: make_domain(ours, "other.example").pk,
    "DELETE mail/domains/<str:id>/second-signature": lambda ours: make_domain(ours, "other.example").pk,
    "POST mail/otp/send": None,
    "POST mail/otp/verify": None,
    "GET mail/otp/challenges": None,
    "GET mail/otp/challenges/<str:id>": lambda ours: make_challenge(ours).pk,
    "POST mail/otp/challenges/<str:id>/cancel": lambda ours: make_challenge(ours).pk,
    "POST mail/batch": None,
    "POST mail/batch-template": None,
    "GET mail/batches": None,
    "GET mail/batches/<str:id>": lambda ours: make_batch(ours),
    "GET mail/batches/<str:id>/items": lambda ours: make_batch(ours),
    "GET mail/events": None,
    "GET mail/events/<str:id>": lambda ours: Event.objects.of(make_message(ours).workspace_id).first().pk,
}
IDS |= {
    "GET mail/templates": None,
    "POST mail/templates": None,
    "GET mail/templates/<str:id>": lambda ours: make_template(ours).pk,
    "PATCH mail/templates/<str:id>": lambda ours: make_template(ours).pk,
    "DELETE mail/templates/<str:id>": lambda ours: make_template(ours).pk,
    "POST mail/templates/<str:id>/preview": lambda ours: make_template(ours).pk,
    "POST mail/templates/<str:id>/diagnostics": lambda ours: make_template(ours).pk,
    "GET mail/templates/<str:id>/versions": lambda ours: make_template(ours).pk,
    "GET mail/templates/<str:id>/versions/<str:version_id>": lambda ours: version_ids(make_template(ours)),
    "POST mail/templates/<str:id>/versions/<str:version_id>/activate": lambda ours: version_ids(make_template(ours)),
}
IDS |= {
    "GET mail/scheduled": None,
    "POST mail/scheduled": None,
    "GET mail/scheduled/<str:id>": lambda ours: make_scheduled(ours).pk,
    "PATCH mail/scheduled/<str:id>": lambda ours: make_scheduled(ours).pk,
    "POST mail/scheduled/<str:id>/cancel": lambda ours: make_scheduled(ours).pk,
}
IDS |= {
    "GET mail/inbound/domains": None,
    "POST mail/inbound/domains": None,
    "GET mail/inbound/domains/<str:id>": lambda ours: make_inbound_domain(ours).pk,
    "DELETE mail/inbound/domains/<str:id>": lambda ours: make_inbound_domain(ours).pk,
    "POST mail/inbound/domains/<str:id>/verify": lambda ours: make_inbound_domain(ours).pk,
    "GET mail/inbound/messages": None,
    "GET mail/inbound/messages/<str:id>": lambda ours: make_inbound_message(ours).pk,
    "GET mail/inbound/messages/<str:id>/attachments": lambda ours: make_inbound_message(ours).pk,
    "GET mail/inbound/messages/<str:id>/attachments/<str:attachment_id>": lambda ours: attachment_ids(ours),
}
IDS |= {
    "GET mail/webhooks": None,
    "POST mail/webhooks": None,
    "GET mail/webhooks/<str:id>": lambda ours: make_endpoint(ours).pk,
    "PATCH mail/webhooks/<str:id>": lambda ours: make_endpoint(ours).pk,
    "DELETE mail/webhooks/<str:id>": lambda ours: make_endpoint(ours).pk,
    "POST mail/webhooks/<str:id>/rotate-secret": lambda ours: make_endpoint(ours).pk,
    "POST mail/webhooks/<str:id>/test": lambda ours: make_endpoint(ours).pk,
    "POST mail/webhooks/<str:id>/replay": lambda ours: make_endpoint(ours).pk,
    "GET mail/webhooks/<str:id>/deliveries": lambda ours: make_endpoint(ours).pk,
    "GET mail/webhook-deliveries/<str:id>": lambda ours: make_delivery(ours).pk,
    "POST mail/webhook-deliveries/<str:id>/retry": lambda ours: make_delivery(ours).pk,
}
# Below one mount only.
ASSET_IDS: dict[str, Callable[[Workspace], UUID | dict[str, UUID]] | None] = {
    "GET assets": None,
    "POST assets/upload": None,
    "POST assets/upload-sessions": None,
    "POST assets/upload-url": None,
    "GET assets/upload-sessions/<str:id>": lambda ours: make_session(ours).pk,
    "DELETE assets/upload-sessions/<str:id>": lambda ours: make_session(ours).pk,
    "POST assets/upload-sessions/<str:id>/complete": lambda ours: make_session(ours).pk,
    "GET assets/<str:id>": lambda ours: make_asset(ours).pk,
    "DELETE assets/<str:id>": lambda ours: make_asset(ours).pk,
    "PUT assets/<str:id>/replace": lambda ours: make_asset(ours).pk,
    "POST assets/<str:id>/signed-url": lambda ours: make_asset(ours).pk,
}
# What a teammate has to send, and as what.
BODIES: dict[str, tuple[Any, str]] = {
    "POST mail/templates/<str:id>/test-send": (
        {"to": "me@example.com", "from": "shop@shop.example"},
        "application/json",
    ),
    "PATCH mail/scheduled/<str:id>": (
        {"sendAt": clock.wire_time(clock.now() + timedelta(days=1))},
        "application/json",
    ),
    "PATCH mail/webhooks/<str:id>": ({"description": "x"}, "application/json"),
    "POST mail/webhooks/<str:id>/replay": ({"from": "2026-01-01T00:00:00Z"}, "application/json"),
    "PUT assets/<str:id>/replace": (form(file_part(b"new")), MULTIPART_CONTENT),
    "POST assets/<str:id>/signed-url": ({}, "application/json"),
}
MAIL_ROUTES = mail_routes()
ROUTES = [*MAIL_ROUTES, *asset_routes()]
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
ROUTES_WITH_ID = pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.takes_id], ids=lambda route: f"{route.method} {route.path}"
)


def id_for(route: Route, world: World) -> dict[str, str]:
    make = (IDS | ASSET_IDS)[route.name]
    ids = make(world.owner.workspace) if make else {}
    return {name: str(value) for name, value in (ids if isinstance(ids, dict) else {"id": ids}).items()}


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "requestId"}


def test_every_route_is_listed_here() -> None:
    assert {route.name for route in ROUTES} == set(IDS | ASSET_IDS)


def test_both_mounts_have_the_same_routes() -> None:
    names = {mount: {r.name for r in MAIL_ROUTES if r.path.startswith(mount)} for mount in ("v1/", "api/v1/")}

    assert names["v1/"] == names["api/v1/"] == set(IDS)


@ROUTES_WITH_ID
def test_a_stranger_finds_what_he_finds_for_a_random_id(route: Route, world: World) -> None:
    url, random_url = route.url(**id_for(route, world)), route.url(id=str(new_id()))
    before = stored.everything()

    answer = world.stranger.api.call(route.method, url)
    random_answer = world.stranger.api.call(route.method, random_url)

    assert (answer.status, answer.code) == (404, "not_found")
    assert comparable(answer.body) == comparable(random_answer.body)
    assert stored.everything() == before


@ROUTES_WITH_ID
def test_a_teammate_finds_it(route: Route, world: World) -> None:
    url = route.url(**id_for(route, world))

    with patch("apps.domains.services.checking.examine", side_effect=_undecided):
        body, content_type = BODIES.get(route.name, (None, "application/json"))
        answer = world.teammate.api.call(route.method, url, body, content_type=content_type)

    assert answer.status in {200, 202, 204}


@EVERY_ROUTE
def test_nobody_gets_in_without_a_key(route: Route, world: World) -> None:
    url = route.url(**id_for(route, world))
    before = stored.everything()

    answer = Api(None).call(route.method, url, mail())

    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert stored.everything() == before


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scope != ANY], ids=lambda route: route.name)
def test_a_key_without_the_scope_is_refused(route: Route, world: World) -> None:
    # A key that may send may not read, and the other way round; neither may manage.
    other = "mail:read" if route.scope != "mail:read" else "mail:send"
    _row, key = make_key(world.owner.workspace, scopes=[other])
    url = route.url(**id_for(route, world))
    before = stored.everything()

    answer = Api(key).call(route.method, url, mail())

    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert answer.body["error"]["details"] == {"requiredScope": route.scope}
    assert stored.everything() == before


@EVERY_ROUTE
def test_a_revoked_key_is_refused_at_once(route: Route, world: World) -> None:
    row, key = make_key(world.owner.workspace)
    url = route.url(**id_for(route, world))
    assert Api(key).get("/v1/mail/limits").status == 200
    revoke(world.owner.workspace.pk, row.pk)
    before = stored.everything()

    answer = Api(key).call(route.method, url, mail())

    assert (answer.status, answer.code) == (401, "unauthorized")
    assert stored.everything() == before


def test_lists_show_only_the_callers_rows(world: World) -> None:
    mine, theirs = make_message(world.owner.workspace), _message_of(world.stranger.workspace)

    assert [row["id"] for row in world.owner.api.get(MESSAGES).rows] == [str(mine.pk)]
    assert [row["id"] for row in world.stranger.api.get(MESSAGES).rows] == [str(theirs.pk)]
    assert {row["messageId"] for row in world.stranger.api.get(EVENTS).rows} == {str(theirs.pk)}


def test_filters_by_a_strangers_ids_find_nothing(world: World) -> None:
    message = make_message(world.owner.workspace)

    by_message = world.stranger.api.get(EVENTS, {"messageId": str(message.pk)})
    by_recipient = world.stranger.api.get(MESSAGES, {"to": "ada@example.com"})

    assert (by_message.status, by_message.rows) == (200, [])
    assert (by_recipient.status, by_recipient.rows) == (200, [])


def test_a_cursor_of_another_workspace_shows_nothing_of_it(world: World) -> None:
    theirs = _message_of(world.stranger.workspace)
    mine = make_message(world.owner.workspace)

    answer = world.stranger.api.get(MESSAGES, {"cursor": write_cursor(mine.pk)})

    assert [row["id"] for row in answer.rows] == [str(theirs.pk)]


def test_an_idempotency_key_means_nothing_to_another_workspace(world: World) -> None:
    ours = world.owner.api.post(SEND, mail(idempotencyKey="order-1"))

    theirs = world.stranger.api.post(SEND, mail(**{"from": "a@stranger.example"}, idempotencyKey="order-1"))

    assert (ours.status, theirs.status) == (202, 202)
    assert ours.data["id"] != theirs.data["id"]
    assert theirs.data["idempotencyStatus"] == "created"


def test_a_domain_of_another_workspace_cannot_send(world: World) -> None:
    answer = world.stranger.api.post(SEND, mail())

    assert (answer.status, answer.code) == (403, "domain_not_verified")
    assert Message.objects.of(world.stranger.workspace.pk).count() == 0


@pytest.mark.parametrize(
    "model", [m for m in apps.get_models() if issubclass(m, TenantModel)], ids=lambda model: model.__name__
)
def test_a_model_has_no_query_that_forgets_the_workspace(model: Any) -> None:
    with pytest.raises(TypeError, match="use of"):
        model.objects.all()
    for name in ("filter", "get", "create", "exclude", "first", "count", "values", "update", "aggregate"):
        assert not hasattr(model.objects, name)


def test_keys_are_rows_of_their_workspace(world: World) -> None:
    assert ApiKey.objects.of(world.owner.workspace.pk).count() == 2
    assert ApiKey.objects.of(world.stranger.workspace.pk).count() == 1


def _message_of(workspace: Workspace) -> Message:
    return make_message(workspace, sender=Mailbox("a@stranger.example"))


def _undecided(*_: object) -> CheckResult:
    return CheckResult(CheckStatus.PENDING, Diagnosis.TIMED_OUT, explanation="not looked up")


@EVERY_ROUTE
def test_no_route_describes_itself_to_options(route: Route, world: World) -> None:
    answer = Api(world.owner.key).call("OPTIONS", route.url(**id_for(route, world)))

    assert (answer.status, answer.code) == (405, "method_not_allowed")
