"""Templates by the packages that customers have installed, on both of the server's addresses."""

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from apps.delivery.models import CapturedMessage
from apps.templates.models import Template, TemplateVersion
from tests.clients.conftest import MOUNTS, VERSIONS, Client
from tests.clients.test_assets import upload
from tests.clients.test_published_clients import FROM, NEWER_FIELDS, UNKNOWN, every_client, refusal
from tests.journeys.rig import Platform

ADA = "ada@example.com"
WELCOME = {
    "name": "Welcome",
    "slug": "welcome-email",
    "subject": "Welcome, {{ name }}",
    "description": "Goes out once",
    "html": "<style>p{color:red}</style><p>Hello {{ name }}</p>",
    "text": "Hello {{ name }}",
}
Deliver = Callable[[], None]
# Both addresses have the same views, so each client need not do everything on each.
each_client = pytest.mark.parametrize(("version", "mount"), list(zip(VERSIONS, MOUNTS, strict=True)))


def numbers(versions: Any) -> list[int]:
    return [row["versionNumber"] for row in versions]


def captured(message_id: str) -> EmailMessage:
    """The mail in the inbox of the capture transport, read as its recipient's program would."""
    mail = CapturedMessage.objects.across_workspaces().get(message_id=message_id)
    parsed = email.message_from_bytes(bytes(mail.source), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def texts(mail: EmailMessage) -> tuple[str, str, str]:
    """Subject, HTML and text."""
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    return str(mail["Subject"]), html.get_content(), text.get_content().strip()


@every_client
def test_a_template_is_made_found_changed_and_taken_away(
    connect: Callable[..., Client], version: str, mount: str
) -> None:
    client = connect(version, mount)

    made = client("templates.create", **WELCOME)

    assert {name: made[name] for name in WELCOME} == WELCOME
    assert (made["status"], made["variables"], numbers(made["versions"])) == ("active", ["name"], [1])
    assert client("templates.get", made["id"]) == client("templates.get", "welcome-email") == made
    changed = client("templates.update", made["id"], subject="Hi, {{ name }}", name="Greeting")
    assert (changed["name"], changed["subject"], changed["html"]) == ("Greeting", "Hi, {{ name }}", WELCOME["html"])
    assert (changed["activeVersionNumber"], numbers(changed["versions"])) == (2, [2, 1])
    renamed = client("templates.update", "welcome-email", description="No other content")
    assert (renamed["description"], numbers(renamed["versions"])) == ("No other content", [2, 1])
    assert client("templates.get", "welcome-email") == renamed

    assert client("templates.delete", made["id"]) is None
    assert refusal(client, "templates.get", "welcome-email")[:2] == (404, "not_found")
    assert client("templates.list")["data"] == []
    assert [row["id"] for row in client("templates.list", status="deleted")["data"]] == [made["id"]]
    again = client("templates.create", **WELCOME)  # the slug is free again
    assert again["id"] != made["id"]


@each_client
def test_templates_are_listed_searched_and_walked_page_by_page(
    connect: Callable[..., Client], version: str, mount: str
) -> None:
    client = connect(version, mount)
    names = {"welcome": "Welcome", "receipt": "Your receipt", "receipt-eu": "Beleg"}
    ids = [
        client("templates.create", name=name, slug=slug, subject="S", text="T")["id"] for slug, name in names.items()
    ]

    first = client("templates.list", limit=2)
    rest = client("templates.list", limit=2, cursor=first["nextCursor"])

    assert [row["id"] for row in first["data"] + rest["data"]] == ids[::-1]
    assert rest["nextCursor"] is None
    found = {text: client("templates.list", search=text)["data"] for text in ("receipt", "BELEG", "nothing")}
    assert {text: [row["slug"] for row in rows] for text, rows in found.items()} == {
        "receipt": ["receipt-eu", "receipt"],
        "BELEG": ["receipt-eu"],
        "nothing": [],
    }
    assert client("templates.list", status="archived")["data"] == []
    assert [row["slug"] for row in client("templates.list", status="active", search="welc")["data"]] == ["welcome"]


@each_client
def test_versions_are_read_and_one_goes_out_again(
    connect: Callable[..., Client], deliver: Deliver, version: str, mount: str
) -> None:
    client = connect(version, mount)
    made = client("templates.create", **WELCOME)
    client("templates.update", made["id"], text="Good day {{ name }}")
    letter: dict[str, Any] = {"template": "welcome-email", "from_": FROM, "to": ADA, "data": {"name": "Ada"}}

    newer, older = client("templates.versions", "welcome-email")["data"]

    assert numbers([newer, older]) == [2, 1]
    assert client("templates.versions", made["id"])["data"] == [newer, older]
    whole = client("templates.get_version", "welcome-email", older["id"])
    assert (whole["text"], whole["versionNumber"], whole["templateId"]) == ("Hello {{ name }}", 1, made["id"])
    assert client("templates.get_version", made["id"], newer["id"])["text"] == "Good day {{ name }}"
    sent = [client("send_template", **letter)["id"]]
    activated = client("templates.activate_version", "welcome-email", older["id"])
    assert (activated["activeVersionNumber"], activated["text"]) == (1, "Hello {{ name }}")
    assert numbers(activated["versions"]) == [2, 1]
    sent.append(client("send_template", **letter)["id"])
    client("templates.activate_version", made["id"], newer["id"])
    sent.append(client("send_template", **letter)["id"])
    deliver()

    assert [texts(captured(message_id))[2] for message_id in sent] == ["Good day Ada", "Hello Ada", "Good day Ada"]
    assert refusal(client, "templates.get_version", made["id"], UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "templates.activate_version", made["id"], UNKNOWN)[:2] == (404, "not_found")


@each_client
def test_a_preview_shows_any_version_and_stores_nothing(
    connect: Callable[..., Client], version: str, mount: str
) -> None:
    client = connect(version, mount)
    made = client("templates.create", **WELCOME)
    client("templates.update", made["id"], subject="Hi, {{ name }} from {{ city }}")
    events = client("events.list")["data"]

    shown = client("templates.preview", "welcome-email", data={"name": "<Ada>", "city": "Ankara"})
    older = client("templates.preview", made["id"], data={}, version_id=made["activeVersionId"])

    assert (shown["subject"], shown["text"], shown["missingVariables"]) == (
        *("Hi, <Ada> from Ankara", "Hello <Ada>"),
        [],
    )
    assert '<p style="color: red;">Hello &lt;Ada&gt;</p>' in shown["html"]
    assert (older["subject"], older["missingVariables"]) == ("Welcome, ", ["name"])
    assert client("templates.preview", "welcome-email", data={})["missingVariables"] == ["name", "city"]
    assert client("messages.list")["data"] == []
    assert client("events.list")["data"] == events


@each_client
def test_a_test_of_a_template_is_mailed(
    connect: Callable[..., Client], deliver: Deliver, version: str, mount: str
) -> None:
    client = connect(version, mount)
    made = client("templates.create", **WELCOME)
    client("templates.update", made["id"], text="Good day {{ name }}")
    letter: dict[str, Any] = {"to": ADA, "from_": FROM, "data": {"name": "Ada"}}

    latest = client("templates.test_send", "welcome-email", **letter)
    pinned = client("templates.test_send", made["id"], version_id=made["activeVersionId"], **letter)
    deliver()

    assert (latest["status"], pinned["status"]) == ("queued", "queued")
    mails = [captured(answer["messageId"]) for answer in (latest, pinned)]
    assert [texts(mail)[2] for mail in mails] == ["Good day Ada", "Hello Ada"]
    assert {(str(mail["Subject"]), str(mail["To"])) for mail in mails} == {("Welcome, Ada", ADA)}
    events = client("events.list", type="mail.template.test_sent", resource_id=made["id"])["data"]
    assert [event["data"]["versionId"] for event in events[::-1]] == [
        client("messages.get", answer["messageId"])["templateVersionId"] for answer in (latest, pinned)
    ]
    status, code, details = refusal(client, "templates.test_send", made["id"], **(letter | {"data": {}}))
    assert (status, code, details["missingVariables"]) == (400, "missing_variables", ["name"])
    assert len(client("messages.list")["data"]) == 2


@every_client
def test_mail_from_a_template_arrives_with_its_files(
    connect: Callable[..., Client],
    deliver: Deliver,
    server: Platform,
    key: str,
    version: str,
    mount: str,
) -> None:
    client = connect(version, mount)
    made = client("templates.create", **WELCOME)
    client("templates.update", made["id"], text="Good day {{ name }}")
    content = bytes(range(256)) * 40
    asset = upload(server, key, content)
    letter: dict[str, Any] = {
        "template": "welcome-email",
        "version_id": made["activeVersionId"],
        "from_": FROM,
        "to": [{"email": ADA, "name": "Ada Łukasz"}],
        "cc": ["cc@example.com"],
        "reply_to": {"email": "help@example.com", "name": "Help"},
        "data": {"name": "Zoë"},
        "idempotency_key": "welcome:user_123",
        "attachments": [{"assetId": asset["id"], "filename": "Größe №1.pdf"}],
        **(NEWER_FIELDS if version == "1.3.1" else {}),
    }

    sent = client("send_template", **letter)
    assert (sent["status"], sent["idempotencyStatus"]) == ("queued", "created")
    assert client("send_template", **letter) == sent | {"idempotencyStatus": "replayed"}
    deliver()

    whole = client("messages.get", sent["id"])
    assert (whole["status"], whole["templateId"]) == ("sent", made["id"])
    assert whole["templateVersionId"] == made["activeVersionId"]
    mails = CapturedMessage.objects.across_workspaces().filter(message_id=sent["id"])
    assert sorted(mails.values_list("inbox", flat=True)) == [ADA, "cc@example.com"]
    for row in mails:
        mail = email.message_from_bytes(bytes(row.source), policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        subject, html, text = texts(mail)
        assert (subject, text) == ("Welcome, Zoë", "Hello Zoë")
        assert '<p style="color: red;">Hello Zoë</p>' in html
        (file,) = mail.iter_attachments()
        assert (file.get_filename(), file.get_content_type()) == ("Größe №1.pdf", "application/pdf")
        assert file.get_content() == content
        assert mail["To"].addresses[0].display_name == "Ada Łukasz"
        assert mail["X-Order"] == ("12345" if version == "1.3.1" else None)


@each_client
def test_refusals_about_templates_store_nothing(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    client("templates.create", **WELCOME)
    letter: dict[str, Any] = {"template": "welcome-email", "from_": FROM, "to": ADA, "data": {"name": "Ada"}}

    assert refusal(client, "templates.create", **WELCOME)[:2] == (409, "conflict")
    broken = {"name": "B", "slug": "b", "subject": "S", "text": "{% if a %}"}
    status, code, details = refusal(client, "templates.create", **broken)
    assert (status, code, list(details["fields"])) == (400, "template_render_error", ["text"])
    assert refusal(client, "templates.update", "welcome-email", html="{{ a")[:2] == (400, "template_render_error")
    assert refusal(client, "templates.update", UNKNOWN, text="T")[:2] == (404, "not_found")
    assert refusal(client, "templates.delete", "unknown")[:2] == (404, "not_found")
    assert refusal(client, "templates.versions", "unknown")[:2] == (404, "not_found")
    assert refusal(client, "templates.preview", "unknown", data={})[:2] == (404, "not_found")
    assert refusal(client, "send_template", **(letter | {"template": "unknown"}))[:2] == (404, "not_found")
    assert refusal(client, "send_template", version_id=UNKNOWN, **letter)[:2] == (404, "not_found")
    status, code, details = refusal(client, "send_template", **(letter | {"data": {}}))
    assert (status, code, details["missingVariables"]) == (400, "missing_variables", ["name"])
    missing = [{"assetId": UNKNOWN, "filename": "a.pdf"}]
    assert refusal(client, "send_template", attachments=missing, **letter)[:2] == (400, "attachment_not_found")

    assert client("messages.list")["data"] == []
    assert Template.objects.across_workspaces().count() == 1
    assert TemplateVersion.objects.across_workspaces().count() == 1


@pytest.mark.parametrize("mount", MOUNTS)
def test_the_newer_client_diagnoses(connect: Callable[..., Client], mount: str) -> None:
    client = connect("1.3.1", mount)
    html = "<p>{{ name }}</p><img src='https://shop.example/a.png'><a href='/here'>x</a>"
    made = client("templates.create", name="N", slug="news", subject="News", html=html)
    client("templates.update", made["id"], html="<p>News</p>", text="News")

    found = client(
        "templates.diagnostics", "news", data={"a": 1}, version_id=made["activeVersionId"], stream="broadcast"
    )
    plain = client("templates.diagnostics", made["id"])

    assert [(row["severity"], row["code"]) for row in found["diagnostics"]] == [
        ("critical", "link_relative"),
        ("critical", "no_unsubscribe_link"),
        ("warning", "missing_variables"),
        ("warning", "missing_alt"),
        ("info", "unused_variables"),
        ("info", "no_text_part"),
    ]
    assert (found["missingVariables"], found["unusedVariables"]) == (["name"], ["a"])
    assert (plain["diagnostics"], plain["sizeBytes"]) == ([], len("<p>News</p>"))
    assert client("messages.list")["data"] == []
