"""The filters of a template, each weighed before and after, so that none can be made to eat time or memory.

What a filter would give is estimated first where it may be far more than it takes; all else is weighed once it is
there. Left out: `safe`, which would let a value be markup, and what makes sense only in scripts.
"""

import html
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from liquid import Environment, Markup, escape
from liquid.builtin.filters.misc import date as liquid_date
from liquid.exceptions import FilterArgumentError, FilterValueError

from apps.templates.engine.context import GuardedContext, Missing, TooMuch
from apps.templates.engine.limits import (
    MAX_DATE_FORMAT,
    MAX_DATE_LENGTH,
    MAX_NUMBER_BITS,
    MAX_WEIGHT,
    STEPS_PER_DATE,
    STEPS_PER_FILTER,
)
from apps.templates.engine.markup import text_of, unescape
from apps.templates.engine.values import UNIT

LEFT_OUT = ("safe", "escapejs")
# They look at the outside of a value only, whatever it weighs, and give nothing that was not there.
SHALLOW = frozenset({"size", "first", "last", "default"})
# These take long for each such character, in steps.
DEAR = {"url_decode": ("%", 3), "escape_once": ("&", 4), "strip_html": ("<", 10)}
# Whatever else is a date takes some 60 us to read, and this a few.
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
# Directives without a width: `%1000000d` is a million characters.
DATE_FORMAT = re.compile(r"(?:[^%]|%[-_^#]?[A-Za-z%])*")


def guard(environment: Environment) -> None:
    """Takes out the filters that are not for customers, and wraps the others."""
    for name in LEFT_OUT:
        del environment.filters[name]
    environment.filters |= OWN
    for name, function in list(environment.filters.items()):
        environment.filters[name] = Guarded(name, function)


class Guarded:
    """A filter that pays for what it is given, for what it might give, and for what it gives."""

    with_context = True

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function
        self.is_shallow = name in SHALLOW
        self.asks_only = name == "default"
        self.dear = DEAR.get(name)
        self.takes_environment = getattr(function, "with_environment", False)
        self.takes_context = getattr(function, "with_context", False)

    def __call__(self, value: Any, *arguments: Any, context: GuardedContext, **named: Any) -> Any:
        context.spend(STEPS_PER_FILTER)
        given = (value, *arguments, *named.values()) if named else (value, *arguments)
        if Missing in map(type, given) and not self.asks_only:
            return _noted(given)
        if self.takes_environment:
            named["environment"] = context.env
        if self.takes_context:
            named["context"] = context
        if self.is_shallow:
            return self.function(value, *arguments, **named)
        if self.dear is not None:
            character, steps = self.dear
            context.spend(_text(value).count(character) * steps)
        for item in given:
            _check_number(item)
            context.weighed(item)
        if (estimate := _ESTIMATES.get(self.name)) and estimate(value, *arguments) > MAX_WEIGHT:
            raise TooMuch(f"'{self.name}' would give more than {MAX_WEIGHT:,} characters")
        result = self.function(value, *arguments, **named)
        _check_number(result)
        context.weighed(result)
        return result


def _noted(given: tuple[Any, ...]) -> Missing:
    """Notes every value that is missing, and returns one of them: what a filter makes of it is missing as well."""
    absent = [item for item in given if isinstance(item, Missing)]
    for item in absent:
        item.note()
    return absent[0]


def _check_number(value: object) -> None:
    if type(value) is int and value.bit_length() > MAX_NUMBER_BITS:
        raise TooMuch("a number has more than 40 digits")


def _replaced(value: Any, old: Any = "", new: Any = "", *_: Any) -> int:
    text, part = str(value), str(old)
    return len(text) + text.count(part) * len(str(new))


def _joined(value: Any, separator: Any = " ", *_: Any) -> int:
    return len(value) * len(str(separator)) if isinstance(value, list | tuple | range) else 0


def _split(value: Any, separator: Any = " ", *_: Any) -> int:
    text, part = str(value), str(separator)
    count = len(text) if not part else len(text) // 2 if part == " " else text.count(part)
    return len(text) + count * 2 * UNIT


def _worded(value: Any, *_: Any) -> int:
    return len(str(value)) * UNIT


_ESTIMATES: dict[str, Callable[..., int]] = {
    "replace": _replaced,
    "join": _joined,
    "split": _split,
    "truncatewords": _worded,
}


