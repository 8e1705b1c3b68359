"""The published clients schedule, look at and cancel mail, on both of the server's addresses."""

from collections.abc import Callable

from apps.workspaces.models import Workspace
from tests.clients.conftest import Client
from tests.clients.test_published_clients import FROM, UNKNOWN, every_client, refusal
from tests.scheduled.making import at
from tests.templates.making import make_template

LETTER = {"from": FROM, "to": "ada@example.com", "subject": "Your order", "text": "Thank you."}


@every_client
def test_mail_is_scheduled_read_and_canceled(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    send_at = at()
    message = LETTER | {"idempotencyKey": "receipt_12345_v1"}

    made = client("scheduled.create", sendAt=send_at, message=message)

    assert (made["status"], made["sendAt"], made["kind"], made["messageId"]) == (
        *("scheduled", send_at, "message"),
        None,
    )
    assert (made["payload"], made["idempotencyStatus"]) == (message, "created")
    again = client("scheduled.create", sendAt=send_at, message=message)
    assert (again["id"], again["idempotencyStatus"]) == (made["id"], "replayed")
    assert [row["id"] for row in client("scheduled.list")["data"]] == [made["id"]]
    assert client("scheduled.get", made["id"])["payload"] == message

    canceled = client("scheduled.cancel", made["id"])
    assert (canceled["status"], canceled["id"]) == ("canceled", made["id"])
    assert canceled["canceledAt"]
    assert refusal(client, "scheduled.cancel", made["id"])[:2] == (409, "invalid_state")
    assert refusal(client, "scheduled.get", UNKNOWN)[:2] == (404, "not_found")
    status, code, details = refusal(client, "scheduled.create", sendAt="2001-01-01T00:00:00Z", message=LETTER)
    assert (status, code, list(details["fields"])) == (400, "validation_error", ["sendAt"])
    assert len(client("scheduled.list")["data"]) == 1


@every_client
def test_templates_are_scheduled_in_every_form(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    make_template(Workspace.objects.get(), subject="Hello {{ name }}", html="<p>{{ name }}</p>", text="Hi {{ name }}")
    wanted = {"template": "welcome", "from": FROM, "to": "ada@example.com", "data": {"name": "Ada"}}

    for payload in ({"template": wanted}, {"templateMessage": wanted}, {"sendTemplate": wanted}, wanted):
        made = client("scheduled.create", sendAt=at(), **payload)
        assert (made["kind"], made["subject"], made["payload"]) == ("template", "Hello Ada", wanted)

    incomplete = wanted | {"data": {}}
    status, code, details = refusal(client, "scheduled.create", sendAt=at(), template=incomplete)
    assert (status, code, details["missingVariables"]) == (400, "missing_variables", ["name"])
    assert len(client("scheduled.list")["data"]) == 4
