"""Refusals about templates."""

from collections.abc import Sequence

from apps.core.errors import Conflict, NotFound, Problem


class TemplateNotFound(NotFound):
    message = "There is no such template in this workspace."


class VersionNotFound(NotFound):
    message = "This template has no such version."


class SlugTaken(Conflict):
    message = "This workspace has a template with this slug already."


class TemplateArchived(Problem):
    code = "invalid_state"
    status = 409
    message = "This template is archived; restore it, or send another one."


class PartTooLarge(Problem):
    code = "payload_too_large"
    status = 413


class MissingVariables(Problem):
    """The data lacks names that the template needs: all of them, not only the first."""

    code = "missing_variables"
    status = 400

    def __init__(self, names: Sequence[str]) -> None:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        super().__init__(f"The template needs values for {shown}.", details={"missingVariables": list(names)})


class TemplateRenderError(Problem):
    """A part of a template that cannot be read, or cannot be rendered with this data."""

    code = "template_render_error"
    status = 400

    def __init__(self, part: str, reason: str, *, line: int | None = None) -> None:
        part = str(part)  # a member of an enumeration is no name to the writer of JSON
        where = f"line {line}: {reason}" if line else reason
        details: dict[str, object] = {"part": part, "fields": {part: [where]}}
        if line:
            details["line"] = line
        super().__init__(f"{part}: {where}", details=details)
