"""Reads JSON bodies strictly: what two parsers could read differently is refused (RFC 8259; OWASP ASVS 1.5.3)."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from apps.core.errors import Invalid, PayloadTooLarge, Problem

MAX_DEPTH = 32


class InvalidJSON(Problem):
    code = "invalid_json"
    status = 400
    message = "The body is not valid JSON."


class UnsupportedMediaType(Problem):
    code = "unsupported_media_type"
    status = 415
    message = "Send the body as application/json in UTF-8, without a content encoding."


class LengthRequired(Problem):
    code = "length_required"
    status = 411
    message = "Send the body with a Content-Length; chunked bodies are not read."


class StrictJSONParser(BaseParser):
    """One JSON object in UTF-8, without duplicate keys, NaN, deep nesting, NUL or lone surrogates."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]
        _check_headers(request.headers)
        raw = stream.read(settings.API_MAX_BODY_BYTES + 1)
        if len(raw) > settings.API_MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The body may have at most {settings.API_MAX_BODY_BYTES} bytes.")
        return read(raw)


def read(raw: bytes) -> dict[str, Any]:
    """The object that the body holds. Raises InvalidJSON, or Invalid where a text cannot be stored."""
    try:
        body = _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise InvalidJSON("The JSON is nested too deeply.") from None
    except ValueError as error:
        raise InvalidJSON(f"The body is not valid JSON: {str(error)[:100]}.") from None
    if not isinstance(body, dict):
        raise Invalid({"body": ["must be a JSON object"]})
    # Only escapes can smuggle NUL or half a surrogate pair into a text that decoded as UTF-8.
    escaped = b"\\u" in raw
    for name, value in body.items():
        _check(value, name, depth=1, check_texts=escaped)
        if escaped:
            _check_text(name, "body")
    return body


def _check_headers(headers: Mapping[str, str]) -> None:
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    parameters = headers.get("Content-Type", "").lower().partition(";")[2]
    name, _, charset = parameters.partition("=")
    if name.strip() == "charset" and charset.strip().strip('"') not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType
    length = headers.get("Content-Length", "")
    if length.isdigit() and int(length) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body may have at most {settings.API_MAX_BODY_BYTES} bytes.")


def _check(value: Any, path: str, *, depth: int, check_texts: bool) -> None:
    if isinstance(value, str):
        if check_texts:
            _check_text(value, path)
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise InvalidJSON(f"The JSON is nested too deeply: at most {MAX_DEPTH} levels.")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if check_texts and isinstance(key, str):
                _check_text(key, path)
            _check(item, f"{path}.{str(key)[:40]}", depth=depth + 1, check_texts=check_texts)


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise Invalid({path: ["must not contain NUL characters"]})
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid({path: ["must not contain half of a surrogate pair"]}) from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("the same key stands twice in one object")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_float=_finite)
