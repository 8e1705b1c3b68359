"""What is stored, all of it, for tests that something left no trace."""

from typing import Any

from django.apps import apps
from django.db.models import Model

# Looking in is no change: a key remembers when it was last used.
NOT_COMPARED = {"last_used_at"}


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of ours."""
    ours = [model for model in apps.get_models() if model.__module__.startswith("apps.")]
    return {model._meta.label: _rows(model) for model in ours}


def _rows(model: type[Model]) -> list[dict[str, Any]]:
    rows = model._base_manager.order_by("pk").values()
    return [{name: value for name, value in row.items() if name not in NOT_COMPARED} for row in rows]
