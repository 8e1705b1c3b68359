"""`GET /mail/limits`: what this workspace may send, and what of it is used (wire contract 2.10).

It stands here, and not with workspaces, because a view needs the caller that keys know.
"""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.serializers import TimeField, WireSerializer
from apps.keys.api.permissions import ANY
from apps.keys.api.views import WorkspaceViewSet
from apps.keys.models import ApiKey
from apps.workspaces.limits import MAX_RECIPIENTS_PER_MESSAGE, usage
from apps.workspaces.models import Tier, Workspace


class LimitsResource(WireSerializer):
    tier = serializers.ChoiceField(choices=Tier.values)
    daily_used = serializers.IntegerField()
    daily_limit = serializers.IntegerField(allow_null=True)
    hourly_used = serializers.IntegerField(allow_null=True)
    hourly_limit = serializers.IntegerField(allow_null=True)
    max_recipients_per_message = serializers.IntegerField()
    resets_at = TimeField()


class LimitsViewSet(WorkspaceViewSet):
    """Limits count recipients of accepted messages; null: there is no such limit, and then nothing is counted."""

    model = ApiKey
    scopes = {"retrieve": ANY}  # the published clients ask it to see whether a key works
    operation_ids = {"retrieve": "limits.get"}

    @extend_schema(responses=LimitsResource)
    def retrieve(self, request: Request) -> Response:
        workspace = Workspace.objects.get(pk=self.workspace_id)
        used = usage(workspace)
        shown = {
            "tier": workspace.tier,
            "daily_used": used.daily_used,
            "daily_limit": used.limits.daily,
            "hourly_used": None if used.limits.hourly is None else used.hourly_used,
            "hourly_limit": used.limits.hourly,
            "max_recipients_per_message": MAX_RECIPIENTS_PER_MESSAGE,
            "resets_at": used.resets_at,
        }
        return Response(LimitsResource(shown).data)
