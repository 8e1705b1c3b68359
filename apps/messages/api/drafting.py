"""Reads bodies into orders: each field checked by itself, the idempotency key, and the draft that comes of it.

Many are read as cheaply as one: a template is looked up once, and all attachments together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from rest_framework.serializers import ValidationError

from apps.core.api.errors import as_problem
from apps.core.api.serializers import WireSerializer
from apps.core.errors import Invalid, Problem
from apps.keys import idempotency
from apps.keys.services import Caller
from apps.messages.api.requests import SendRequest, TemplateSendRequest
from apps.messages.services.draft import Order
from apps.messages.services.drafting import ORDINARY, Circumstances, Drafting

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of request to send. Serializers keep nothing of what they validate this way, so one serves all;
    building the fields anew for each request would cost more than the rest of the view."""

    family: str
    serializer: WireSerializer


SEND = Form("send", SendRequest())
SEND_TEMPLATE = Form("send-template", TemplateSendRequest())


@dataclass(frozen=True, slots=True)
class _Checked:
    """A body whose every field is right by itself."""

    data: Mapping[str, Any]
    use: idempotency.Use | None


def read_order(
    form: Form,
    body: Mapping[str, Any],
    caller: Caller,
    *,
    key_in_header: str | None = None,
    circumstances: Circumstances = ORDINARY,
) -> Order:
    """The order in one body. Raises Invalid and other Problems, unless its key may have been used before."""
    (order,) = _orders([_check(form, body, caller, key_in_header)], caller, circumstances)
    if isinstance(order.draft, Problem) and order.use is None:
        raise order.draft
    return order


def read_orders(
    form: Form, bodies: Sequence[Mapping[str, Any]], caller: Caller, *, circumstances: Circumstances = ORDINARY
) -> list[Order]:
    """The order in each body, or in its place why there is none; what is wrong with one harms no other."""
    checked = [_attempt(partial(_check, form, body, caller)) for body in bodies]
    return _orders(checked, caller, circumstances)


def check_simulation(data: Mapping[str, Any], caller: Caller) -> None:
    """Raises Invalid where a key that sends real mail asks for it."""
    if data.get("simulation") and not caller.is_test:
        raise Invalid({"simulation": ["works with test keys (sspat_test_...) only"]})


def _orders(checked: Sequence[_Checked | Problem], caller: Caller, circumstances: Circumstances) -> list[Order]:
    drafting = Drafting(
        caller.workspace_id, circumstances, [item.data for item in checked if isinstance(item, _Checked)]
    )
    return [
        Order(item) if isinstance(item, Problem) else Order(_attempt(partial(drafting.draft, item.data)), item.use)
        for item in checked
    ]


def _attempt(call: Callable[[], Result]) -> Result | Problem:
    """What the call gives, or the refusal for which it gives nothing."""
    try:
        return call()
    except (Problem, ValidationError) as error:
        return as_problem(error) or Problem()


def _check(form: Form, body: Mapping[str, Any], caller: Caller, key_in_header: str | None = None) -> _Checked:
    data: Mapping[str, Any] = form.serializer.run_validation(body)
    check_simulation(data, caller)
    key = idempotency.choose_key(in_body=data.get("idempotency_key"), in_header=key_in_header)
    return _Checked(data, idempotency.use_of(caller.workspace_id, form.family, key, body))
