"""One rendering: the names that were missing, and what it has cost so far."""

from io import StringIO
from typing import Any, TextIO

from liquid import RenderContext, Undefined
from liquid.exceptions import OutputStreamLimitError, ResourceLimitError
from liquid.output import LimitedStringIO
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from apps.templates.engine.limits import (
    LIST_WEIGHT_PER_STEP,
    MAX_ASSIGNED,
    MAX_MISSING,
    MAX_MISSING_CHARACTERS,
    MAX_OUTPUT_BYTES,
    MAX_STEPS,
    MAX_WEIGHT,
    WEIGHT_PER_STEP,
)
from apps.templates.engine.values import TooHeavy, weigh

_ABSENT = object()


class TooMuch(ResourceLimitError):
    """The template asks for more than one rendering may cost."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, token=None)


class NamesMissing:
    """What was missing in one rendering, each name once, in the order of its first use."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self._characters = 0

    def add(self, name: str) -> None:
        if name in self.names or len(self.names) >= MAX_MISSING or self._characters > MAX_MISSING_CHARACTERS:
            return
        self.names[name] = None
        self._characters += len(name)


class Missing(Undefined):
    """Stands for a variable without a value, and is noted as soon as something needs the value.

    `{% if x %}` and `| default:` only ask whether there is one, and so they do not come to any method here.
    """

    __slots__ = ("_noted",)
    # The filter `default` then leaves it alone.
    force_liquid_default = True

    def __init__(self, name: str, noted: "NamesMissing") -> None:
        super().__init__(name)
        self._noted = noted

    def note(self) -> None:
        self._noted.add(self.name)

    def __str__(self) -> str:
        self.note()
        return ""

    def __len__(self) -> int:
        self.note()
        return 0

    def __int__(self) -> int:
        self.note()
        return 0

    def __iter__(self) -> Any:
        self.note()
        return iter(())

    def __reversed__(self) -> Any:
        self.note()
        return iter(())

    def __getitem__(self, key: object) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Undefined) or other is None

    def __hash__(self) -> int:
        return hash(self.name)


class GuardedContext(RenderContext):
    """Knows the caller's data and what the template assigns, and nothing else: no clock, no `partial`."""

    def __init__(self, template: Any, *, data: dict[str, Any], weight: int) -> None:
        super().__init__(template, globals=data)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self.missing = NamesMissing()
        self._left = MAX_STEPS
        self._weight = weight
        self._assigned: dict[str, int] = {}
        self._assigned_weight = 0

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooMuch("this takes too much work: use fewer or shorter loops, filters and values")

    def weighed(self, value: object) -> int:
        """The weight of what a filter takes or gives, paid for."""
        try:
            weight = weigh(value, MAX_WEIGHT)
        except TooHeavy:
            raise TooMuch(f"a value is larger than {MAX_WEIGHT:,} characters") from None
        self.spend(weight // (LIST_WEIGHT_PER_STEP if isinstance(value, list | dict) else WEIGHT_PER_STEP))
        return weight

    def get(self, path: list[object], *, token: Any, default: object = UNDEFINED) -> object:
        found = super().get(path, token=token, default=_ABSENT)
        if found is _ABSENT:
            return Missing(_named(path), self.missing) if default is UNDEFINED else default
        # Whoever compares or goes through it may have to look at all of it.
        if isinstance(found, str):
            self.spend(1 + len(found) // 256)
        elif isinstance(found, list | dict):
            self.spend(1 + (self._weight + self._assigned_weight) // 64)
        return found

    def assign(self, key: str, val: Any) -> None:
        weight = 0 if isinstance(val, Undefined) else self.weighed(val)
        self._assigned_weight += weight - self._assigned.get(key, 0)
        self._assigned[key] = weight
        if len(self._assigned) > MAX_ASSIGNED:
            raise TooMuch(f"more than {MAX_ASSIGNED} variables are assigned")
        if self._assigned_weight > MAX_WEIGHT:
            raise TooMuch(f"the assigned variables are larger than {MAX_WEIGHT:,} characters together")
        self.locals[key] = val

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """What a loop costs is paid with each of its rounds."""

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        taken = buf.size if isinstance(buf, PaidBuffer) else 0
        return PaidBuffer(self, MAX_OUTPUT_BYTES - taken)


class PaidBuffer(LimitedStringIO):
    """Output up to a limit, line ends as they are, paid for by its length."""

    def __init__(self, context: GuardedContext, limit: int) -> None:
        super().__init__(limit, newline="")
        self._context = context

    def write(self, text: str) -> int:
        length = len(text)
        self._context.spend(length // WEIGHT_PER_STEP)
        # Counted here, because the library encodes every piece to count it.
        self.size += length if text.isascii() else len(text.encode())
        if self.size > self.limit:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        return StringIO.write(self, text)


def _named(path: list[object]) -> str:
    """The path as a template writes it: `order.items[0].sku`."""
    first, *rest = path
    name = _segment(first)
    for segment in rest:
        if isinstance(segment, str) and segment.replace("-", "_").isidentifier():
            name += f".{segment}"
        else:
            name += f"[{_segment(segment) if not isinstance(segment, str) else repr(str(segment))}]"
    return name[:300]


def _segment(segment: object) -> str:
    if isinstance(segment, Missing):
        return segment.name
    return str(segment) if isinstance(segment, str | int | float) else type(segment).__name__
