"""Tenancy by construction: a model of a workspace has no query that could forget the workspace."""

from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.manager import BaseManager

from apps.core.ids import new_id


class TenantManager(BaseManager[Any]):
    """Offers `of(workspace_id)`, and nothing that reaches into every workspace by accident.

    The usual `all`, `filter` and `get` do not exist here. Background jobs and the operators' console, which do
    work across workspaces, say so by name; tests/test_tenancy.py lists who may.
    """

    # BaseManager, unlike Manager, copies none of its methods.
    _queryset_class = models.QuerySet

    def of(self, workspace_id: UUID) -> models.QuerySet[Any]:
        return self.get_queryset().filter(workspace_id=workspace_id)

    def across_workspaces(self) -> models.QuerySet[Any]:
        return self.get_queryset()

    def all(self) -> models.QuerySet[Any]:
        raise TypeError(f"{self.model.__name__} belongs to workspaces: use of(workspace_id)")


def workspace_field(*, db_constraint: bool = True) -> "models.ForeignKey[Any, Any]":
    """The workspace that a row belongs to.

    It has no index of its own: every table that is searched by workspace has one that begins with it. Without
    `db_constraint` the rows' other foreign keys vouch for it: PostgreSQL would lock the workspace's row for every
    recipient, attempt and event that is written.
    """
    return models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=db_constraint,
    )


class TenantModel(models.Model):
    """A row of one workspace, with a public, time-sortable id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = workspace_field()

    objects = TenantManager()

    class Meta:
        abstract = True
