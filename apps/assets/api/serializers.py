"""Assets on the wire: snake_case, as the contract has it, with the camelCase of some published clients taken too."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from rest_framework import serializers

from apps.assets import naming
from apps.assets.models import MAX_KEY, Asset, AssetStatus, Mode, SessionStatus, UploadPart, UploadSession, Visibility
from apps.assets.services import links, sessions
from apps.core.api.parsers import read
from apps.core.api.serializers import UNKNOWN_FIELD, DurationField, StrictCharField, TimeField, WholeNumberField, camel
from apps.core.errors import Problem
from apps.keys.api.fields import MAX_METADATA_BYTES, ObjectField

SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class BothSpellings(serializers.Serializer):
    """Takes each field in snake_case or camelCase, once; refuses what it does not know by its name."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"body": ["must be an object"]})
        names: list[Any] = list(self.fields)
        spelled: dict[Any, str] = {camel(name): name for name in names} | {name: name for name in names}
        values: dict[str, Any] = {}
        given: dict[str, str] = {}
        problems = {}
        for name, value in data.items():
            field = spelled.get(name)
            if field is None:
                problems[str(name)[:100]] = [UNKNOWN_FIELD]
            elif field in given:
                problems[name] = [f"is given as {given[field]} too; send one of the two"]
            else:
                values[field], given[field] = value, name
        if problems:
            raise serializers.ValidationError(dict(list(problems.items())[:20]))
        try:
            return super().to_internal_value(values)
        except serializers.ValidationError as error:
            detail: Any = error.detail
            raise serializers.ValidationError({given.get(name, name): why for name, why in detail.items()}) from None


class NamedField(StrictCharField):
    """A text that one of the readers in `naming` must accept."""

    def __init__(self, reader: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reader = reader

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return self.reader(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class MetadataField(ObjectField):
    """In a form the object comes as JSON text."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return super().to_internal_value(self._read(data) if isinstance(data, str) else data)

    def _read(self, text: str) -> dict[str, Any]:
        try:
            return read(text.encode())
        except Problem as problem:
            raise serializers.ValidationError(problem.message) from None


class ChecksumField(StrictCharField):
    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not SHA256.fullmatch(text):
            raise serializers.ValidationError("must be a SHA-256 as 64 hexadecimal digits")
        return text.lower()


class ReplaceForm(BothSpellings):
    """The texts beside the file; what is left out stays as it is."""

    cache_control = NamedField(naming.cache_control, required=False, allow_blank=True)
    metadata = MetadataField(MAX_METADATA_BYTES)


class UploadForm(ReplaceForm):
    bucket = NamedField(naming.bucket, required=False)
    key = NamedField(naming.key, required=False, max_length=MAX_KEY)
    folder = NamedField(naming.key, required=False, max_length=MAX_KEY)
    visibility = serializers.ChoiceField(choices=Visibility.values, required=False)


class SessionRequest(UploadForm):
    mode = serializers.ChoiceField(choices=Mode.values, required=False)
    file_name = NamedField(naming.file_name, required=False, max_length=4_000)
    mime_type = NamedField(naming.media_type, required=False, max_length=400)
    file_size = WholeNumberField(required=False, min_value=1)
    max_bytes = WholeNumberField(required=False, min_value=1)
    checksum_sha256 = ChecksumField(required=False)
    expires_in = DurationField(
        links.SHORTEST, links.LONGEST, required=False, help_text='Such as "1h"; one hour if left out.'
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        most = min(attrs.get("max_bytes", settings.ASSET_MAX_BYTES), settings.ASSET_MAX_BYTES)
        if attrs.get("file_size", 0) > most:
            raise serializers.ValidationError({"file_size": [f"may be at most {most} bytes"]})
        return attrs


class SignedUrlRequest(BothSpellings):
    expires_in = DurationField(
        links.SHORTEST, links.LONGEST, required=False, help_text='Such as "10m"; ten minutes if left out.'
    )
    max_downloads = WholeNumberField(required=False, allow_null=True, min_value=1, max_value=1_000_000)


class AssetResource(serializers.Serializer):
    id = serializers.UUIDField()
    bucket = serializers.CharField()
    key = serializers.CharField()
    original_name = serializers.CharField()
    mime_type = serializers.CharField()
    size = serializers.IntegerField()
    checksum_sha256 = serializers.CharField()
    visibility = serializers.ChoiceField(choices=Visibility.values)
    status = serializers.ChoiceField(choices=AssetStatus.values)
    replication_status = serializers.CharField()
    folder = serializers.CharField()
    metadata = serializers.DictField()
    cache_control = serializers.CharField()
    generation = serializers.IntegerField()
    revision = serializers.IntegerField()
    url = serializers.SerializerMethodField()
    created_at = TimeField()
    updated_at = TimeField()

    def get_url(self, asset: Asset) -> str | None:
        """Of a public asset; a private one needs a signed URL."""
        return links.public_url(asset)


class PartResource(serializers.Serializer):
    part_number = serializers.IntegerField(source="number")
    size = serializers.IntegerField()
    checksum_sha256 = serializers.CharField()


class SessionName(serializers.Serializer):
    id = serializers.UUIDField()


class SessionResource(serializers.Serializer):
    upload_session_id = serializers.UUIDField()
    session_id = serializers.UUIDField()
    session = SessionName()
    mode = serializers.ChoiceField(choices=Mode.values)
    status = serializers.ChoiceField(choices=[*SessionStatus.values, "expired"])
    url = serializers.CharField(allow_null=True, help_text="Where the bytes go, while they may come.")
    method = serializers.CharField()
    file_name = serializers.CharField()
    mime_type = serializers.CharField()
    file_size = serializers.IntegerField(allow_null=True)
    max_bytes = serializers.IntegerField()
    received_bytes = serializers.IntegerField()
    parts = PartResource(many=True)
    asset_id = serializers.UUIDField(allow_null=True, help_text="Of the asset that came of it.")
    expires_at = TimeField()
    created_at = TimeField()


class SignedUrlResource(serializers.Serializer):
    url = serializers.CharField()
    expires_at = TimeField()


def show_asset(asset: Asset) -> dict[str, Any]:
    return AssetResource(asset).data


def show_part(part: UploadPart) -> dict[str, Any]:
    return PartResource(part).data


def show_session(session: UploadSession) -> dict[str, Any]:
    parts, url = list(sessions.parts_of(session)), sessions.url_of(session)
    same = ("mode", "mime_type", "file_size", "max_bytes", "asset_id", "expires_at", "created_at")
    shown = {name: getattr(session, name) for name in same} | {
        "upload_session_id": session.pk,
        "session_id": session.pk,
        "session": {"id": session.pk},
        "status": "expired" if session.status == SessionStatus.OPEN and url is None else session.status,
        "url": url,
        "method": "PUT",
        "file_name": session.original_name,
        "received_bytes": sum(part.size for part in parts),
        "parts": parts,
    }
    return SessionResource(shown).data
