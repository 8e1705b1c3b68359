"""Reads requests to send later (wire contract 2.11): a time, and what is to be sent in one of several forms."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.errors import as_problem
from apps.core.api.serializers import UNKNOWN_FIELD, StrictCharField, TimeField, WireSerializer
from apps.core.clock import wire_time
from apps.core.errors import Invalid, Problem
from apps.keys import idempotency
from apps.keys.services import Caller
from apps.messages.api.drafting import SEND, SEND_TEMPLATE, Form, read_order, read_orders
from apps.messages.api.requests import SendRequest, TemplateSendRequest
from apps.messages.services.draft import Order
from apps.messages.services.drafting import Circumstances
from apps.scheduled.services.creating import Wish
from apps.scheduled.states import Kind

# Keys of scheduled mail are its own: the same one may be used for mail that is sent at once.
FAMILY = "scheduled"
FORMS = {Kind.MESSAGE: replace(SEND, family=FAMILY), Kind.TEMPLATE: replace(SEND_TEMPLATE, family=FAMILY)}
# The published clients pass on whatever they are given, and the vendor's name for a template's place is not known.
PLACES = {
    "message": Kind.MESSAGE,
    "template": Kind.TEMPLATE,
    "templateMessage": Kind.TEMPLATE,
    "sendTemplate": Kind.TEMPLATE,
}
AROUND = frozenset({"sendAt", "idempotencyKey"})


class RescheduleRequest(WireSerializer):
    """Another time for what is still scheduled."""

    send_at = TimeField(help_text="At most 30 days ahead.")


class AroundRequest(WireSerializer):
    """What stands beside the payload, whatever its form."""

    send_at = TimeField(help_text="At most 30 days ahead.")
    idempotency_key = StrictCharField(required=False, allow_null=True, allow_blank=True)


@extend_schema_field(
    {
        "oneOf": [{"$ref": "#/components/schemas/TemplateSendRequest"}, {"type": "string"}],
        "description": "A request to send a template; or its id or slug, with `to`, `data` and so on beside it.",
    }
)
class TemplateField(serializers.Field):
    """For the API document; `read_wish` reads it."""


@extend_schema_serializer(component_name="ScheduleRequest")
class ScheduleRequest(AroundRequest):
    """Exactly one of `message` and `template`; `templateMessage` and `sendTemplate` are other names of the latter."""

    message = SendRequest(required=False)
    template = TemplateField(required=False)
    template_message = TemplateSendRequest(required=False)
    send_template = TemplateSendRequest(required=False)


class _Payload(NamedTuple):
    """What is to be sent, and where it stands; a flat one stands at the top, in no place of its own."""

    kind: Kind
    body: Mapping[str, Any]
    path: str


_AROUND = AroundRequest()


def read_wish(body: Mapping[str, Any], caller: Caller, key_in_header: str | None) -> Wish:
    """Raises Problems whose fields are named from the top of the request.

    What is not wrong with the request itself, such as a template that is gone, is left to be raised by whoever finds
    that its key has not been used before.
    """
    payload = _payload(body)
    around = _AROUND.run_validation({name: value for name, value in body.items() if name in AROUND})
    key = idempotency.choose_key(in_body=around.get("idempotency_key"), in_header=key_in_header)
    try:
        order = _order(FORMS[payload.kind], payload, caller, key)
    except (Problem, serializers.ValidationError) as error:
        raise _below(payload.path, as_problem(error) or Problem()) from error
    if order.use is not None:
        order = replace(order, use=replace(order.use, fingerprint=_fingerprint(around["send_at"], payload)))
    return Wish(around["send_at"], payload.kind, payload.body, order)


def read_stored(kind: Kind, payload: Mapping[str, Any], caller: Caller, circumstances: Circumstances) -> Order:
    """The order in a payload that was kept; without its key, for whoever dispatches sees to it that it is once."""
    keyless = {name: value for name, value in payload.items() if name != "idempotencyKey"}
    (order,) = read_orders(FORMS[kind], [keyless], caller, circumstances=circumstances)
    return order


def _payload(body: Mapping[str, Any]) -> _Payload:
    given = [place for place in PLACES if body.get(place) is not None]
    if len(given) != 1:
        raise Invalid({name: ["give exactly one of message and template"] for name in given or ["message"]})
    (place,) = given
    content = body[place]
    beside = {name: value for name, value in body.items() if name not in AROUND and not _is_empty_place(name, body)}
    if place == "template" and isinstance(content, str):
        return _Payload(Kind.TEMPLATE, beside, "")
    if unknown := [name for name in beside if name != place]:
        raise Invalid({str(name)[:100]: [UNKNOWN_FIELD] for name in unknown[:20]})
    if not isinstance(content, Mapping):
        raise Invalid({place: ["must be an object, shaped like a request to send"]})
    return _Payload(PLACES[place], content, place)


def _is_empty_place(name: str, body: Mapping[str, Any]) -> bool:
    return name in PLACES and body[name] is None


def _order(form: Form, payload: _Payload, caller: Caller, key: str | None) -> Order:
    order = read_order(form, payload.body, caller, key_in_header=key)
    if isinstance(order.draft, Problem):
        _below(payload.path, order.draft)
    return order


def _below(path: str, problem: Problem) -> Problem:
    """The refusal with its fields named from the top of the request."""
    fields = problem.details.get("fields")
    if not path or not fields:
        return problem
    named = {path if name == "body" else f"{path}.{name}": reasons for name, reasons in fields.items()}
    problem.details = problem.details | {"fields": named}
    if isinstance(problem, Invalid):
        problem.message = Invalid(named).message
    return problem


def _fingerprint(send_at: Any, payload: _Payload) -> str:
    body = {name: value for name, value in payload.body.items() if name != "idempotencyKey"}
    return idempotency.fingerprint({"sendAt": wire_time(send_at), "kind": payload.kind.value, "payload": body})
