"""One part of a template, ready to be rendered any number of times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, LiquidInterrupt

from apps.templates.engine.context import GuardedContext
from apps.templates.engine.environment import ESCAPED, PLAIN, limit
from apps.templates.engine.limits import MAX_NAMES_BYTES, MAX_OUTPUT_BYTES, MAX_SOURCE_BYTES, MAX_VARIABLES
from apps.templates.engine.places import Place, find_places
from apps.templates.engine.scanner import MarkupError, line_of
from apps.templates.errors import PartTooLarge, TemplateRenderError

MAX_REASON = 200


class Part(StrEnum):
    SUBJECT = "subject"
    HTML = "html"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part became, as far as it went, and why it went no further."""

    text: str
    missing: Sequence[str]
    failure: TemplateRenderError | None = None


class CompiledPart:
    """Made by `compile_part`; rendering changes nothing in it, so threads may share it."""

    def __init__(self, part: Part, template: BoundTemplate, places: Mapping[int, Place]) -> None:
        self.part = part
        self._template = template
        self._steps = limit(template.nodes, places)

    def render(self, data: dict[str, Any], *, weight: int) -> Outcome:
        """`data` as `check_data` let it pass, and its weight."""
        context = GuardedContext(self._template, data=data, weight=weight)
        buffer = context.get_buffer()
        failure = self._write(context, buffer)
        return Outcome(buffer.getvalue(), list(context.missing.names), failure)

    def _write(self, context: GuardedContext, buffer: StringIO) -> TemplateRenderError | None:
        try:
            context.spend(self._steps)
            for node in self._template.nodes:
                node.render(context, buffer)
        except LiquidInterrupt:
            return TemplateRenderError(self.part, "'break' and 'continue' only make sense in a 'for'")
        except LiquidError as error:
            return self._refusal(error)
        except Exception as error:  # noqa: BLE001 - whatever filters make of hostile values: it is not we who failed
            return TemplateRenderError(self.part, _sayable(f"a filter failed: {error}"))
        return None

    def variables(self) -> list[str]:
        """The names that the part takes from the data, with their paths, in the order of their first use."""
        found = self._template.analyze(include_partials=False).globals.values()
        first = {str(use): use.span.index for uses in found for use in reversed(uses)}
        return sorted(first, key=lambda name: (first[name], name))

    def _refusal(self, error: LiquidError) -> TemplateRenderError:
        if "output stream limit" in str(error):
            return TemplateRenderError(self.part, f"the result is larger than {MAX_OUTPUT_BYTES:,} bytes")
        return _told(self.part, error)


def compile_part(part: Part, source: str) -> CompiledPart:
    """Raises TemplateRenderError with the line, PartTooLarge."""
    if len(source.encode()) > MAX_SOURCE_BYTES:
        reason = f"may have at most {MAX_SOURCE_BYTES:,} bytes"
        raise PartTooLarge(f"{part} {reason}.", details={"fields": {part.value: [reason]}})
    environment = ESCAPED if part is Part.HTML else PLAIN
    try:
        template = environment.from_string(source)
        compiled = CompiledPart(part, template, find_places(source) if part is Part.HTML else {})
        names = compiled.variables()
    except LiquidError as error:
        if isinstance(error.__cause__, MarkupError):
            raise _unreadable(part, source, error.__cause__) from None
        raise _told(part, error) from None
    except MarkupError as error:
        raise _unreadable(part, source, error) from None
    except RecursionError:
        raise TemplateRenderError(part, "an expression is nested too deeply") from None
    if len(names) > MAX_VARIABLES:
        raise TemplateRenderError(part, f"there are more than {MAX_VARIABLES} different variables")
    if sum(len(name.encode()) for name in names) > MAX_NAMES_BYTES:
        raise TemplateRenderError(part, f"the names of the variables have more than {MAX_NAMES_BYTES:,} bytes together")
    return compiled


def _unreadable(part: Part, source: str, error: MarkupError) -> TemplateRenderError:
    return TemplateRenderError(part, error.reason, line=line_of(source, error.position))


def _told(part: Part, error: LiquidError) -> TemplateRenderError:
    reason = str(error.args[0]) if error.args else type(error).__name__
    if isinstance(error.__cause__, RecursionError):
        reason = "an expression is nested too deeply"
    token = error.token
    line = line_of(token.source, token.start_index) if token is not None and token.start_index >= 0 else None
    return TemplateRenderError(part, _sayable(reason), line=line)


def _sayable(text: str) -> str:
    """Without control characters, and short, because it may quote a value."""
    return "".join(char if char.isprintable() else " " for char in text[:MAX_REASON])
