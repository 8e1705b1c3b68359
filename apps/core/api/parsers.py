"""Reads JSON bodies strictly: what two parsers could read differently is refused (RFC 8259; OWASP ASVS 1.5.3)."""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import IO, Any, ClassVar

from django.conf import settings
from rest_framework.parsers import BaseParser

from apps.core.errors import Invalid, PayloadTooLarge, Problem

MAX_DEPTH = 32
# Values of any kind, objects and lists among them; a batch of 500 with fifty recipients each has some 55,000.
MAX_VALUES = 200_000
_CONTAINERS = (dict, list)


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
    each_of: ClassVar[Collection[str]] = ()

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
        return read(raw, each_of=self.each_of)


def read(raw: bytes, *, each_of: Collection[str] = ()) -> dict[str, Any]:
    """The object that the body holds. Raises InvalidJSON, or Invalid where a text cannot be stored.

    `each_of` names lists whose items are judged one by one: in the place of a wrong one stands its Invalid.
    """
    try:
        body = _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise InvalidJSON("The JSON is nested too deeply.") from None
    except ValueError as error:
        raise InvalidJSON(f"The body is not valid JSON: {str(error)[:100]}.") from None
    if not isinstance(body, dict):
        raise Invalid({"body": ["must be a JSON object"]})
    _check_size(body)
    # Only escapes can smuggle NUL or half a surrogate pair into a text that decoded as UTF-8.
    if b"\\u" in raw:
        for name in each_of:
            if isinstance(body.get(name), list):
                body[name] = [_refusal(item) or item for item in body[name]]
        _check_texts(body)
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


def _refusal(item: Any) -> Invalid | None:
    try:
        _check_texts(item)
    except Invalid as problem:
        return problem
    return None


def _check_size(body: Any) -> None:
    """Before anything else looks at each value. Raises Invalid, InvalidJSON."""
    count, level, depth = 0, [body], 0
    while level:
        count += sum(map(len, level))
        if count > MAX_VALUES:
            raise Invalid({"body": [f"has more than {MAX_VALUES:,} values"]})
        if depth > MAX_DEPTH:
            raise InvalidJSON(f"The JSON is nested too deeply: at most {MAX_DEPTH} levels.")
        level = [item for held in level for item in _members(held) if type(item) in _CONTAINERS]
        depth += 1


def _members(held: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return held.values() if type(held) is dict else held


# Where a value stands: what holds it, and its name or number in there.
_Place = tuple["_Place | None", str | int]


def _check_texts(body: Any) -> None:
    """Raises Invalid, which names the place."""
    stack: list[tuple[Any, _Place | None]] = [(body, None)]
    while stack:
        value, place = stack.pop()
        if type(value) is str:
            _check_text(value, place)
        elif type(value) is dict:
            for name in value:
                _check_text(name, place)
            stack += [(item, (place, name)) for name, item in value.items()]
        elif type(value) is list:
            stack += [(item, (place, number)) for number, item in enumerate(value)]


def _check_text(text: str, place: _Place | None) -> None:
    if "\0" in text:
        raise Invalid({_path(place): ["must not contain NUL characters"]})
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid({_path(place): ["must not contain half of a surrogate pair"]}) from None


def _path(place: _Place | None) -> str:
    names: list[str] = []
    while place is not None:
        place, name = place
        names.append(str(name)[:40])
    return ".".join(reversed(names)) or "body"


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
