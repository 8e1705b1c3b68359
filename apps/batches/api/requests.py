"""What callers send as batches (wire contract 2.12): what is wrong with the whole, and what each item says."""

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import UNKNOWN_FIELD, StrictCharField, WireSerializer
from apps.core.errors import Invalid
from apps.keys.idempotency import MAX_LENGTH
from apps.messages.api.fields import AddressField
from apps.messages.api.requests import EnvelopeFields, SendRequest, TemplateFields
from apps.messages.services.draft import Draft, Order
from apps.messages.states import Kind

MAX_ITEMS = 500
MAX_SHOWN, MAX_SHOWN_LENGTH = 50, 320
# These say which template it is, for all recipients alike.
NOT_OF_ONE = ("template", "versionId")


@extend_schema_serializer(component_name="BatchMessage")
class BatchMessageRequest(SendRequest):
    """One message of a batch; without `from` the batch's own is its sender."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {**super().get_fields(), "from": _optional_sender()}


@extend_schema_serializer(component_name="BatchRecipient")
class BatchRecipientRequest(TemplateFields):
    """One message of a template batch; what it gives stands for what the batch gives for all."""

    version_id = None  # type: ignore[assignment]  # leaves the field out


class ItemsField(serializers.ListField):
    """A list whose items are looked at one by one later, so that what is wrong with one harms no other."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            raise serializers.ValidationError("must be a list")
        if not 1 <= len(data) <= MAX_ITEMS:
            raise serializers.ValidationError(f"must have 1 to {MAX_ITEMS} items")
        return data


class BatchRequest(WireSerializer):
    """Messages to send, each as in POST /mail/send."""

    messages = ItemsField(child=BatchMessageRequest(), min_length=1, max_length=MAX_ITEMS)

    def get_fields(self) -> dict[str, serializers.Field]:
        return {"from": _optional_sender(), **super().get_fields()}


class TemplateBatchRequest(EnvelopeFields):
    """One template for many recipients. What is given beside `recipients` stands for each of them."""

    template = StrictCharField(max_length=255)
    version_id = StrictCharField(required=False, allow_null=True, max_length=36)
    recipients = ItemsField(child=BatchRecipientRequest(), min_length=1, max_length=MAX_ITEMS)
    to = cc = bcc = idempotency_key = None  # type: ignore[assignment]  # leaves the fields out

    def get_fields(self) -> dict[str, serializers.Field]:
        return {"from": _optional_sender(), **super().get_fields()}


def message_bodies(body: Mapping[str, Any]) -> list[Any]:
    """Each item as a request to send; what is no object stays what it is."""
    if "from" not in body:
        return list(body["messages"])
    return [{"from": body["from"], **item} if isinstance(item, dict) else item for item in body["messages"]]


def recipient_bodies(body: Mapping[str, Any]) -> list[Any]:
    """Each recipient as a request to send a template, or an Invalid for what only the whole batch may say."""
    shared = {name: value for name, value in body.items() if name != "recipients"}
    return [_recipient_body(shared, item) for item in body["recipients"]]


def shown_to(body: Any, order: Order) -> list[str]:
    """The addresses of an item: as they are understood, or as they came where nothing could be made of it."""
    if isinstance(order.draft, Draft):
        return [addressee.mailbox.email for addressee in order.draft.recipients if addressee.kind is Kind.TO]
    given = body.get("to") if isinstance(body, dict) else None
    listed: Sequence[Any] = given if isinstance(given, list) else [given]
    texts = [item.get("email") if isinstance(item, dict) else item for item in listed[:MAX_SHOWN]]
    return [text[:MAX_SHOWN_LENGTH] for text in texts if isinstance(text, str)]


def shown_key(body: Any, order: Order) -> str:
    """The idempotency key of an item, also of one that was refused, unless it cannot be one."""
    if order.use is not None:
        return order.use.key
    key = body.get("idempotencyKey") if isinstance(body, dict) else None
    return key if isinstance(key, str) and len(key) <= MAX_LENGTH else ""


def _recipient_body(shared: Mapping[str, Any], item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    if unknown := [name for name in NOT_OF_ONE if name in item]:
        return Invalid({name: [UNKNOWN_FIELD] for name in unknown})
    return {**shared, **item}


def _optional_sender() -> AddressField:
    # `from` is a Python keyword, so it cannot be declared.
    return AddressField(source="sender", required=False, allow_null=True)
