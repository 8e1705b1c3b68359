"""What careless or hostile people send to the console (catalogue 4.10): refused clearly, and nothing changes."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from apps.core import clock
from apps.core.ids import new_id
from apps.keys.errors import Unauthorized
from apps.keys.models import ApiKey
from apps.keys.services import MAX_LIVE_KEYS, authenticate
from apps.messages.models import Message, MessageContent, Recipient
from apps.suppressions.models import Suppression
from apps.workspaces.models import User, Workspace
from tests.console.conftest import HOSTILE, hold
from tests.console.test_actions import act, errors, new_key
from tests.console.test_pages import LISTS, MODELS, everything_stored, url
from tests.factories import make_domain, make_key, make_message, make_workspace, suppress

CONTENTS = "/admin/mail_messages/messagecontent/"
SEARCHES = {
    "10,000 characters": "x" * 10_000,
    "10,000 words": "x " * 5_000,
    "wildcards": "%_%_%",
    "a regular expression": "(a+)+$",
    "an unfinished one": "[(",
    "quotes": "'; DROP TABLE mail_messages_message; --",
    "an unfinished quote": '"',
    "right to left": "\u202egnp.exe",
    "an astral letter": "\U0001f4e7",
    "only spaces": "   ",
    "almost an address": "@" * 500,
}


@pytest.fixture
def shop(db: None) -> Workspace:
    workspace = make_workspace("shop")
    make_domain(workspace)
    return workspace


# --- K1: keys that cannot be ---


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scopes": ["mail:everything"]}, "not one of the available choices"),
        ({"scopes": [HOSTILE]}, "not one of the available choices"),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "must be in the future"),
        ({"expires_at_0": "9999999-01-01", "expires_at_1": "00:00"}, "valid date"),
        ({"workspace": "nobody"}, "valid UUID"),
        ({"workspace": str(new_id())}, "valid choice"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    changes: dict[str, Any], reason: str, console: Client, shop: Workspace
) -> None:
    data = {"workspace": shop.pk, "name": "till", "scopes": ["mail:send"], **changes}
    response = console.post("/admin/keys/apikey/add/", data)
    assert any(reason in text for text in errors(response)), errors(response)
    assert "<img src=x" not in response.content.decode()
    assert not ApiKey.objects.across_workspaces().exists()


def test_a_key_named_with_nul_is_refused(console: Client, shop: Workspace) -> None:
    response = console.post("/admin/keys/apikey/add/", {"workspace": shop.pk, "name": "a\0b", "scopes": ["mail:send"]})
    assert response.status_code == 400
    assert not ApiKey.objects.across_workspaces().exists()


def test_a_hostile_name_is_shown_as_text(console: Client, shop: Workspace) -> None:
    made = new_key(console, shop, name=HOSTILE).content.decode()
    row = ApiKey.objects.of(shop.pk).get()
    assert row.name == HOSTILE
    for html in (made, *(console.get(url(ApiKey, page, *pk)).content.decode() for page, pk in pages(row))):
        assert "<img src=x" not in html


def pages(row: ApiKey) -> list[tuple[str, tuple[Any, ...]]]:
    return [("changelist", ()), ("change", (row.pk,)), ("history", (row.pk,))]


def test_a_workspace_has_a_bounded_number_of_keys(console: Client, shop: Workspace) -> None:
    rows = [make_key(shop)[0] for _ in range(MAX_LIVE_KEYS)]

    refused = new_key(console, shop)
    assert errors(refused) == ["has 100 keys that work; revoke one that is not used first"]
    assert ApiKey.objects.of(shop.pk).count() == MAX_LIVE_KEYS

    act(console, "keys/apikey", "revoke", rows[0].pk)
    ApiKey.objects.of(shop.pk).filter(pk=rows[1].pk).update(expires_at=clock.now() - timedelta(seconds=1))
    for _ in range(2):
        assert "sspat_" in new_key(console, shop).content.decode()
    assert errors(new_key(console, shop))


def test_other_workspaces_and_test_keys_have_places_of_their_own(console: Client, shop: Workspace) -> None:
    for _ in range(MAX_LIVE_KEYS):
        make_key(shop)
    other = make_workspace("other")
    assert re.search(r"sspat_\w{52}", new_key(console, other).content.decode())
    assert re.search(r"sspat_test_\w{52}", new_key(console, shop, is_test="on").content.decode())


# --- K2: revoking ---


def test_the_last_key_can_be_revoked_while_it_is_used_and_again(console: Client, shop: Workspace) -> None:
    row, key = make_key(shop)
    authenticate(key)

    first = act(console, "keys/apikey", "revoke", row.pk).content.decode()
    row.refresh_from_db()
    revoked_at = row.revoked_at
    again = act(console, "keys/apikey", "revoke", row.pk).content.decode()
    row.refresh_from_db()

    assert f"Revoked at once: {row.prefix}." in first
    assert "Revoked at once: none." in again
    assert revoked_at is not None
    assert row.revoked_at == revoked_at
    with pytest.raises(Unauthorized):
        authenticate(key)
    assert LogEntry.objects.count() == 1


# --- K3: forms from elsewhere, too many rows, strange addresses ---


@pytest.fixture
def careful(staff: User) -> Client:
    """A signed-in browser whose forms are checked."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(staff)
    client.get("/admin/password_change/")  # brings the cookie
    return client


