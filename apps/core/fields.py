"""Columns that Django does not have."""

import json
from typing import Any

from django.db import models


class VerbatimJSON(models.TextField):
    """JSON of a caller's, kept as the text that it came as.

    PostgreSQL's jsonb orders names anew and spells 1e20 as an integer that no JSON writer of ours would take; what
    somebody gets back, or is sent later, has to be what was given.
    """

    # For the type checker: any JSON goes in and comes out.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else json.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else written(value)


def written(value: Any) -> str:
    """The text of a value that was read from JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
