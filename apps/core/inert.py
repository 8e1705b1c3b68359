"""Answers that hold what strangers made, each with a policy that makes it inert wherever it is opened.

Nothing runs, nothing is fetched unasked, and it belongs to no origin.
"""

import re
from collections.abc import Iterable
from typing import IO
from urllib.parse import quote

from django.http import FileResponse, HttpResponse, StreamingHttpResponse

PREVIEW_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
# Once somebody has asked for them; the sender may learn from it that, and from where, the mail was looked at.
IMAGES_POLICY = PREVIEW_POLICY.replace("img-src data:", "img-src data: https: http:")
FILE_POLICY = "sandbox; default-src 'none'"


def preview(html: str, *, with_images: bool = False) -> HttpResponse:
    """The HTML of a mail, for a sandboxed frame on one of our own pages."""
    answer = HttpResponse(html, content_type="text/html; charset=utf-8")
    answer["Content-Security-Policy"] = IMAGES_POLICY if with_images else PREVIEW_POLICY
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-DNS-Prefetch-Control"] = "off"
    answer["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def file(content: bytes, name: str, content_type: str) -> HttpResponse:
    """Something to keep and not to open here, byte for byte; `name` is one of ours."""
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Content-Security-Policy"] = FILE_POLICY
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def stream(parts: Iterable[bytes], name: str, content_type: str) -> StreamingHttpResponse:
    """Something to keep that is made while it is sent; `name` is one of ours."""
    answer = StreamingHttpResponse(parts, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Content-Security-Policy"] = FILE_POLICY
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def download(content: IO[bytes], name: str, content_type: str, size: int) -> FileResponse:
    """A stranger's file, sent in parts and under its own name; whoever sends it closes it."""
    answer = FileResponse(content, content_type=content_type)
    for header, value in download_headers(name, content_type, size).items():
        answer[header] = value
    return answer


def download_headers(name: str, content_type: str, size: int) -> dict[str, str]:
    """What such an answer says; `name` may be anything (RFC 6266; RFC 8187, section 3.2.1)."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return {
        "Content-Type": content_type,
        "Content-Length": str(size),
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": FILE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def source_file(source: bytes, name: object) -> HttpResponse:
    """A whole message as it travels."""
    return file(source, f"{name}.eml", "text/plain; charset=utf-8")