def token(client: Client) -> str:
    html = client.get("/admin/password_change/").content.decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)
    assert found is not None
    return found[1]


def revoking(client: Client, row: ApiKey, csrf: str = "", **headers: str) -> int:
    data = {"action": "revoke", "index": 0, "_selected_action": str(row.pk), "csrfmiddlewaretoken": csrf}
    return int(client.post("/admin/keys/apikey/", data, headers=headers).status_code)


def test_only_a_form_of_this_session_and_this_site_is_taken(careful: Client, shop: Workspace) -> None:
    row, _ = make_key(shop)
    other = Client(enforce_csrf_checks=True)
    other.force_login(User.objects.create_superuser("two@example.com", "correct-horse-2"))

    assert revoking(careful, row) == 403
    assert revoking(careful, row, "x" * 64) == 403
    assert revoking(careful, row, token(other)) == 403
    assert revoking(careful, row, token(careful), origin="https://evil.example") == 403
    assert revoking(careful, row, token(careful), origin="null") == 403
    row.refresh_from_db()
    assert row.revoked_at is None

    assert revoking(careful, row, token(careful), origin="http://testserver") == 302
    row.refresh_from_db()
    assert row.revoked_at is not None


@pytest.mark.parametrize("verb", ["hold", "cancel"])
def test_a_reason_with_nul_changes_nothing(verb: str, console: Client, shop: Workspace) -> None:
    message = make_message(shop)
    recipient = Recipient.objects.of(shop.pk).get()
    before = everything_stored()

    story = console.post(f"/admin/mail_messages/message/{message.pk}/operate/", {"verb": verb, "reason": "a\0b"})
    listed = act(console, "mail_messages/recipient", verb, recipient.pk, confirmed="1", reason="a\0b")

    assert (story.status_code, listed.status_code) == (400, 400)
    assert everything_stored() == before


def test_looking_at_a_deletion_deletes_nothing(console: Client, shop: Workspace) -> None:
    row = suppress(shop.pk, "ada@example.com")
    before = everything_stored()
    page = url(Suppression, "delete", row.pk)
    for address in (page, f"{page}?post=yes"):
        assert console.get(address).status_code == 200
    assert console.head(page).status_code == 200
    assert everything_stored() == before


def test_an_action_takes_a_bounded_number_of_rows(console: Client, shop: Workspace) -> None:
    recipient = hold(make_message(shop))
    before = everything_stored()

    many = act(console, "mail_messages/recipient", "retry_now", recipient.pk, *(new_id() for _ in range(500)))
    assert "Choose at most 500 rows at a time; nothing was changed." in many.content.decode()
    too_many = act(console, "mail_messages/recipient", "retry_now", *(new_id() for _ in range(5_000)))
    assert too_many.status_code == 400
    assert everything_stored() == before

    enough = act(console, "mail_messages/recipient", "retry_now", recipient.pk, *(new_id() for _ in range(499)))
    assert "Made due now: 1 recipient." in enough.content.decode()


@pytest.mark.parametrize("action", ["retry_now", "delete_selected"])
def test_no_action_reaches_across_pages(action: str, console: Client, shop: Workspace) -> None:
    hold(make_message(shop))
    before = everything_stored()
    for pks in ((), (new_id(),)):
        answer = act(console, "mail_messages/recipient", action, *pks, select_across="1", post="yes")
        assert answer.status_code == 200
    assert everything_stored() == before
    assert 'class="question' not in console.get(url(Recipient, "changelist")).content.decode()


@pytest.mark.parametrize("path", ["mail_messages/recipient", "auth/group", "workspaces/user", "admin/logentry"])
@pytest.mark.parametrize("pk", ["nonsense", "", "-1", "9" * 40, HOSTILE, "a\0b", "1' OR '1'='1"])
def test_a_chosen_row_that_cannot_be_changes_nothing(
    pk: str, path: str, console: Client, everything: Workspace
) -> None:
    before = everything_stored()
    for action in ("retry_now", "delete_selected", "nothing", HOSTILE):
        answer = act(console, path, action, pk)
        assert answer.status_code in {200, 400}, (action, answer.status_code)
        assert "<img src=x" not in answer.content.decode()
    assert everything_stored() == before


