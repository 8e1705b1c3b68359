"""A version's three parts together: checked when it is saved, rendered when it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.protocols.text import TextError, check_text
from apps.templates.engine import addresses, plain_text
from apps.templates.engine.compiled import CompiledPart, Outcome, Part, compile_part
from apps.templates.engine.limits import MAX_SUBJECT
from apps.templates.engine.values import check_data
from apps.templates.errors import MissingVariables, TemplateRenderError


@dataclass(frozen=True, slots=True)
class Rendered:
    """What goes into a mail."""

    subject: str
    html: str | None
    text: str | None


class Content:
    """A compiled version. Rendering changes nothing in it, so that threads may share it."""

    def __init__(self, subject: str, html: str, text: str) -> None:
        """Raises TemplateRenderError, PartTooLarge."""
        self._subject = compile_part(Part.SUBJECT, subject)
        self._html = compile_part(Part.HTML, html) if html else None
        self._text = compile_part(Part.TEXT, text) if text else None
        self._spelled = addresses.spelled_out(html) if html else None
        self.size = len(subject) + len(html) + len(text)

    def render(self, data: Mapping[str, Any]) -> Rendered:
        """For sending: nothing may be missing. Raises MissingVariables, TemplateRenderError, Invalid."""
        rendered, missing = self.preview(data)
        if missing:
            raise MissingVariables(missing)
        _check_subject(rendered.subject)
        for part in (Part.HTML, Part.TEXT):
            _check_body(part, getattr(rendered, part) or "")
        if not (rendered.html or "").strip() and not (rendered.text or "").strip():
            raise TemplateRenderError("html" if self._html else "text", "there is nothing in it with this data")
        return rendered

    def preview(self, data: Mapping[str, Any]) -> tuple[Rendered, list[str]]:
        """As far as it goes, and the names that are missing. Raises TemplateRenderError, Invalid."""
        given = dict(data)
        weight = check_data(given)
        found: dict[str, None] = {}

        def rendered(part: CompiledPart | None) -> str | None:
            if part is None:
                return None
            outcome: Outcome = part.render(given, weight=weight)
            found.update(dict.fromkeys(outcome.missing))
            return outcome.text

        subject, html, text = rendered(self._subject) or "", rendered(self._html), rendered(self._text)
        if html is not None and self._spelled is not None:
            addresses.check(html, self._spelled)
            text = plain_text.from_html(html) or None if text is None else text
        return Rendered(subject, html, text), list(found)


def variables_of(part: Part, source: str) -> list[str]:
    """The names that a part takes from the data. Raises TemplateRenderError, PartTooLarge."""
    names = compile_part(part, source).variables() if source else []
    if part is Part.HTML and source:
        addresses.spelled_out(source)
    return names


def _check_subject(subject: str) -> None:
    if not subject.strip():
        raise TemplateRenderError("subject", "is empty with this data")
    if len(subject) > MAX_SUBJECT:
        raise TemplateRenderError("subject", f"has more than {MAX_SUBJECT} characters with this data")
    _check_characters("subject", subject, multiline=False)


def _check_body(part: Part, text: str) -> None:
    _check_characters(part.value, text, multiline=True)


def _check_characters(part: str, text: str, *, multiline: bool) -> None:
    try:
        check_text(text, multiline=multiline)
    except TextError as error:
        raise TemplateRenderError(part, error.reason) from error
