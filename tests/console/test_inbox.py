"""The inbox lists captured mail live, finds it, and throws it away, at a cost that does not grow with the table."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.ids import new_id
from apps.delivery.inbox import console as pages
from apps.delivery.inbox import listing
from apps.delivery.models import CapturedMessage
from apps.delivery.services import captured
from apps.delivery.services.drain import drain
from apps.workspaces.models import User, Workspace
from tests.client import SEND, mail
from tests.conftest import World
from tests.console.conftest import HOSTILE, capture
from tests.factories import make_workspace

LIST = "/admin/delivery/capturedmessage/"
FEED, CLEAR = f"{LIST}feed/", f"{LIST}clear/"


@pytest.fixture
def shop(db: None) -> Workspace:
    return make_workspace("shop")


def listed(console: Client, **query: str) -> list[str]:
    """The subjects of the lines, in their order."""
    return [line.subject for line in console.get(LIST, query).context["lines"]]


def fed(console: Client, **query: object) -> list[str]:
    """The subjects in the feed."""
    answer = console.get(FEED, query)
    assert answer["Content-Type"] == "application/json"
    return [line["subject"] for line in answer.json()["lines"]]


def stored() -> list[UUID]:
    return list(CapturedMessage.objects.across_workspaces().order_by("pk").values_list("pk", flat=True))


def operator(*permissions: str) -> Client:
    """Somebody who may do no more than this."""
    user = User.objects.create_user(f"{'-'.join(permissions) or 'nobody'}@example.com", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


# --- The list ---


def test_mail_through_the_api_is_listed_with_what_its_header_says(console: Client, world: World) -> None:
    sent = world.owner.api.post(SEND, mail(**{"from": "The Shop <shop@shop.example>"}, subject="Grüße"))
    assert sent.status == 202
    drain(until_idle=True)

    (line,) = console.get(LIST).context["lines"]
    row = CapturedMessage.objects.of(world.owner.workspace.pk).get()
    assert (line.author, line.subject, line.inbox) == ("The Shop", "Grüße", "ada@example.com")
    assert row.author == "The Shop <shop@shop.example>"
    assert (row.size, row.has_attachments) == (len(bytes(row.source)), False)


def test_the_newest_mail_stands_first_and_older_mail_on_the_next_page(
    console: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    for number in range(5):
        capture(shop, subject=f"mail {number}")

    seen, query = [], ""
    for _ in range(3):
        page = console.get(f"{LIST}?{query}")
        seen.append([line.subject for line in page.context["lines"]])
        query = page.context["older"]
        assert ('class="inbox-older">' in page.content.decode()) == bool(query)
    assert seen == [["mail 4", "mail 3"], ["mail 2", "mail 1"], ["mail 0"]]
    assert query == ""


def test_the_list_can_be_narrowed_to_an_inbox_and_to_a_workspace(console: Client, shop: Workspace) -> None:
    other = make_workspace("other")
    capture(shop, subject="for ada")
    capture(shop, subject="for grace", inbox="grace@example.com")
    capture(other, subject="for ada of another")

    assert listed(console, inbox="ada@example.com") == ["for ada of another", "for ada"]
    assert listed(console, workspace=str(shop.pk)) == ["for grace", "for ada"]
    assert listed(console, inbox="ada@example.com", workspace=str(shop.pk)) == ["for ada"]


def test_inboxes_are_named_with_the_newest_first_and_counted_to_a_bound(
    console: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for inbox in ("old@example.com", "ada@example.com", "grace@example.com", "ada@example.com"):
        capture(shop, inbox=inbox)
    page = console.get(LIST)
    assert [(inbox.name, inbox.count) for inbox, _ in page.context["inboxes"]] == [
        ("ada@example.com", 2),
        ("grace@example.com", 1),
        ("old@example.com", 1),
    ]
    assert "those of the newest" not in page.content.decode()

    monkeypatch.setattr(listing, "NEWEST_COUNTED", 2)
    page = console.get(LIST)
    assert [(inbox.name, inbox.count) for inbox, _ in page.context["inboxes"]] == [
        ("ada@example.com", 1),
        ("grace@example.com", 1),
    ]
    assert "those of the newest 2 mails" in page.content.decode()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "just now"), (61, "1 min"), (7_300, "2 h"), (200_000, "2 d")], ids=str
)
def test_a_line_tells_how_long_ago_it_came(
    seconds: int, words: str, console: Client, shop: Workspace, frozen: time_machine.Traveller
) -> None:
    capture(shop, received_at=clock.now() - timedelta(seconds=seconds))
    assert [line.ago for line in console.get(LIST).context["lines"]] == [words]


def test_neither_list_nor_feed_reads_sources_or_asks_more_for_more_mail(console: Client, shop: Workspace) -> None:
    def queries(path: str) -> list[str]:
        with CaptureQueriesContext(connection) as found:
            assert console.get(path).status_code == 200
        return [query["sql"] for query in found if "delivery_capturedmessage" in query["sql"]]

    capture(shop)
    few = {path: len(queries(path)) for path in (LIST, FEED, f"{LIST}?q=ada", f"{FEED}?q=ada")}
    for _ in range(20):
        capture(shop)
    assert few == {LIST: 2, FEED: 1, f"{LIST}?q=ada": 2, f"{FEED}?q=ada": 1}
    for path, count in few.items():
        assert len(queries(path)) == count
        assert [sql for sql in queries(path) if '"source"' in sql or "COUNT(" in sql] == []


# --- Search ---


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("INVOICE", ["Invoice 7", "Your invoice"]),
        ("invoice 7", ["Invoice 7"]),
        ('"your invoice"', ["Your invoice"]),
        ("from:billing", ["Invoice 7"]),
        ("to:grace", ["Your invoice"]),
        ("subject:grace", []),
        ("FROM:billing to:ada", ["Invoice 7"]),
        ("100%", ["100% wool"]),
        ("100_", []),
        ("bounces@shop", ["100% wool", "Invoice 7", "Your invoice"]),
    ],
)
def test_search_reads_subject_sender_and_inbox(search: str, found: list[str], console: Client, shop: Workspace) -> None:
    capture(shop, subject="Your invoice", inbox="grace@example.com", author="shop@shop.example")
    capture(shop, subject="Invoice 7", author="Billing <billing@shop.example>")
    capture(shop, subject="100% wool")
    assert listed(console, q=search) == found
    assert fed(console, q=search) == found


def test_search_reads_only_the_newest_and_says_so(
    console: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SEARCHED", 2)
    for number in range(3):
        capture(shop, subject=f"mail {number}")
    assert listed(console, q="mail") == ["mail 2", "mail 1"]
    assert "Found among the newest 2 mails." in console.get(LIST, {"q": "mail"}).content.decode()


@pytest.mark.parametrize(
    "query",
    [
        {"q": "x" * 10_000},
        {"q": "a " * 1_000},
        {"q": "\0"},
        {"q": "%"},
        {"q": "'\"; DROP TABLE x; --"},
        {"q": '"'},
        {"q": "from:"},
        {"q": "\\"},
        {"q": "\ud800".encode("utf-8", "surrogatepass")},
        {"q": "٣ \u202e \U0001f4a9"},
        {"inbox": "x" * 10_000},
        {"inbox": "\0"},
        {"workspace": "nobody"},
        {"before": "'"},
        {"since": "-1"},
        {"since": "٣"},
        {"since": "9" * 14},
        {"since": "9" * 15},
        {"before": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=lambda query: repr(query)[:30],
)
def test_nonsense_is_answered_and_is_no_error_of_ours(query: dict[str, Any], console: Client, shop: Workspace) -> None:
    capture(shop)
    for path in (LIST, FEED, CLEAR):
        assert console.get(path, query).status_code in {200, 400}


# --- The feed ---


def aged(milliseconds: int) -> UUID:
    """An id that was made so long ago: ids begin with milliseconds."""
    return UUID(int=new_id().int - (milliseconds << 80))


def test_the_feed_tells_what_came_since_a_time(console: Client, shop: Workspace) -> None:
    capture(shop, subject="oldest", id=aged(7_200_000))
    capture(shop, subject="older", id=aged(3_600_000))
    capture(shop, subject="new", inbox="grace@example.com")
    now = console.get(FEED).json()["now"]
    assert abs(now - clock.now().timestamp() * 1000) < 10_000
    assert fed(console) == ["new", "older", "oldest"]
    assert fed(console, since=now) == ["new"]
    assert fed(console, since=now - 3_600_000) == ["new", "older"]
    assert fed(console, since=now + 60_000) == []


def test_the_feed_looks_back_for_rows_that_were_committed_late(console: Client, shop: Workspace) -> None:
    now = listing.now_ms()
    capture(shop, subject="long ago", id=aged(listing.OVERLAP_MS + 10_000))
    capture(shop, subject="newest")
    capture(shop, subject="late", id=aged(listing.OVERLAP_MS - 10_000))
    assert fed(console, since=now) == ["newest", "late"]


def test_the_feed_holds_one_page(console: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    for number in range(3):
        capture(shop, subject=f"mail {number}")
    assert fed(console) == ["mail 2", "mail 1"]


def test_the_feed_is_that_of_the_view(console: Client, shop: Workspace) -> None:
    capture(shop, subject="for ada")
    capture(shop, subject="for grace", inbox="grace@example.com")
    assert fed(console, inbox="grace@example.com") == ["for grace"]
    assert fed(console, workspace=str(new_id())) == []


def test_the_feed_shows_a_line_as_the_page_does(console: Client, shop: Workspace) -> None:
    row = capture(shop, subject=HOSTILE, author=HOSTILE, size=2_048, has_attachments=True)
    (line,) = console.get(FEED).json()["lines"]
    assert line == {
        "id": str(row.pk),
        "url": f"{LIST}{row.pk}/change/",
        "inbox": "ada@example.com",
        "author": HOSTILE,
        "subject": HOSTILE,
        "size": "2.0 KB",
        "has_attachments": True,
        "received_at": clock.wire_time(row.received_at),
        "ago": "just now",
    }
    assert HOSTILE not in console.get(LIST).content.decode()


# --- Clearing ---


def clearing(console: Client, **query: str) -> Any:
    """Asks, and answers with the form that was shown."""
    question = console.get(CLEAR, query)
    return console.post(f"{CLEAR}?{question.context['view'].query()}&newest={question.context['newest']}")


def test_an_inbox_is_cleared_after_a_question_and_on_the_record(console: Client, shop: Workspace, staff: User) -> None:
    capture(shop)
    capture(shop)
    other = capture(shop, inbox="grace@example.com")
    question = console.get(CLEAR, {"inbox": "ada@example.com"})
    assert "deletes 2 captured messages" in " ".join(question.content.decode().split())
    assert len(stored()) == 3

    answer = clearing(console, inbox="ada@example.com")

    assert answer["Location"] == f"{LIST}?"
    assert stored() == [other.pk]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag, entry.object_repr) == (staff, DELETION, "inbox ada@example.com")
    assert entry.get_change_message() == "Deleted 2 captured messages."


def test_an_inbox_with_the_longest_address_is_cleared(console: Client, shop: Workspace) -> None:
    capture(shop, inbox="x" * 320)
    clearing(console, inbox="x" * 320)
    assert stored() == []
    assert LogEntry.objects.get().object_repr == f"inbox {'x' * 194}"


def test_a_workspace_is_cleared_and_no_other(console: Client, shop: Workspace) -> None:
    capture(shop)
    other = capture(make_workspace("other"))
    clearing(console, workspace=str(shop.pk))
    assert stored() == [other.pk]
    assert LogEntry.objects.get().object_repr == f"workspace {shop.slug}, all inboxes"


def test_what_arrives_after_the_question_stays(console: Client, shop: Workspace) -> None:
    capture(shop)
    newest = console.get(CLEAR).context["newest"]
    later = capture(shop)
    console.post(f"{CLEAR}?newest={newest}")
    assert stored() == [later.pk]


def test_the_question_counts_to_a_bound(console: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_COUNTED", 2)
    for _ in range(3):
        capture(shop)
    assert "deletes more than 2 captured messages" in " ".join(console.get(CLEAR).content.decode().split())


def test_a_big_inbox_is_cleared_in_steps_and_says_when_there_is_more(
    console: Client, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "CHUNK", 2)
    rows = [capture(shop) for _ in range(5)]
    with CaptureQueriesContext(connection) as queries:
        assert captured.clear(CapturedMessage.objects.of(shop.pk).filter(pk__lt=rows[4].pk)).count == 4
    assert len([query for query in queries if query["sql"].startswith("DELETE")]) == 2
    assert stored() == [rows[4].pk]

    monkeypatch.setattr(captured.clear, "__kwdefaults__", {"seconds": 0.0})
    answer = console.post(f"{CLEAR}?newest={rows[4].pk}", follow=True)
    assert "Deleted 0 captured messages. There are more; clear again." in answer.content.decode()
    assert stored() == [rows[4].pk]


def test_nothing_is_cleared_without_permission_token_or_question(shop: Workspace, staff: User) -> None:
    row = capture(shop)
    reader, careless = operator("view_capturedmessage"), Client(enforce_csrf_checks=True)
    careless.force_login(staff)
    asked = f"{CLEAR}?newest={row.pk}"

    assert reader.get(CLEAR).status_code == 403
    assert reader.post(asked).status_code == 403
    assert careless.post(asked).status_code == 403
    assert careless.put(asked).status_code in {403, 405}
    assert operator("delete_capturedmessage").post(CLEAR).status_code == 400
    assert stored() == [row.pk]
    assert not LogEntry.objects.exists()
    assert CLEAR not in reader.get(LIST).content.decode()


def test_who_may_not_look_sees_nothing(shop: Workspace, client: Client) -> None:
    row, nobody = capture(shop), operator()
    paths = ("", "feed/", f"{row.pk}/change/", f"{row.pk}/html/", f"{row.pk}/source/", f"{row.pk}/attachments/1/")
    for path in paths:
        assert nobody.get(f"{LIST}{path}").status_code == 403
        assert client.get(f"{LIST}{path}")["Location"].startswith("/admin/login/")