def test_no_list_takes_a_set_a_part_or_a_pattern(console: Client, everything: Workspace) -> None:
    for model in LISTS:
        name = model._meta.pk.name if model._meta.pk else "id"
        for lookup in (f"{name}__in=1", f"{name}__startswith=a", f"{name}__regex=(", f"{name}__gt=1"):
            response = console.get(f"{url(model, 'changelist')}?{lookup}")
            assert response.status_code == 400, (model, lookup)
            assert "Traceback" not in response.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "workspace__members__user__password__startswith=",
        "workspace__members__user__password__startswith=pbkdf2",
        "workspace__slug=shop",
        "message__content__text__contains=a",
        "subject__regex=(a%2B)%2B%24",
        "pk__in=",
        "id__in=",
        "id__in=1,2,3",
        "_popup=1&_to_field=password",
        "_popup=1&_to_field=subject",
        "nothing=1",
        "id=nonsense",
        "created_at=nonsense",
        "size=" + "9" * 400,
        "e=1",
        "all=",
        "o=1.-2.nonsense",
        "p=-1",
        "when=nonsense&when=any",
        "_facets=True",
    ],
)
def test_a_strange_query_tells_nothing(query: str, console: Client, everything: Workspace) -> None:
    answers = [console.get(f"{url(model, 'changelist')}?{query}") for model in (Message, Recipient, User, Workspace)]
    for answer in answers:
        assert answer.status_code in {200, 302, 400}
        assert "pbkdf2" not in answer.content.decode()
        assert "Traceback" not in answer.content.decode()
    if "__" in query or "_to_field" in query:
        assert [answer.status_code for answer in answers] == [400] * 4


# --- K5: searches ---


@pytest.mark.parametrize("term", SEARCHES.values(), ids=SEARCHES.keys())
def test_any_search_is_answered(term: str, console: Client, everything: Workspace) -> None:
    for model in LISTS:
        response = console.get(url(model, "changelist"), {"q": term})
        assert response.status_code == 200, model
        assert "<img src=x" not in response.content.decode()


def test_a_search_of_too_many_words_says_so(console: Client, everything: Workspace) -> None:
    path = url(Workspace, "changelist")
    assert "Search for at most 16 words." in console.get(path, {"q": "shop " * 17}).content.decode()
    assert "Search for at most" not in console.get(path, {"q": "shop " * 16}).content.decode()


@pytest.mark.parametrize("encoded", ["%00", "a%00b", "%ed%a0%80", "%ed%b0%80", "%ff%fe", "%c3", "%u0000"])
def test_bytes_that_are_no_text_are_searched_for_or_refused(
    encoded: str, console: Client, everything: Workspace
) -> None:
    for model in MODELS:
        response = console.get(f"{url(model, 'changelist')}?q={encoded}")
        assert response.status_code == (400 if "%00" in encoded else 200), model


# --- K6: who may not read mail ---


@pytest.fixture
def reader(client: Client, db: None) -> Client:
    """May see messages and not what they say."""
    user = User.objects.create_user("reader@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_message", "view_recipient"]))
    client.force_login(user)
    return client


def test_a_refused_look_at_a_text_is_kept_in_the_record(reader: Client, shop: Workspace) -> None:
    message = make_message(shop, text="for your eyes only")
    paths = [url(MessageContent, page, message.pk) for page in ("change", "history")]

    for path in (CONTENTS, *paths):
        response = reader.get(path)
        assert response.status_code == 403
        assert "eyes" not in response.content.decode()

    entries = LogEntry.objects.order_by("pk")
    assert [(entry.user.email, entry.object_id) for entry in entries] == [
        ("reader@example.com", None),
        ("reader@example.com", str(message.pk)),
        ("reader@example.com", str(message.pk)),
    ]
    assert {entry.get_change_message() for entry in entries} == {"Refused: may not be seen by this user."}
    assert {entry.content_type.model for entry in entries if entry.content_type} == {"messagecontent"}


def test_a_refused_look_is_kept_whatever_was_asked_for(reader: Client, console: Client, shop: Workspace) -> None:
    assert reader.get(f"{CONTENTS}{'x' * 5_000}/change/").status_code == 403
    assert reader.get(f"{CONTENTS}_3Cimg src=x_3E/change/").status_code == 403
    assert [len(entry.object_id or "") for entry in LogEntry.objects.order_by("pk")] == [100, 11]
    html = console.get("/admin/admin/logentry/").content.decode()
    assert "<img src=x" not in html
    assert "reader@example.com" in html


def test_who_may_read_leaves_no_refusal(console: Client, shop: Workspace) -> None:
    message = make_message(shop, text="for your eyes only")
    assert "eyes" in console.get(url(MessageContent, "change", message.pk)).content.decode()
    assert console.get(CONTENTS).status_code == 200
    assert not LogEntry.objects.filter(change_message__startswith="Refused").exists()


@pytest.mark.parametrize("page", ["suppressions/suppression", "domains/domain", "keys/apikey", "workspaces/member"])
@pytest.mark.parametrize("given", ["x", "0", "'", "\u202e", "00000000-0000-0000-0000-000000000000"])
def test_a_row_that_cannot_be_chosen_is_refused_beside_its_field(console: Client, page: str, given: str) -> None:
    before = everything_stored()

    response = console.post(f"/admin/{page}/add/", {"workspace": given, "user": given})

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert everything_stored() == before
