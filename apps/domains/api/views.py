"""Sender domains: add, look at, verify, change keys, remove."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.pagination import WholeListPagination
from apps.core.errors import NotFound
from apps.domains.api.serializers import DomainRequest, DomainResource, show_domain
from apps.domains.models import Domain
from apps.domains.services import checking, keys, registry
from apps.domains.services.records import records_of, records_of_each, reread
from apps.keys.api.views import WorkspaceViewSet


class DomainViewSet(WorkspaceViewSet):
    """A domain may send once its required DNS records are found."""

    model = Domain
    serializer_class = DomainResource
    pagination_class = WholeListPagination
    scopes = {
        "create": "mail:manage",
        "list": "mail:read",
        "retrieve": "mail:read",
        "verify": "mail:manage",
        "rotate": "mail:manage",
        "sign_twice": "mail:manage",
        "sign_once": "mail:manage",
        "destroy": "mail:manage",
    }
    operation_ids = {
        "create": "domains.create",
        "list": "domains.list",
        "retrieve": "domains.get",
        "verify": "domains.verify",
        "rotate": "domains.rotate",
        "sign_twice": "domains.enableSecondSignature",
        "sign_once": "domains.disableSecondSignature",
        "destroy": "domains.delete",
    }

    @extend_schema(request=DomainRequest, responses={201: DomainResource})
    def create(self, request: Request) -> Response:
        """Adds a domain and answers with the records to publish."""
        command = DomainRequest(data=request.data)
        command.is_valid(raise_exception=True)
        domain = registry.create(self.workspace_id, command.validated_data["domain"])
        return Response(_shown(domain), status=status.HTTP_201_CREATED)

    def list(self, request: Request) -> Response:
        domains: list[Domain] = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        records = records_of_each(domains)
        # One without records was deleted between the two questions.
        shown = [show_domain(domain, records[domain.pk]) for domain in domains if records[domain.pk]]
        return self.get_paginated_response(DomainResource(shown, many=True).data)

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(_shown(self.get_object()))

    @extend_schema(request=None, responses={200: DomainResource})
    def verify(self, request: Request, id: str) -> Response:
        """Looks up the records now and answers with what was found, verified or not."""
        domain = self.get_object()
        checking.allow_asking(domain)
        return Response(_shown(checking.verify(domain)))

    @extend_schema(request=None, responses={200: DomainResource})
    def rotate(self, request: Request, id: str) -> Response:
        """Makes the next DKIM key and answers with its record among the others.

        Mail is signed with it once the record is seen; the old record has to stay for seven days from then on.
        """
        domain = self.get_object()
        keys.rotate(domain)
        return Response(_shown(domain))

    @extend_schema(request=None, responses={200: DomainResource})
    def sign_twice(self, request: Request, id: str) -> Response:
        """Adds an Ed25519 signature beside the RSA one, as soon as the record of its key is seen."""
        domain = self.get_object()
        keys.add_second_signature(domain)
        return Response(_shown(domain))

    @extend_schema(request=None, responses={200: DomainResource})
    def sign_once(self, request: Request, id: str) -> Response:
        """Leaves the Ed25519 signature out from now on."""
        domain = self.get_object()
        keys.drop_second_signature(domain)
        return Response(_shown(domain))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Removes the domain here; its DNS records stay where they are."""
        registry.delete(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(domain: Domain) -> dict[str, Any]:
    fresh = reread(domain)
    records = records_of(fresh)
    if not records:  # deleted between the two questions
        raise NotFound
    return DomainResource(show_domain(fresh, records)).data
