"""Lists of big tables: pages by id, the newest day first, whatever was asked for found, and no query for each row."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import CharField, ForeignKey, Model, TextField, UniqueConstraint, UUIDField
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.ids import first_id_at, new_id
from apps.core.keyset import KeysetChangeList
from apps.delivery.models import CapturedMessage
from apps.events.models import Event
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.messages.models import Attempt, Bounce, Message, MessageContent, Recipient
from apps.workspaces.models import Workspace
from tests.console.conftest import hold
from tests.console.test_pages import LISTS, url
from tests.factories import make_domain, make_message, make_workspace

EVENTS = "/admin/events/event/"
PAGE = 50
ONLY_CHILDREN = {("workspaces.Member", "user"), ("domains.DomainRecord", "domain")}


@pytest.fixture
def shop(db: None) -> Workspace:
    workspace = make_workspace("shop")
    make_domain(workspace)
    return workspace


def make_events(workspace: Workspace, count: int) -> list[UUID]:
    """The ids of as many events, the newest first."""
    new = NewEvent(workspace.pk, EventType.DOMAIN_FAILED, ResourceType.DOMAIN, workspace.pk)
    before = set(Event.objects.of(workspace.pk).values_list("pk", flat=True))
    record([new] * count)
    made = Event.objects.of(workspace.pk).exclude(pk__in=before)
    return list(made.order_by("-pk").values_list("pk", flat=True))


def shown(response: Any) -> list[Any]:
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def link(response: Any, rel: str) -> str:
    """The address behind "Older" (next) or "Newer" (prev); empty where there is none."""
    found = re.search(rf'<a href="([^"]*)" rel="{rel}">', response.content.decode())
    return found[1].replace("&amp;", "&") if found else ""


def aged(row: Model, **age: int) -> Model:
    """The row as if it had been made so long ago: with another id, and what is its own follows it."""
    old_id = row.pk
    then = first_id_at(clock.now() - timedelta(**age))
    row.pk = UUID(int=then.int | (old_id.int & (1 << 62) - 1))
    return row


def make_old_message(workspace: Workspace, to: str = "old@example.com", **age: int) -> Message:
    """A message with its content, its recipient and an attempt, all of that age."""
    young = make_message(workspace, to)
    recipient = Recipient.objects.of(workspace.pk).get(message=young)
    old = aged(Message.objects.of(workspace.pk).get(pk=young.pk), **age)
    old.save(force_insert=True)
    MessageContent.objects.filter(pk=young.pk).update(message=old)
    old_recipient = aged(recipient, **age)
    old_recipient.message = old
    old_recipient.save(force_insert=True)
    attempt = aged(
        Attempt(
            workspace=workspace,
            message=old,
            recipient=old_recipient,
            email=to,
            number=1,
            status="sent",
            started_at=clock.now(),
            finished_at=clock.now(),
        ),
        **age,
    )
    attempt.save(force_insert=True)
    Message.objects.of(workspace.pk).filter(pk=young.pk).delete()
    return old


# --- Pages ---


def test_older_leads_through_every_row_once(console: Client, shop: Workspace) -> None:
    made = make_events(shop, 2 * PAGE + 7)
    expected = list(Event.objects.of(shop.pk).order_by("-pk").values_list("pk", flat=True))
    assert set(made) <= set(expected)

    seen, query = [], "?"
    while query:
        response = console.get(EVENTS + query)
        seen += shown(response)
        query = link(response, "next")

    assert seen == expected


def test_newer_leads_back(console: Client, shop: Workspace) -> None:
    made = make_events(shop, 3 * PAGE)
    first, second, third = (made[start : start + PAGE] for start in range(0, 3 * PAGE, PAGE))

    response = console.get(f"{EVENTS}?before={second[-1]}")
    assert shown(response)[:PAGE] == third

    response = console.get(EVENTS + link(response, "prev"))
    assert shown(response) == second
    response = console.get(EVENTS + link(response, "prev"))
    assert shown(response) == first
    assert link(response, "prev") == ""


def test_newer_than_the_second_page_is_a_full_first_page(console: Client, shop: Workspace) -> None:
    made = make_events(shop, 2 * PAGE)
    newest = make_events(shop, 3)

    response = console.get(f"{EVENTS}?after={made[0]}")

    assert shown(response) == newest + made[: PAGE - 3]
    assert link(response, "prev") == ""


def test_page_links_keep_filter_and_search(console: Client, shop: Workspace) -> None:
    make_events(shop, PAGE + 1)
    query = f"?q={shop.pk}&type__exact=mail.domain.failed&when=7d&workspace={shop.pk}"

    response = console.get(EVENTS + query)

    older = link(response, "next")
    for part in query[1:].split("&"):
        assert part in older
    assert len(shown(console.get(EVENTS + older))) == 1


def test_another_filter_begins_with_the_first_page(console: Client, shop: Workspace) -> None:
    made = make_events(shop, PAGE + 1)

    html = console.get(f"{EVENTS}?before={made[-1]}&when=7d").content.decode()

    assert 'href="?when=30d"' in html
    assert f'value="{made[-1]}"' not in html


@pytest.mark.parametrize("place", ["before=nonsense", "after=nonsense", "before=", "after=1", "p=3", "before=%00"])
def test_a_place_that_is_none_is_the_first_page(place: str, console: Client, shop: Workspace) -> None:
    made = make_events(shop, 3)

    response = console.get(f"{EVENTS}?{place}")

    if place == "before=%00":
        assert response.status_code == 400
    else:
        assert shown(response)[:3] == made


@pytest.mark.parametrize("text", ["9" * 40, "-1", "nonsense"])
def test_a_place_of_numbered_rows_may_be_nonsense(text: str, console: Client, shop: Workspace) -> None:
    for name in ("before", "after"):
        assert console.get(f"/admin/admin/logentry/?{name}={text}").status_code == 200


def test_a_page_costs_one_query_and_no_count(console: Client, shop: Workspace) -> None:
    made = make_events(shop, 3 * PAGE)
    for query in ("", f"?before={made[PAGE]}", f"?after={made[2 * PAGE]}"):
        with CaptureQueriesContext(connection) as queries:
            console.get(EVENTS + query)
        about = [query["sql"] for query in queries if 'FROM "events_event"' in query["sql"]]
        assert len(about) == 1
        assert "COUNT(" not in about[0]
        assert f"LIMIT {PAGE + 1}" in about[0]


def test_no_list_by_id_can_be_put_into_another_order(console: Client, shop: Workspace) -> None:
    made = make_events(shop, 3)
    assert shown(console.get(f"{EVENTS}?o=2.-1"))[:3] == made


def test_all_big_tables_are_listed_by_id() -> None:
    for model in (Message, Recipient, Attempt, Bounce, MessageContent, Event, LogEntry):
        assert admin.site._registry[model].get_changelist(None) is KeysetChangeList  # type: ignore[arg-type]


# --- The window ---


def test_lists_show_the_last_day_and_more_when_asked(console: Client, shop: Workspace) -> None:
    young = make_message(shop)
    ages = [make_old_message(shop, hours=25), make_old_message(shop, days=8), make_old_message(shop, days=31)]
    path = "/admin/mail_messages/message/"

    def found(query: str) -> list[UUID]:
        return shown(console.get(path + query))

    assert found("") == found("?when=24h") == found("?when=nonsense") == [young.pk]
    assert found("?when=7d") == [young.pk, ages[0].pk]
    assert found("?when=30d") == [young.pk, ages[0].pk, ages[1].pk]
    assert found("?when=any") == [young.pk, *(message.pk for message in ages)]


@pytest.mark.parametrize("model", [Message, MessageContent, Recipient, Attempt], ids=lambda model: model.__name__)
def test_the_window_is_a_range_of_the_primary_key(model: type[Model], console: Client, shop: Workspace) -> None:
    make_old_message(shop, days=3)
    with CaptureQueriesContext(connection) as queries:
        assert shown(console.get(url(model, "changelist"))) == []
    listed = [query["sql"] for query in queries if f'FROM "{model._meta.db_table}"' in query["sql"]]
    assert [f'"{model._meta.db_table}"."{model._meta.pk.column}" >= ' in sql for sql in listed] == [True]
    assert len(shown(console.get(url(model, "changelist") + "?when=7d"))) == 1


def test_what_is_asked_for_by_name_is_found_at_any_age(console: Client, shop: Workspace) -> None:
    old = make_old_message(shop, "old@example.com", days=400)
    recipient = Recipient.objects.of(shop.pk).get(message=old)
    attempt = Attempt.objects.of(shop.pk).get(message=old)
    message_terms = (str(old.pk), f"  {str(old.pk).upper()} ", "old@example.com", old.rfc_message_id)
    for path, pk, terms in (
        ("message", old.pk, message_terms[:3]),
        ("recipient", recipient.pk, (str(recipient.pk), str(old.pk), "old@example.com")),
        ("attempt", attempt.pk, (str(attempt.pk), str(old.pk), str(recipient.pk), "old@example.com")),
    ):
        for term in terms:
            assert shown(console.get(f"/admin/mail_messages/{path}/", {"q": term})) == [pk], (path, term)
    assert shown(console.get(f"/admin/mail_messages/attempt/?message_id={old.pk}")) == [attempt.pk]
    assert shown(console.get(f"/admin/mail_messages/recipient/?message_id={old.pk}")) == [recipient.pk]


def test_a_message_is_found_by_its_message_id_and_by_its_sender(console: Client, shop: Workspace) -> None:
    message = make_message(shop)
    for term in (message.rfc_message_id, "shop@shop.example", "@shop.example", "Your ord"):
        assert shown(console.get("/admin/mail_messages/message/", {"q": term})) == [message.pk], term
    for term in ("nobody@shop.example", "Your bill", f"{message.pk}@elsewhere.example"):
        assert shown(console.get("/admin/mail_messages/message/", {"q": term})) == [], term


def test_an_address_is_found_as_it_is_spelt_elsewhere(console: Client, shop: Workspace) -> None:
    message = make_message(shop, "Ada@EXAMPLE.com")
    recipient = Recipient.objects.of(shop.pk).get()
    for term in ("Ada@EXAMPLE.com", " Ada@Example.com ", "Ada@example.com"):
        assert shown(console.get("/admin/mail_messages/message/", {"q": term})) == [message.pk], term
        assert shown(console.get("/admin/mail_messages/recipient/", {"q": term})) == [recipient.pk], term
    for term in ("Ada@@example.com", "Ada@-.com"):
        assert shown(console.get("/admin/mail_messages/recipient/", {"q": term})) == [], term


def test_the_open_queue_is_shown_whole(console: Client, shop: Workspace) -> None:
    old = make_old_message(shop, days=3)
    Recipient.objects.of(shop.pk).filter(message=old).update(next_attempt_at=clock.now() - timedelta(minutes=1))
    for query in ("queue=due", "queue=queued"):
        assert len(shown(console.get(f"/admin/mail_messages/recipient/?{query}"))) == 1


def test_the_links_of_a_workspace_show_all_that_it_holds(console: Client, shop: Workspace) -> None:
    old = make_old_message(shop, days=40)
    page = console.get(url(Workspace, "change", shop.pk)).content.decode().replace("&amp;", "&")
    links = re.findall(rf'href="([^"]+\?[^"]*workspace={shop.pk}[^"]*)"', page)
    assert len(links) >= 10
    pages = {link.partition("?")[0]: link for link in links}
    del pages[url(CapturedMessage, "changelist")]  # the inbox, which has tests of its own
    answers = {path: shown(console.get(link)) for path, link in pages.items()}
    assert answers[url(Message, "changelist")] == [old.pk]
    assert len(answers[url(Recipient, "changelist")]) == len(answers[url(Attempt, "changelist")]) == 1


def test_the_tiles_lead_to_what_they_count(console: Client, shop: Workspace) -> None:
    old = make_old_message(shop, days=3)
    Recipient.objects.of(shop.pk).filter(message=old).update(
        status="deferred", next_attempt_at=clock.now() - timedelta(1)
    )
    index = console.get("/admin/").content.decode()
    for label, query in (("deferred", "queue=deferred"), ("oldest due", "queue=due")):
        path = f"/admin/mail_messages/recipient/?{query}"
        assert f'<a href="{path}">' in index, label
        assert len(shown(console.get(path))) == 1


def test_a_chosen_time_holds_for_searches_too(console: Client, shop: Workspace) -> None:
    make_old_message(shop, "old@example.com", days=3)
    query = {"q": "old@example.com", "when": "24h"}
    assert shown(console.get("/admin/mail_messages/recipient/", query)) == []


def test_the_filter_says_which_time_is_shown(console: Client, shop: Workspace) -> None:
    def chosen(query: str) -> str:
        response = console.get(f"/admin/mail_messages/recipient/{query}")
        when = response.context["cl"].filter_specs[0]
        assert when.title == "when"
        return str(next(c["display"] for c in when.choices(response.context["cl"]) if c["selected"]))

    assert chosen("") == "Last 24 hours"
    assert chosen("?q=part") == "Last 24 hours"
    assert chosen("?when=30d") == "Last 30 days"
    assert chosen("?queue=due") == chosen("?q=ada@example.com") == chosen(f"?q={new_id()}") == "Any time"


def test_the_log_shows_the_last_day(console: Client, shop: Workspace, staff: Any) -> None:
    entries = [LogEntry.objects.create(user=staff, action_flag=2, object_repr="x") for _ in range(2)]
    LogEntry.objects.filter(pk=entries[0].pk).update(action_time=clock.now() - timedelta(days=2))
    assert shown(console.get("/admin/admin/logentry/")) == [entries[1].pk]
    assert shown(console.get("/admin/admin/logentry/?when=7d")) == [entries[1].pk, entries[0].pk]


def test_an_action_reaches_an_old_row(console: Client, shop: Workspace) -> None:
    old = make_old_message(shop, days=3)
    recipient = hold(old)
    data = {"action": "retry_now", "index": 0, "_selected_action": str(recipient.pk), "from_page": 1}

    page = console.post("/admin/mail_messages/recipient/", data, follow=True).content.decode()

    assert "Made due now: 1 recipient." in page
    recipient.refresh_from_db()
    assert recipient.next_attempt_at is not None


# --- No query for each row ---


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label)
def test_a_long_list_costs_as_many_queries_as_a_short_one(
    model: type[Model], console: Client, everything: Workspace
) -> None:
    costs = []
    for count in (2, 20):
        _multiply(model, count)
        console.get(url(model, "changelist"))  # content types are read once in a process
        with CaptureQueriesContext(connection) as queries:
            response = console.get(url(model, "changelist"))
        assert len(shown(response)) >= count
        costs.append(len(queries))
    assert costs[0] == costs[1]


def _multiply(model: type[Model], count: int) -> None:
    """Copies the model's first row until there are so many; what must be unique is made so."""
    manager = model._meta.base_manager
    manager.bulk_create(_copy(model, number) for number in range(manager.count(), count))


