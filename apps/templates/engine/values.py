"""Which data may go into a template, and how heavy a value is."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from apps.core.errors import Invalid
from apps.templates.engine.limits import MAX_DATA_DEPTH, MAX_DATA_WEIGHT, MAX_NUMBER_BITS

# What a value weighs beside its characters and its members.
UNIT = 16


class TooHeavy(ValueError):
    """The value weighs more than was asked about."""


def weigh(value: object, most: int) -> int:
    """About the number of characters that the value has when it is written out. Raises TooHeavy.

    What is shared is counted each time it is reached, because that is how often it would be written.
    """
    if isinstance(value, str):
        # By far the most of what filters take; the rest of this takes five times as long.
        if UNIT + len(value) > most:
            raise TooHeavy
        return UNIT + len(value)
    total, stack = 0, [value]
    while stack:
        item = stack.pop()
        total += UNIT
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, list | tuple | range):
            total += UNIT * len(item)
            if total <= most and not isinstance(item, range):
                stack.extend(item)
        elif type(item) is dict:
            total += UNIT * len(item) + sum(map(len, item))
            stack.extend(item.values())
        elif type(item) is int:
            total += item.bit_length() // 3
        if total > most:
            raise TooHeavy
    return total


def check_data(data: Mapping[str, Any]) -> int:
    """Refuses what is not a list, an object, a text, a number, a boolean or null, by type and not by likeness.

    Returns the weight. Raises Invalid, which names the place.
    """
    if type(data) is not dict:
        raise Invalid({"data": ["must be an object"]})
    _check(data, "data", depth=1)
    try:
        return weigh(data, MAX_DATA_WEIGHT)
    except TooHeavy:
        raise Invalid({"data": [f"is larger than {MAX_DATA_WEIGHT:,} characters"]}) from None


def _check(value: Any, path: str, *, depth: int) -> None:
    kind = type(value)
    if kind is dict or kind is list:
        if depth > MAX_DATA_DEPTH:
            raise Invalid({"data": [f"is nested more than {MAX_DATA_DEPTH} levels deep"]})
        for name, item in _members(value, path):
            if type(item) is not str:
                _check(item, f"{path[:200]}.{name[:40]}", depth=depth + 1)
    elif kind is int:
        if value.bit_length() > MAX_NUMBER_BITS:
            raise Invalid({path: ["is a number of more than 40 digits; give it as a text"]})
    elif kind is float:
        if not math.isfinite(value):
            raise Invalid({path: ["is not a finite number"]})
    elif value is not None and kind is not bool and kind is not str:
        raise Invalid({path: [f"must be JSON, not {kind.__name__}"]})


def _members(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if type(value) is list:
        yield from ((str(number), item) for number, item in enumerate(value))
        return
    for name, item in value.items():
        if type(name) is not str:
            raise Invalid({path: ["must have texts as names"]})
        yield name, item
