"""One way to present a key, and no way around it; a strange header is refused and breaks nothing."""

import pytest
from django.test import Client

from tests.client import LIMITS, SEND, Api, mail
from tests.conftest import World

FULL = "sspat_" + "x" * 52
REFUSED = {
    "nothing": "",
    "the scheme alone": "Bearer",
    "the scheme and a space": "Bearer ",
    "two spaces": "Bearer  {key}",
    "a trailing space": "Bearer {key} ",
    "a tab": "Bearer\t{key}",
    "a no-break space": "Bearer\u00a0{key}",
    "the key alone": "{key}",
    "another scheme": "Token {key}",
    "Basic": "Basic {key}",
    "two keys": "Bearer {key}, Bearer {key}",
    "two keys after one scheme": "Bearer {key},{key}",
    "a key that nobody has": f"Bearer {FULL}",
    "a test key's prefix": "Bearer sspat_test_" + "x" * 52,
    "upper case": "Bearer SSPAT_" + "x" * 52,
    "ten kilobytes": "Bearer " + "x" * 10_000,
    "200 characters": "Bearer sspat_" + "x" * 194,
    "NUL": "Bearer sspat_" + "\0" * 52,
    "NUL at the end": "Bearer {key}\0",
    "a byte beyond ASCII": "Bearer sspat_" + "\xff" * 52,
    "an emoji": "Bearer sspat_😀" + "x" * 51,
    "a path": "Bearer sspat_../" + "x" * 49,
    "a wildcard": "Bearer sspat_" + "%" * 52,
    "half a surrogate pair": "Bearer sspat_" + "\udcff" * 52,
}


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED)
def test_refuses(world: World, header: str) -> None:
    answer = Api(None).get(LIMITS, Authorization=header.format(key=world.owner.key))

    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert world.owner.key not in str(answer.body)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_takes_the_scheme_in_any_case(world: World, scheme: str) -> None:
    assert Api(None).get(LIMITS, Authorization=f"{scheme} {world.owner.key}").status == 200


@pytest.mark.parametrize("name", ["api_key", "apiKey", "token", "access_token", "key"])
def test_takes_no_key_from_the_address(world: World, name: str) -> None:
    assert Api(None).get(LIMITS, {name: world.owner.key}).status == 401


def test_takes_no_key_from_the_body(world: World) -> None:
    assert Api(None).post(SEND, mail(apiKey=world.owner.key)).status == 401


def test_takes_no_key_from_a_cookie(world: World) -> None:
    client = Client()
    client.cookies["Authorization"] = client.cookies["api_key"] = world.owner.key

    assert client.get(LIMITS).status_code == 401


@pytest.mark.parametrize("name", ["X-Api-Key", "X-Authorization", "Proxy-Authorization"])
def test_takes_no_key_from_another_header(world: World, name: str) -> None:
    assert Api(None).get(LIMITS, **{name: f"Bearer {world.owner.key}"}).status == 401


def test_an_operators_session_is_no_key(world: World, django_user_model: type) -> None:
    operator = django_user_model.objects.create_superuser("op@example.com", "a long password")  # type: ignore[attr-defined]
    client = Client()
    client.force_login(operator)

    assert client.get(LIMITS).status_code == 401


def test_every_refusal_has_the_same_text(world: World) -> None:
    bodies = set()
    for header in ("", "Bearer x", f"Bearer {FULL}", f"Bearer {world.owner.key[:-1]}!"):
        body = Api(None).get(LIMITS, Authorization=header, X_Request_Id="same").body
        bodies.add(str(body))

    assert len(bodies) == 1
