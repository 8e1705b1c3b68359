"""Every route of the API, read from the URL resolver, so that a new one cannot be forgotten."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver

MOUNTS = ("v1/", "api/v1/")


class Route(NamedTuple):
    """One method of one address."""

    method: str
    path: str  # as the URL configuration writes it: v1/mail/messages/<str:id>
    action: str
    view: Any

    @property
    def below_mount(self) -> str:
        return next(self.path.removeprefix(mount) for mount in MOUNTS if self.path.startswith(mount))

    @property
    def name(self) -> str:
        return f"{self.method} {self.below_mount}"

    @property
    def takes_id(self) -> bool:
        return "<" in self.path

    @property
    def scope(self) -> str:
        return str(self.view.scopes[self.action])

    def url(self, **ids: str) -> str:
        path = self.path
        for name, value in ids.items():
            path = path.replace(f"<str:{name}>", value)
        return f"/{path}"


def mail_routes() -> list[Route]:
    """Each method of each address below both mounts."""
    return [route for route in _routes(get_resolver().url_patterns, "") if route.path.startswith(MOUNTS)]


def asset_routes() -> list[Route]:
    """Each method of each address of assets that asks for a key; they stand below one mount."""
    return [route for route in _routes(get_resolver().url_patterns, "", "assets") if route.path.startswith("api/v1/")]


def _routes(patterns: list[Any], prefix: str, part: str = "mail/") -> Iterator[Route]:
    for pattern in patterns:
        path = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path, part)
        elif isinstance(pattern, URLPattern) and part in path:
            for method, action in getattr(pattern.callback, "actions", {}).items():
                yield Route(method.upper(), path, action, pattern.callback.cls)
