"""The API as a caller sees it: JSON in, JSON out, a key in the header."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

SEND = "/v1/mail/send"
SEND_TEMPLATE = "/v1/mail/send-template"
MESSAGES = "/v1/mail/messages"
DOMAINS = "/v1/mail/domains"
TEMPLATES = "/v1/mail/templates"
EVENTS = "/v1/mail/events"
SUPPRESSIONS = "/v1/mail/suppressions"
BOUNCES = "/v1/mail/bounces"
LIMITS = "/v1/mail/limits"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `body` is its JSON, or None where it has no content."""

    status: int
    body: Any
    headers: Any = field(repr=False)

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def rows(self) -> list[Any]:
        """The rows of a list."""
        return list(self.body["data"]["data"])

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def fields(self) -> dict[str, list[str]]:
        """What is wrong with which field."""
        return dict(self.body["error"]["details"]["fields"])


class Api:
    """Calls the platform with one key; without a key the header is left out."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        # Like a server, it answers 500 where the code raises.
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Answer:
        return self.call("GET", path, query=query, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` as JSON; bytes go out as they are. Header names are written with underscores."""
        return self.call("POST", path, body, headers=headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PATCH", path, body, headers=headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.call("DELETE", path, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        wire = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.key is not None:
            wire.setdefault("Authorization", f"Bearer {self.key}")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = self._client.generic(
            method, path, data, content_type, headers=wire, query_params=query, REMOTE_ADDR="127.0.0.1"
        )
        if response.streaming:  # a file
            return Answer(response.status_code, b"".join(response.streaming_content), response.headers)
        content = response.content
        return Answer(response.status_code, json.loads(content) if content else None, response.headers)


def mail(**changes: Any) -> dict[str, Any]:
    """The body of a request to send that nothing is wrong with, and the changes; None leaves a field out."""
    body = {"from": "shop@shop.example", "to": "ada@example.com", "subject": "Your order", "text": "Thank you."}
    return {name: value for name, value in (body | changes).items() if value is not None}
