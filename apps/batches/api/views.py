"""Sending many messages in one request, and reading what became of them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.batches.api import requests, resources
from apps.batches.api.filters import BatchFilters, ItemFilters
from apps.batches.models import Batch, BatchItem, BatchType
from apps.batches.services.accepting import FAMILIES, Entry, NewBatch, accept_batch, earlier_batch
from apps.batches.services.reading import tallies, with_states
from apps.core.api.filters import NoFilters
from apps.core.api.pagination import KeysetPagination, OldestFirstPagination, WholeListPagination
from apps.core.api.parsers import StrictJSONParser
from apps.core.errors import Problem
from apps.core.ids import new_id
from apps.keys import idempotency
from apps.keys.api.views import WorkspaceViewSet
from apps.keys.errors import EarlierIsGone
from apps.messages.api.drafting import SEND, SEND_TEMPLATE, Form, check_simulation, read_orders
from apps.messages.services.draft import Order, Origin
from apps.messages.services.drafting import Circumstances, check_attachments
from apps.messages.states import Lane
from apps.templates.services import rendering

# One for all requests: they keep nothing, and building their fields costs more than using them.
_BATCH, _TEMPLATE_BATCH = requests.BatchRequest(), requests.TemplateBatchRequest()
ACCEPTED = {202: resources.AcceptedBatchResource, 200: resources.AcceptedBatchResource}


class BatchParser(StrictJSONParser):
    each_of = ("messages", "recipients")


class BatchSendViewSet(WorkspaceViewSet):
    """Accepts batches."""

    model = Batch
    parser_classes = (BatchParser,)
    scopes = dict.fromkeys(("send", "send_template"), "mail:send")
    operation_ids = {"send": "batch.send", "send_template": "batch.sendTemplate"}

    @extend_schema(request=requests.BatchRequest, responses=ACCEPTED)
    def send(self, request: Request) -> Response:
        """Stores up to 500 messages, each with a result of its own; what is wrong with one harms no other."""
        body: Any = request.data
        data = _BATCH.run_validation(body)
        use = self._use(request, body, BatchType.MESSAGE)
        if use is not None and (earlier := earlier_batch(use)):
            return self._replay(earlier)
        new = NewBatch(new_id(), BatchType.MESSAGE, data.get("sender"), use=use)
        return self._accept(new, SEND, requests.message_bodies(body))

    @extend_schema(request=requests.TemplateBatchRequest, responses=ACCEPTED)
    def send_template(self, request: Request) -> Response:
        """Stores up to 500 messages that one template makes, each rendered with the data of its recipient."""
        body: Any = request.data
        data = _TEMPLATE_BATCH.run_validation(body)
        check_simulation(data, self.caller)
        use = self._use(request, body, BatchType.TEMPLATE)
        if use is not None and (earlier := earlier_batch(use)):
            return self._replay(earlier)
        template = rendering.prepare(self.workspace_id, data["template"], data.get("version_id"))
        check_attachments(data, self.workspace_id)
        new = NewBatch(new_id(), BatchType.TEMPLATE, data.get("sender"), template, use)
        return self._accept(new, SEND_TEMPLATE, requests.recipient_bodies(body))

    def _use(self, request: Request, body: Mapping[str, Any], batch_type: BatchType) -> idempotency.Use | None:
        key = idempotency.choose_key(in_body=None, in_header=request.headers.get("Idempotency-Key"))
        return idempotency.use_of(self.workspace_id, FAMILIES[batch_type], key, body)

    def _accept(self, new: NewBatch, form: Form, bodies: Sequence[Any]) -> Response:
        circumstances = Circumstances(Origin(batch_id=new.id), Lane.BULK, new.template)
        readable = [body for body in bodies if not isinstance(body, Problem)]
        orders = iter(read_orders(form, readable, self.caller, circumstances=circumstances))
        entries = [_entry(body, Order(body) if isinstance(body, Problem) else next(orders)) for body in bodies]
        accepted = accept_batch(self.caller, new, entries)
        if isinstance(accepted, UUID):
            return self._replay(accepted)
        return Response(resources.show_accepted(accepted), status=status.HTTP_202_ACCEPTED)

    def _replay(self, batch_id: UUID) -> Response:
        """The earlier batch as it is by now."""
        batch = self.get_queryset().filter(pk=batch_id).first()
        if batch is None:
            raise EarlierIsGone
        items = with_states(BatchItem.objects.of(self.workspace_id).filter(batch=batch)).order_by("index")
        shown = resources.show_batch(resources.values_of(batch), _tallies(self.workspace_id, [batch])[batch.pk])
        shown["items"] = [_show_item(item) for item in items]
        return Response(shown, status=status.HTTP_200_OK)


class BatchViewSet(WorkspaceViewSet):
    """Batches of this workspace and what became of their items."""

    model = Batch
    serializer_class = resources.BatchResource
    scopes = dict.fromkeys(("list", "retrieve", "items"), "mail:read")
    lists = frozenset({"list", "items"})
    operation_ids = {"list": "batch.list", "retrieve": "batch.get", "items": "batch.items"}

    @property
    def filterset_class(self) -> type:
        return {"list": BatchFilters, "items": ItemFilters}.get(self.action, NoFilters)

    @property
    def pagination_class(self) -> type:  # type: ignore[override]  # by action, where DRF has one for all
        return {"list": WholeListPagination, "items": OldestFirstPagination}.get(self.action, KeysetPagination)

    @extend_schema(responses=resources.BatchResource(many=True))
    def list(self, request: Request) -> Response:
        batches: list[Batch] = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        found = _tallies(self.workspace_id, batches)
        shown = [resources.show_batch(resources.values_of(batch), found[batch.pk]) for batch in batches]
        return self.get_paginated_response(shown)

    @extend_schema(responses=resources.BatchResource)
    def retrieve(self, request: Request, id: str) -> Response:
        batch = self.get_object()
        tally = _tallies(self.workspace_id, [batch])[batch.pk]
        return Response(resources.show_batch(resources.values_of(batch), tally))

    @extend_schema(responses=resources.BatchItemResource(many=True))
    def items(self, request: Request, id: str) -> Response:
        """The items in their order in the request."""
        rows = with_states(BatchItem.objects.of(self.workspace_id).filter(batch=self.get_object()))
        page = self.paginate_queryset(self.filter_queryset(rows)) or []
        return self.get_paginated_response([_show_item(item) for item in page])


def _entry(body: Any, order: Order) -> Entry:
    return Entry(order, requests.shown_to(body, order), requests.shown_key(body, order))


def _show_item(item: Any) -> dict[str, Any]:
    return resources.show_item(resources.values_of(item), item.state)


def _tallies(workspace_id: UUID, batches: Sequence[Batch]) -> Any:
    return tallies(BatchItem.objects.of(workspace_id), batches)
