"""A version's three parts together: checked when it is saved, rendered when it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.protocols.text import TextError, check_text
from apps.templates.engine import addresses, plain_text
from apps.templates.engine.compiled import Part, compile_part
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
        self._spelled = addresses.spelled_out(html)
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
        """As far as it goes, and the names that are missing. Raises TemplateRenderError, Invalid.

        Where names are missing nothing is an error yet, since any error may come from that alone.
        """
        given = dict(data)
        weight = check_data(given)
        parts = (self._subject, self._html, self._text)
        outcomes = [None if part is None else part.render(given, weight=weight) for part in parts]
        reached = [outcome for outcome in outcomes if outcome is not None]
        missing = list(dict.fromkeys(name for outcome in reached for name in outcome.missing))
        failure = next((outcome.failure for outcome in reached if outcome.failure), None)
        if failure and not missing:
            raise failure
        subject, html, text = (None if outcome is None else outcome.text for outcome in outcomes)
        if html is not None:
            html = self._checked(html, is_whole=not missing)
            text = plain_text.from_html(html) or None if text is None else text
        return Rendered(subject or "", html, text), missing

    def _checked(self, html: str, *, is_whole: bool) -> str:
        """The HTML if its addresses may be sent; nothing instead where that may be for want of a value."""
        try:
            addresses.check(html, self._spelled)
        except TemplateRenderError:
            if is_whole:
                raise
            return ""
        return html


def variables_of(part: Part, source: str) -> list[str]:
    """The names that a part takes from the data. Raises TemplateRenderError, PartTooLarge."""
    return compile_part(part, source).variables() if source else []


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
