"""Assets as a caller sees them: forms, raw bytes at the origin, downloads."""

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT

from tests.client import Answer, Api

ASSETS = "/api/v1/assets"
UPLOAD = f"{ASSETS}/upload"
SESSIONS = f"{ASSETS}/upload-sessions"
Part = tuple[str, str | None, str | None, bytes]  # field, file name, type, content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def form(*parts: Part) -> bytes:
    """A multipart body as it stands here, also one that no library would make."""
    lines = []
    for field, name, kind, content in parts:
        head = f'Content-Disposition: form-data; name="{field}"' + (f'; filename="{name}"' if name is not None else "")
        head += f"\r\nContent-Type: {kind}" if kind is not None else ""
        lines.append(b"--" + BOUNDARY.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(lines) + b"--" + BOUNDARY.encode() + b"--\r\n"


def file_part(content: bytes = b"hello", name: str = "a.txt", kind: str | None = "text/plain") -> Part:
    return ("file", name, kind, content)


def upload(
    api: Api, content: bytes = b"hello", name: str = "a.txt", kind: str | None = "text/plain", **more: Any
) -> Answer:
    """`more` are texts beside the file; `headers` are headers."""
    headers = more.pop("headers", {})
    texts: list[Part] = [
        (field, None, None, (value if isinstance(value, str) else json.dumps(value)).encode())
        for field, value in more.items()
    ]
    return send_form(api, form(file_part(content, name, kind), *texts), headers=headers)


def send_form(
    api: Api, body: bytes, *, method: str = "POST", path: str = UPLOAD, headers: dict[str, str] | None = None
) -> Answer:
    return api.call(method, path, body, headers=headers, content_type=MULTIPART_CONTENT)


def put(url: str, content: bytes, *, content_type: str = "", **headers: str) -> Answer:
    """Bytes to an address of ours, without a key."""
    wire = {name.replace("_", "-"): value for name, value in headers.items()}
    client = Client(raise_request_exception=False)
    response = client.generic("PUT", urlsplit(url).path, content, content_type, headers=wire)
    return Answer(response.status_code, json.loads(response.content) if response.content else None, response.headers)


def put_part(url: str, number: object, content: bytes, **headers: str) -> Answer:
    return put(f"{url}/parts/{number}", content, **({"X_Content_SHA256": sha256(content)} | headers))


def download(url: str, **headers: str) -> Any:
    """The response itself, whose content is read."""
    wire = {name.replace("_", "-"): value for name, value in headers.items()}
    response = Client(raise_request_exception=False).get(urlsplit(url).path, headers=wire)
    if response.streaming:
        response.body = b"".join(response.streaming_content)  # which closes it
    else:
        response.body = response.content
    return response