def _copy(model: type[Model], number: int) -> Model:
    row = model._meta.base_manager.first()
    assert row is not None
    constraints = [c for c in model._meta.constraints if isinstance(c, UniqueConstraint)]
    unique = {name for constraint in constraints for name in constraint.fields}
    for field in model._meta.fields:
        is_word = isinstance(field, CharField | TextField) and not field.choices and field.name in unique
        if field.primary_key or field.unique or is_word:
            setattr(row, field.attname, _another(field))
        elif field.name == "slug_key":
            setattr(row, field.attname, _another(field))  # unique among those that are not deleted
        elif field.name == "state":
            row.state = "retiring"  # type: ignore[attr-defined]  # a domain may have many of these keys
        elif isinstance(field, ForeignKey) and field.name == "event":
            setattr(row, field.attname, new_id())
        elif field.name in {"number", "index"}:
            setattr(row, field.name, 1_000 + number)
        elif field.name == "starts_at":
            row.starts_at = clock.now() + timedelta(hours=number)  # type: ignore[attr-defined]
    return _with_parents(row, number)


def _another(field: Any) -> Any:
    if isinstance(field, UUIDField):
        return new_id()
    if isinstance(field, CharField | TextField):
        return str(new_id())[-(field.max_length or 36) :]
    return None  # the database numbers these


def _with_parents(row: Model, number: int) -> Model:
    """What belongs to one parent alone gets a parent of its own."""
    for field in row._meta.fields:
        is_only_child = (field.one_to_one and not field.null) or (row._meta.label, field.name) in ONLY_CHILDREN
        if is_only_child and field.related_model is not None:
            parent = _copy(field.related_model, number)
            parent.save(force_insert=True)
            setattr(row, field.attname, parent.pk)
    return row
