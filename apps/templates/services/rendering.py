"""Stands in until the templates are there: every reference is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    template_id: UUID
    version_id: UUID
    slug: str

    def render(self, data: Mapping[str, Any]) -> Rendered:
        raise NotFound


def prepare(workspace_id: UUID, reference: str, version_id: str | None = None) -> Prepared:
    raise NotFound


def prepare_version(workspace_id: UUID, version_id: UUID) -> Prepared:
    raise NotFound
