"""Values between two processes: dataclasses as JSON, with their octets behind it.

Not pickle: whoever has taken over the process that reads hostile mail must not be able to run anything here.
"""

from __future__ import annotations

import json
import socket
import struct
import time
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

_LENGTH = struct.Struct(">I")
# More than anything that is asked or answered here; what claims to be longer is no answer of ours.
MAX_HEADER, MAX_OCTETS = 64 * 1024 * 1024, 256 * 1024 * 1024
_CHUNK = 1024 * 1024


class Broken(ValueError):
    """What came is none of our values."""


def pack(value: Any, octets: list[bytes]) -> Any:
    """The value as what JSON can hold; each bytes object goes to the end of `octets`, and its number stands for it."""
    if isinstance(value, bytes):
        octets.append(value)
        return len(octets) - 1
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {field.name: pack(getattr(value, field.name), octets) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [pack(item, octets) for item in value]
    return value


def unpack(kind: Any, tree: Any, octets: Sequence[bytes]) -> Any:
    """The value of this type again. Raises Broken."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = [one for one in get_args(kind) if one is not type(None)]
        return None if tree is None else unpack(inner, tree, octets)
    if origin is tuple:
        return _unpacked_tuple(get_args(kind), tree, octets)
    if is_dataclass(kind):
        return _unpacked_fields(kind, tree, octets)
    if kind is bytes:
        return octets[_checked(int, tree)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(tree)
    return _checked(kind, tree)


def _unpacked_tuple(inner: tuple[Any, ...], tree: Any, octets: Sequence[bytes]) -> tuple[Any, ...]:
    items = _checked(list, tree)
    kinds = [inner[0]] * len(items) if inner[-1] is Ellipsis else inner
    if len(kinds) != len(items):
        raise Broken("a tuple of another length")
    return tuple(unpack(kind, item, octets) for kind, item in zip(kinds, items, strict=True))


def _unpacked_fields(kind: Any, tree: Any, octets: Sequence[bytes]) -> Any:
    given, hints = _checked(dict, tree), _hints(kind)
    if given.keys() != hints.keys():
        raise Broken(f"not the fields of {kind.__name__}")
    return kind(**{name: unpack(hint, given[name], octets) for name, hint in hints.items()})


def _checked(kind: Any, tree: Any) -> Any:
    if not isinstance(tree, kind):
        raise Broken(f"{type(tree).__name__} where {kind.__name__} belongs")
    return tree


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def send(sock: socket.socket, header: dict[str, Any], octets: Sequence[bytes]) -> None:
    """Writes one message; within the socket's time-out."""
    text = json.dumps(header | {"sizes": [len(piece) for piece in octets]}).encode()
    sock.sendall(_LENGTH.pack(len(text)) + text)
    for piece in octets:
        sock.sendall(piece)


def receive(sock: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], list[bytes]]:
    """Reads one message. Raises Broken, EOFError, TimeoutError at the deadline of the monotonic clock."""
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size, deadline))
    if length > MAX_HEADER:
        raise Broken("a header too long")
    header = json.loads(_exactly(sock, length, deadline))
    sizes = header.get("sizes") if isinstance(header, dict) else None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise Broken("no sizes")
    if sum(sizes) > MAX_OCTETS:
        raise Broken("too many octets")
    return cast("dict[str, Any]", header), [_exactly(sock, size, deadline) for size in sizes]


def _exactly(sock: socket.socket, size: int, deadline: float | None) -> bytes:
    taken = bytearray()
    while len(taken) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
        piece = sock.recv(min(size - len(taken), _CHUNK))
        if not piece:
            raise EOFError
        taken += piece
    return bytes(taken)
