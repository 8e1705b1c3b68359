"""Suppressions and bounces with the packages that customers have installed."""

from collections.abc import Callable

from tests.clients.conftest import Client
from tests.clients.test_published_clients import FROM, UNKNOWN, every_client, refusal


@every_client
def test_an_address_is_suppressed_listed_and_lifted(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    letter = {"from_": FROM, "to": "ADA@example.com", "subject": "S", "text": "T"}

    made = client("suppressions.create", email="Ada@Example.com", reason="blocked", metadata={"ticket_ID": 7})
    assert (made["email"], made["reason"], made["source"]) == ("Ada@example.com", "blocked", "user")
    assert made["metadata"] == {"ticket_ID": 7}
    assert client("suppressions.create", email="ada@example.com") == made
    plain = client("suppressions.create", email="eve@example.com")
    assert plain["reason"] == "manual"
    assert client("suppressions.list")["data"] == [plain, made]
    assert client("suppressions.list", email="ADA@example.com", reason="blocked", limit=1)["data"] == [made]
    page = client("suppressions.list", limit=1)
    assert client("suppressions.list", limit=1, cursor=page["nextCursor"])["data"] == [made]
    assert client("send", **letter)["status"] == "suppressed"

    assert not client("suppressions.delete", made["id"])
    assert client("suppressions.list")["data"] == [plain]
    assert client("send", **letter)["status"] == "queued"
    assert refusal(client, "suppressions.delete", UNKNOWN)[:2] == (404, "not_found")
    status, code, details = refusal(client, "suppressions.create", email="ada@example.com", reason="hard_bounce")
    assert (status, code, list(details["fields"])) == (400, "validation_error", ["reason"])


@every_client
def test_bounces_are_listed_with_what_followed(
    connect: Callable[..., Client], deliver: Callable[[], None], version: str, mount: str
) -> None:
    client = connect(version, mount)
    letter = {"from_": FROM, "subject": "S", "text": "T"}
    ids = [client("send", to=f"bounce+{reply}@example.com", **letter)["id"] for reply in ("550-5.1.1", "552-5.2.2")]
    deliver()

    soft, hard = client("bounces.list")["data"]
    assert [(row["messageId"], row["type"]) for row in (hard, soft)] == [(ids[0], "hard"), (ids[1], "soft")]
    assert client("bounces.list", type="hard")["data"] == [hard]
    assert client("bounces.list", message_id=ids[1])["data"] == [soft]
    assert client("bounces.list", email="BOUNCE+550-5.1.1@example.com", limit=5)["data"] == [hard]
    assert client("bounces.list", email="ada@example.com")["data"] == []
    (suppression,) = client("suppressions.list", reason="hard_bounce")["data"]
    assert (suppression["id"], suppression["bounceId"]) == (hard["suppressionId"], hard["id"])
    assert (suppression["messageId"], soft["suppressionId"]) == (ids[0], None)
