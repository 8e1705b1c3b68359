"""Teaches drf-spectacular our envelope: what the renderer and the error handler add stands in the document too."""

from typing import Any

from drf_spectacular.openapi import AutoSchema

ERRORS = {
    "400": "The request is not valid; `error.details.fields` names what is wrong.",
    "401": "No key, or one that is unknown, expired or revoked.",
    "403": "The key or the workspace may not do this.",
    "404": "There is no such resource in this workspace.",
    "429": "A limit is used up; see Retry-After.",
    "503": "Temporarily unavailable; see Retry-After.",
}
ENVELOPE = {
    "success": {"type": "boolean", "const": True},
    "status": {"type": "string", "examples": ["OK"]},
    "status_code": {"type": "integer", "examples": [200]},
    "message": {"type": "string"},
}
ERROR_COMPONENT = {
    "type": "object",
    "required": ["success", "status", "status_code", "message", "error"],
    "properties": {
        **ENVELOPE,
        "success": {"type": "boolean", "const": False},
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "examples": ["validation_error"]},
                "message": {"type": "string"},
                "details": {"type": "object", "additionalProperties": True},
            },
        },
        "requestId": {"type": ["string", "null"]},
    },
}


class EnvelopeSchema(AutoSchema):
    """Operation ids are the SDK's method names, as the views declare them in `operation_ids`."""

    view: Any

    def get_operation_id(self) -> str:
        return str(self.view.operation_ids[self._action()])

    def get_tags(self) -> list[str]:
        return [self.get_operation_id().rpartition(".")[0].split(".")[0] or "mail"]

    def get_description(self) -> str:  # type: ignore[override]  # the base is typed as returning None too
        scope = self.view.scopes[self._action()]
        action = getattr(self.view, self._action(), None)
        text = (action.__doc__ if action else None) or self.view.__doc__ or ""
        needed = "Any valid key may ask." if scope == "any" else f"Needs the scope `{scope}`."
        return "\n\n".join([" ".join(text.split()), needed])

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for status, response in operation["responses"].items():
            for media in response.get("content", {}).values():
                media["schema"] = {
                    "type": "object",
                    "required": [*ENVELOPE, "data"],
                    "properties": {**ENVELOPE, "data": media["schema"]},
                }
            response.setdefault("description", status)
        for status, description in ERRORS.items():
            operation["responses"][status] = {
                "description": description,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
        return operation

    def _action(self) -> str:
        return str(getattr(self.view, "action", None) or self.method.lower())


def only_v1(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Mail's routes are mounted twice, and the document shows them once; the assets' have one base."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(("/v1/mail/", "/api/v1/assets"))]


def add_error_component(result: dict[str, Any], generator: Any, request: Any, public: Any) -> dict[str, Any]:
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR_COMPONENT
    return result
