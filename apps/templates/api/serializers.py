"""Templates on the wire (wire contract 2.4)."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import StrictCharField, TimeField, WireSerializer
from apps.keys.api.fields import MAX_DATA_BYTES, BodyField, NameField, ObjectField
from apps.templates.models import MAX_DESCRIPTION, MAX_NAME, MAX_SLUG, Status, Template, TemplateVersion
from apps.templates.services.diagnostics import Diagnosis, Severity

MAX_SUBJECT_SOURCE = 2_000
STREAM_TYPES = ("transactional", "broadcast")


class TemplateChanges(WireSerializer):
    name = NameField(required=False, max_length=MAX_NAME)
    description = BodyField(required=False, max_length=MAX_DESCRIPTION)
    subject = NameField(required=False, max_length=MAX_SUBJECT_SOURCE)
    html = BodyField(required=False)
    text = BodyField(required=False)

    def values(self) -> dict[str, str]:
        """The checked values; null, as far as it may be, says that there is none."""
        self.is_valid(raise_exception=True)
        return {name: value or "" for name, value in self.validated_data.items()}


class TemplateRequest(TemplateChanges):
    name = NameField(max_length=MAX_NAME)
    slug = NameField(max_length=MAX_SLUG, help_text="Names the template in every address, beside its id.")
    subject = NameField(max_length=MAX_SUBJECT_SOURCE)


class PreviewRequest(WireSerializer):
    data = ObjectField(MAX_DATA_BYTES)  # type: ignore[assignment]  # a wire name that Serializer has too
    version_id = StrictCharField(required=False, allow_null=True, max_length=100)


class DiagnosticsRequest(PreviewRequest):
    stream = serializers.ChoiceField(required=False, choices=STREAM_TYPES)


class VersionSummary(WireSerializer):
    id = serializers.UUIDField()
    template_id = serializers.UUIDField()
    version_number = serializers.IntegerField(source="number")
    subject = serializers.CharField()
    variables = serializers.ListField(child=serializers.CharField())
    created_at = TimeField()


class VersionResource(VersionSummary):
    html = serializers.SerializerMethodField(help_text="As it was written; its CSS is inlined when it is sent.")
    text = serializers.SerializerMethodField(help_text="Null: it is made from the HTML.")

    def get_html(self, row: TemplateVersion) -> str | None:
        return row.html or None

    def get_text(self, row: TemplateVersion) -> str | None:
        return row.text or None


class TemplateSummary(WireSerializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    description = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=Status.values)
    subject = serializers.CharField(source="active_version.subject")
    variables = serializers.ListField(source="active_version.variables", child=serializers.CharField())
    active_version_id = serializers.UUIDField()
    active_version_number = serializers.IntegerField(source="active_version.number")
    created_at = TimeField()
    updated_at = TimeField()

    def get_description(self, row: Template) -> str | None:
        return row.description or None


class TemplateResource(TemplateSummary):
    """The parts are those of the active version."""

    html = serializers.SerializerMethodField()
    text = serializers.SerializerMethodField()
    active_version = VersionResource()
    versions = serializers.SerializerMethodField(help_text="The newest hundred, without their contents.")

    def get_html(self, row: Template) -> str | None:
        return row.active_version.html or None if row.active_version else None

    def get_text(self, row: Template) -> str | None:
        return row.active_version.text or None if row.active_version else None

    @extend_schema_field(VersionSummary(many=True))
    def get_versions(self, row: Template) -> Sequence[dict[str, Any]]:
        return list(VersionSummary(self.context["versions"], many=True).data)


class PreviewResource(WireSerializer):
    subject = serializers.CharField()
    html = serializers.CharField(allow_null=True)
    text = serializers.CharField(allow_null=True)
    missing_variables = serializers.ListField(child=serializers.CharField())


class FindingResource(WireSerializer):
    code = serializers.CharField()
    severity = serializers.ChoiceField(choices=[severity.value for severity in Severity])
    message = serializers.CharField()
    part = serializers.CharField(allow_null=True)
    items = serializers.ListField(child=serializers.CharField())


class DiagnosticsResource(WireSerializer):
    diagnostics = FindingResource(many=True, source="findings")
    size_bytes = serializers.IntegerField()
    missing_variables = serializers.ListField(child=serializers.CharField())
    unused_variables = serializers.ListField(child=serializers.CharField())

    @staticmethod
    def shown(diagnosis: Diagnosis) -> dict[str, Any]:
        shown: dict[str, Any] = DiagnosticsResource(diagnosis).data
        return shown
