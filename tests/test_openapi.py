"""The API document is complete, free of warnings, and exactly the one that is kept in docs/api/openapi.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from apps.keys.api.permissions import ANY
from apps.keys.services import SCOPES
from tests.routes import Route, asset_routes, mail_routes

GOLDEN = Path(__file__).parent.parent / "docs" / "api" / "openapi.yaml"
# Another name for POST assets/upload-sessions, for one client.
NOT_SHOWN = {"POST assets/upload-url"}
ROUTES = [*(route for route in mail_routes() if route.path.startswith("v1/")), *asset_routes()]
ROUTES = [route for route in ROUTES if route.name not in NOT_SHOWN]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


def operation(document: dict[str, Any], route: Route) -> dict[str, Any]:
    path = "/" + route.path.replace("<str:", "{").replace(">", "}")
    found: dict[str, Any] = document["paths"][path][route.method.lower()]
    return found


def test_is_the_document_that_is_kept(tmp_path: Path) -> None:
    """`make schema` writes it anew; a difference is a decision about the API."""
    made = tmp_path / "openapi.yaml"

    call_command("spectacular", validate=True, fail_on_warn=True, file=str(made))

    assert made.read_text() == GOLDEN.read_text()
    assert not GENERATOR_STATS


def test_shows_each_route_once_and_nothing_else(document: dict[str, Any]) -> None:
    shown = {(method.upper(), path) for path, item in document["paths"].items() for method in item}

    assert shown == {(r.method, "/" + r.path.replace("<str:", "{").replace(">", "}")) for r in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
class TestEveryRoute:
    def test_has_a_scope_that_exists(self, route: Route) -> None:
        assert route.scope in {*SCOPES, ANY}

    def test_has_the_operation_id_of_the_view(self, document: dict[str, Any], route: Route) -> None:
        assert operation(document, route)["operationId"] == route.view.operation_ids[route.action]

    def test_names_its_scope(self, document: dict[str, Any], route: Route) -> None:
        needed = "Any valid key may ask." if route.scope == ANY else f"Needs the scope `{route.scope}`."
        assert needed in operation(document, route)["description"]

    def test_shows_the_error_envelope(self, document: dict[str, Any], route: Route) -> None:
        answers = operation(document, route)["responses"]

        for status in ("400", "401", "403", "404", "429", "503"):
            schema = answers[status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Error"}

    def test_asks_for_a_key(self, document: dict[str, Any], route: Route) -> None:
        assert operation(document, route)["security"] == [{"apiKey": []}]


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation(document, route)["operationId"] for route in ROUTES]

    assert len(set(ids)) == len(ids)


def test_the_error_component_has_what_the_clients_read() -> None:
    error = yaml.safe_load(GOLDEN.read_text())["components"]["schemas"]["Error"]

    assert error["required"] == ["success", "status", "status_code", "message", "error"]
    assert error["properties"]["error"]["required"] == ["code", "message", "details"]
