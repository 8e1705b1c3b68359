"""Tag lists, `name=value; name=value` (RFC 6376 section 3.2), in which DKIM keys and DMARC policies are written."""

import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def parse_tags(value: str) -> dict[str, str] | None:
    """The tags in their order; None when it is no tag list, or names a tag twice."""
    tags: dict[str, str] = {}
    for item in value.rstrip("; \t").split(";"):
        name, equals, content = item.partition("=")
        name = name.strip(" \t")
        if not equals or not _NAME.fullmatch(name) or name in tags:
            return None
        tags[name] = content.strip(" \t")
    return tags
