"""Identifiers: UUID version 7 (RFC 9562), unguessable and sortable by the time of their making."""

import uuid

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """A new identifier; later ones of one process sort after earlier ones, also within a millisecond."""
    return uuid7()


def parse_id(text: str) -> uuid.UUID | None:
    """The identifier in its one canonical form (lower case, with hyphens), or None for anything else."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None
