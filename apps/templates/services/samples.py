"""Data to begin a preview with, made up from the names that a version uses."""

import re
from collections.abc import Sequence
from typing import Any

SEGMENT = re.compile(r"\[([0-9]+)\]|\[\s*'([^']*)'\s*\]|\.?([^.\[\]]+)")
MAX_INDEX = 5


def sample_data(names: Sequence[str]) -> dict[str, Any]:
    """An object with a value at each name: `order.items` becomes {"order": {"items": [...]}}."""
    data: dict[str, Any] = {}
    # Longer paths last, so that what has members is not taken for a text.
    for name in sorted(names, key=lambda name: (name.count(".") + name.count("["), name)):
        if path := [number or quoted or word for number, quoted, word in SEGMENT.findall(name)]:
            _put(data, path)
    return data


def _put(data: dict[str, Any], path: Sequence[str]) -> None:
    here: Any = data
    for segment, following in zip(path, [*path[1:], None], strict=True):
        if isinstance(here, list):
            number = int(segment) if _is_index(segment) else 0
            if number > MAX_INDEX:
                return
            while len(here) <= number:
                here.append({})
            here = here[number]
            continue
        if following is None:
            here.setdefault(segment, _value(segment))
            return
        wanted: Any = [] if _is_index(following) else {}
        if not isinstance(here.get(segment), type(wanted)):
            here[segment] = wanted
        here = here[segment]


def _is_index(segment: str) -> bool:
    """Superscripts are digits to Python, and no numbers."""
    return segment.isascii() and segment.isdecimal()


def _value(name: str) -> Any:
    word = name.lower()
    if word.endswith(("url", "link", "href")):
        return "https://example.com/"
    if word.endswith(("items", "lines", "products", "rows", "list", "orders", "entries")):
        return [{}]
    if word.endswith(("total", "price", "amount", "count", "quantity")):
        return 42
    return name.replace("_", " ").replace("-", " ").capitalize()
