"""Which short names a workspace may have."""

import re

from apps.core.errors import Invalid

TWIN_ENDING = "--test"
# The workspace of its test keys is called the same with an ending, and the column takes 80 characters.
MAX_LENGTH = 80 - len(TWIN_ENDING)
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def check_slug(slug: str) -> None:
    """Raises Invalid."""
    if len(slug) > MAX_LENGTH or not SLUG.fullmatch(slug):
        raise Invalid(
            {
                "slug": [
                    f"must be 1 to {MAX_LENGTH} lower-case letters, digits and single hyphens, "
                    "and neither begin nor end with a hyphen"
                ]
            }
        )
