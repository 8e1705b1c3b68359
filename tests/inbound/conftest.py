"""Mail servers at the internal doors."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings

from apps.inbound import reading
from tests.client import Answer, Api
from tests.conftest import World

TOKEN = "the-servers-own-token"


class Doors:
    """Hands mail over as an MTA does."""

    def __init__(self, token: str | None = TOKEN) -> None:
        self.api = Api(token)

    def post(
        self,
        path: str,
        mail: bytes,
        recipients: str | list[str] = "",
        *,
        sender: str = "",
        content_type: str = "message/rfc822",
        **more: str,
    ) -> Answer:
        to = [recipients] if isinstance(recipients, str) else recipients
        query: list[tuple[str, Any]] = [("recipient", address) for address in to if address]
        query += [(name, value) for name, value in {"sender": sender, **more}.items() if value]
        return self.api.call("POST", f"{path}?{urlencode(query)}", mail, content_type=content_type)


@pytest.fixture
def doors(world: World, settings: LazySettings) -> Doors:
    settings.MAIL_INTERNAL_TOKEN = TOKEN
    return Doors()


@pytest.fixture(autouse=True, scope="session")
def no_children_left() -> Iterator[None]:
    yield
    reading.POOL.close()
