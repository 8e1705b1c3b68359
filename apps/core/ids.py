"""Identifiers: UUID version 7 (RFC 9562), unguessable and sortable by the time of their making."""

import uuid
from datetime import datetime

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """A new identifier; later ones of one process sort after earlier ones, also within a millisecond."""
    return uuid7()


def first_id_at(moment: datetime) -> uuid.UUID:
    """The smallest identifier that can have been made at this time or later (RFC 9562, section 5.7)."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)


def parse_id(text: str) -> uuid.UUID | None:
    """The identifier in its one canonical form (lower case, with hyphens), or None for anything else."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None