def _date(value: Any, form: Any, *, environment: Environment, context: GuardedContext) -> Any:
    """The library's, for texts that can be dates and formats without widths."""
    if type(value) not in (str, int, Markup):
        raise FilterArgumentError("'date' takes a text or a number of seconds", token=None)
    if isinstance(value, str) and len(value) > MAX_DATE_LENGTH:
        raise FilterArgumentError(f"'date' takes at most {MAX_DATE_LENGTH} characters", token=None)
    if not isinstance(form, str) or len(form) > MAX_DATE_FORMAT or not DATE_FORMAT.fullmatch(form):
        raise FilterArgumentError("'date' takes a format such as '%d %B %Y'", token=None)
    if isinstance(value, str) and ISO_DATE.fullmatch(value):
        with suppress(ValueError):  # there is no thirteenth month; the library writes such a text as it is
            return liquid_date(datetime.fromisoformat(value), form, environment=environment)
    context.spend(STEPS_PER_DATE)
    return liquid_date(value, form, environment=environment)


_date.with_environment = True  # type: ignore[attr-defined]  # how the library marks it
_date.with_context = True  # type: ignore[attr-defined]  # the same


def _strip_html(value: Any) -> str:
    """In one pass; the library's goes through Python's parser, which malformed tags make slow."""
    # Never markup: a text that was safe may no longer be once pieces of it are gone.
    return str(text_of(_text(value)))


def _escape_once(value: Any, *, environment: Environment) -> str:
    """Escaped once, whether it was escaped before or not; where all is escaped in the end, that is done there."""
    plain = str(unescape(_text(value)))
    return plain if environment.autoescape else html.escape(plain)


_escape_once.with_environment = True  # type: ignore[attr-defined]  # the same


def _strip_newlines(value: Any, *, environment: Environment) -> str:
    return _without_lines(value, "", environment)


_strip_newlines.with_environment = True  # type: ignore[attr-defined]  # the same


def _newline_to_br(value: Any, *, environment: Environment) -> str:
    return _without_lines(value, "<br />\n", environment)


_newline_to_br.with_environment = True  # type: ignore[attr-defined]  # the same


def _without_lines(value: Any, instead: str, environment: Environment) -> str:
    """Other text instead of line ends, in plain texts alone: an expression, or markup, takes ten times as long."""
    text = _text(value)
    plain = str(escape(text) if environment.autoescape else text)
    result = plain.replace("\r\n", "\n").replace("\n", instead)
    return Markup(result) if environment.autoescape else result


def _squish(value: Any) -> str:
    return " ".join(_text(value).split())


def _remove_last(value: Any, part: Any) -> str:
    text = _text(value)
    before, after = _around_last(text, _text(part))
    return text if before is None else before + after


def _replace_last(value: Any, part: Any, new: Any) -> str:
    text = _text(value)
    before, after = _around_last(text, _text(part))
    return text if before is None else before + _text(new) + after


def _around_last(text: str, part: str) -> tuple[str | None, str]:
    """What stands before and behind the last `part`; nothing before where there is none.

    Searched for backwards in the reversed text: Python looks for a text in linear time, but for its last one in
    quadratic time.
    """
    found = str(text)[::-1].find(str(part)[::-1])
    if found == -1:
        return None, ""
    end = len(text) - found
    return text[: end - len(part)], text[end:]


def _text(value: Any) -> str:
    """As the library's filters make a text of a value; markup stays markup."""
    return "" if value is None else value if isinstance(value, str) else str(value)


def _uniq(value: Any, key: Any = None) -> list[Any]:
    """In one pass; the library's compares each with each."""
    if not isinstance(value, list | tuple | range):
        raise FilterValueError("'uniq' takes a list", token=None)
    seen: set[Any] = set()
    kept = []
    for item in value:
        mark = _mark(item if key is None else item.get(str(key)) if type(item) is dict else None)
        if mark not in seen:
            seen.add(mark)
            kept.append(item)
    return kept


def _mark(value: Any) -> Any:
    """Equal for equal values, and hashable."""
    return (type(value).__name__, repr(value)) if isinstance(value, list | tuple | dict) else value


OWN: dict[str, Callable[..., Any]] = {
    "date": _date,
    "escape_once": _escape_once,
    "newline_to_br": _newline_to_br,
    "remove_last": _remove_last,
    "replace_last": _replace_last,
    "squish": _squish,
    "strip_html": _strip_html,
    "strip_newlines": _strip_newlines,
    "uniq": _uniq,
}
