"""What operators do goes through the services: it is recorded, secrets are shown once, refusals stand beside fields."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from apps.core import clock
from apps.delivery.models import Destination
from apps.domains.models import DkimKey, Domain, DomainRecord
from apps.domains.states import Status
from apps.events.models import Event
from apps.events.types import EventType
from apps.keys.models import ApiKey
from apps.keys.services import authenticate
from apps.messages.models import Recipient
from apps.suppressions.models import Suppression
from apps.workspaces.models import User, Workspace
from tests.console.conftest import hold
from tests.factories import make_domain, make_key, make_message, make_workspace, suppress
from tests.fakes.dns_server import DnsServer


@pytest.fixture
def shop(db: None) -> Workspace:
    return make_workspace("shop")


@pytest.fixture
def published(shop: Workspace, settings: Any) -> Iterator[Domain]:
    """A verified domain whose records a DNS server here gives out."""
    domain = make_domain(shop)
    with DnsServer() as server:
        for row in DomainRecord.objects.of(shop.pk):
            server.set(row.name, row.type, f"{row.value}." if row.type == "CNAME" else row.value)
        settings.MAIL_DNS_SERVERS = server.address
        yield domain


def act(console: Client, path: str, action: str, *pks: object, **fields: Any) -> Any:
    data = {"action": action, "index": 0, "_selected_action": [str(pk) for pk in pks], **fields}
    return console.post(f"/admin/{path}/", data, follow=True)


def events(workspace: Workspace) -> list[str]:
    return list(Event.objects.of(workspace.pk).order_by("pk").values_list("type", flat=True))


def errors(response: Any) -> list[str]:
    return [text for found in response.context["errors"] for text in found]


# --- Keys ---


def new_key(console: Client, workspace: Workspace, **changes: Any) -> Any:
    data = {"workspace": workspace.pk, "name": "till", "scopes": ["mail:send"], **changes}
    return console.post("/admin/keys/apikey/add/", data)


def test_a_new_key_is_shown_in_the_answer_and_never_again(console: Client, shop: Workspace) -> None:
    response = new_key(console, shop)
    key = re.search(r"sspat_\w{52}", response.content.decode())

    assert response.status_code == 200
    assert key is not None
    assert authenticate(key[0]).scopes == {"mail:send"}
    row = ApiKey.objects.of(shop.pk).get()
    for page in ("/admin/", "/admin/keys/apikey/", f"/admin/keys/apikey/{row.pk}/change/", "/admin/admin/logentry/"):
        html = console.get(page).content.decode()
        assert key[0] not in html
        assert key[0][len(row.prefix) :] not in html
    assert key[0] not in str(console.cookies)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scopes": ["everything"]}, "not one of the available choices"),
        ({"scopes": []}, "required"),
        ({"name": ""}, "required"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "must be in the future"),
    ],
)
def test_a_key_that_cannot_be_is_refused_beside_the_field(
    changes: dict[str, Any], reason: str, console: Client, shop: Workspace
) -> None:
    response = new_key(console, shop, **changes)
    assert any(reason in text for text in errors(response))
    assert not ApiKey.objects.of(shop.pk).exists()


def test_a_revoked_key_stays_and_is_refused_at_once(console: Client, shop: Workspace) -> None:
    row, key = make_key(shop)
    act(console, "keys/apikey", "revoke", row.pk)
    row.refresh_from_db()
    assert row.revoked_at is not None
    with pytest.raises(Exception, match="valid API key"):
        authenticate(key)
    assert LogEntry.objects.get().get_change_message() == "Revoked."


# --- Domains ---


def test_a_domain_is_added_with_records_key_and_event(console: Client, shop: Workspace) -> None:
    response = console.post("/admin/domains/domain/add/", {"workspace": shop.pk, "name": "Shop.Example."})
    assert response.status_code == 302
    domain = Domain.objects.of(shop.pk).get()
    assert domain.name == "shop.example"
    assert DomainRecord.objects.of(shop.pk).filter(domain=domain).count() == 4
    assert DkimKey.objects.of(shop.pk).filter(domain=domain).count() == 1
    assert events(shop) == [EventType.DOMAIN_CREATED]


@pytest.mark.parametrize("name", ["", "com", "no domain", "localhost", "x" * 300, "shop.example"])
def test_a_domain_that_cannot_be_is_refused_beside_the_field(name: str, console: Client, shop: Workspace) -> None:
    make_domain(shop, "shop.example")
    response = console.post("/admin/domains/domain/add/", {"workspace": shop.pk, "name": name})
    assert response.status_code == 200
    assert errors(response)
    assert Domain.objects.of(shop.pk).count() == 1
    assert events(shop) == []


def test_deleting_domains_is_an_event(console: Client, shop: Workspace) -> None:
    one, two = make_domain(shop, "one.example"), make_domain(shop, "two.example")
    console.post(f"/admin/domains/domain/{one.pk}/delete/", {"post": "yes"})
    act(console, "domains/domain", "delete_selected", two.pk, post="yes")
    assert not Domain.objects.of(shop.pk).exists()
    assert events(shop) == [EventType.DOMAIN_DELETED] * 2


def test_a_disabled_domain_is_verified_anew_when_enabled(console: Client, published: Domain) -> None:
    domain, shop = published, published.workspace
    act(console, "domains/domain", "disable", domain.pk)
    domain.refresh_from_db()
    assert domain.status == Status.DISABLED

    act(console, "domains/domain", "verify_now", domain.pk)
    domain.refresh_from_db()
    assert domain.status == Status.DISABLED

    act(console, "domains/domain", "enable", domain.pk)
    domain.refresh_from_db()
    assert domain.status == Status.VERIFIED
    assert events(shop) == [EventType.DOMAIN_VERIFIED]


def test_many_domains_are_not_verified_in_one_request(console: Client, shop: Workspace) -> None:
    domains = [make_domain(shop, f"shop{number}.example") for number in range(6)]
    response = act(console, "domains/domain", "verify_now", *(domain.pk for domain in domains))
    assert "Choose at most 5 domains" in response.content.decode()
    assert events(shop) == []


def test_an_action_on_a_page_leads_back_to_it(console: Client, published: Domain) -> None:
    domain = published
    response = act(console, "domains/domain", "verify_now", domain.pk, from_page="1")
    assert response.redirect_chain == [(f"/admin/domains/domain/{domain.pk}/change/", 302)]
    assert "is verified" in response.content.decode()


# --- Suppressions ---


def test_an_address_is_suppressed_in_its_canonical_form_with_an_event(console: Client, shop: Workspace) -> None:
    data = {"workspace": shop.pk, "email": "Ada@EXAMPLE.com", "reason": "manual"}
    assert console.post("/admin/suppressions/suppression/add/", data).status_code == 302
    row = Suppression.objects.of(shop.pk).get()
    assert (row.email, row.key, row.source) == ("Ada@example.com", "ada@example.com", "user")
    assert events(shop) == [EventType.SUPPRESSION_CREATED]


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c.example", "ada@", "ADA@example.com"])
def test_an_address_that_cannot_be_is_refused_beside_the_field(email: str, console: Client, shop: Workspace) -> None:
    suppress(shop.pk, "ada@example.com")
    data = {"workspace": shop.pk, "email": email, "reason": "manual"}
    response = console.post("/admin/suppressions/suppression/add/", data)
    assert errors(response)
    assert events(shop) == [EventType.SUPPRESSION_CREATED]


def test_lifting_suppressions_is_an_event(console: Client, shop: Workspace) -> None:
    one, two = suppress(shop.pk, "one@example.com"), suppress(shop.pk, "two@example.com")
    console.post(f"/admin/suppressions/suppression/{one.pk}/delete/", {"post": "yes"})
    act(console, "suppressions/suppression", "delete_selected", two.pk, post="yes")
    assert not Suppression.objects.of(shop.pk).exists()
    assert events(shop)[2:] == [EventType.SUPPRESSION_DELETED] * 2


# --- Delivery ---


def test_a_held_recipient_is_made_due(console: Client, shop: Workspace) -> None:
    make_domain(shop)
    recipient = hold(make_message(shop))
    act(console, "mail_messages/recipient", "retry_now", recipient.pk)
    recipient.refresh_from_db()
    assert recipient.next_attempt_at <= clock.now()
    assert recipient.crashes == 0


def test_a_recipient_that_a_worker_holds_is_left_alone(console: Client, shop: Workspace) -> None:
    make_domain(shop)
    recipient = hold(make_message(shop))
    Recipient.objects.of(shop.pk).update(lease_until=clock.now())
    act(console, "mail_messages/recipient", "retry_now", recipient.pk)
    recipient.refresh_from_db()
    assert recipient.next_attempt_at is None


def test_recipients_are_held_and_released_by_the_list(console: Client, shop: Workspace) -> None:
    make_domain(shop)
    rows = Recipient.objects.of(shop.pk)
    make_message(shop, ["ada@example.com", "bob@example.com"])
    chosen = rows.values_list("pk", flat=True)
    act(console, "mail_messages/recipient", "hold", *chosen)
    assert list(rows.values_list("wait_code", "wait_detail")) == [("hold", "")] * 2
    act(console, "mail_messages/recipient", "release", *chosen)
    assert list(rows.values_list("wait_code", flat=True)) == ["", ""]
    notes = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert notes[0].startswith("Held for ")
    assert notes[1].startswith("Released for ")


def test_recipients_are_canceled_after_a_question(console: Client, shop: Workspace) -> None:
    make_domain(shop)
    make_message(shop)
    recipient = Recipient.objects.of(shop.pk).get()
    question = act(console, "mail_messages/recipient", "cancel", recipient.pk)
    assert "delivery to 1 recipient as failed" in " ".join(question.content.decode().split())
    recipient.refresh_from_db()
    assert (recipient.status, LogEntry.objects.count()) == ("queued", 0)

    act(console, "mail_messages/recipient", "cancel", recipient.pk, confirmed="1", reason="twice")
    recipient.refresh_from_db()
    assert (recipient.status, recipient.last_error) == ("failed", "Canceled by an operator: twice")


@pytest.mark.parametrize("action", ["hold", "cancel"])
def test_rows_that_left_the_filtered_list_are_told(action: str, console: Client, shop: Workspace) -> None:
    make_domain(shop)
    make_message(shop, ["ada@example.com", "bob@example.com"])
    rows = Recipient.objects.of(shop.pk)
    rows.filter(email="ada@example.com").update(status="sending")
    path = "/admin/mail_messages/recipient/?status__exact=queued"
    chosen = [str(row.pk) for row in rows.all()]

    for pks, confirmed, told in ((chosen, {"confirmed": "1"}, 1), (chosen, {}, 2), (chosen, {"confirmed": "1"}, 2)):
        answer = console.post(path, {"action": action, "_selected_action": pks, **confirmed}, follow=True)
        said = [str(message) for message in answer.context["messages"]]
        assert f"Unchanged: {told}. No longer in this list." in said
    assert rows.get(email="ada@example.com").status == "sending"
    assert LogEntry.objects.count() == 1


def test_the_question_of_cancel_leads_back_to_where_it_was_asked(console: Client, shop: Workspace) -> None:
    make_domain(shop)
    make_message(shop)
    pk = Recipient.objects.of(shop.pk).get().pk
    page, filtered = f"/admin/mail_messages/recipient/{pk}/change/", "/admin/mail_messages/recipient/?queue=queued"
    asked: dict[str, Any] = {"action": "cancel", "_selected_action": [str(pk)]}
    question = console.post(filtered, asked).content.decode()
    assert f'<a href="{filtered}" class="button cancel-link">' in question
    assert "Reason (optional; the workspace sees it)" in question
    question = console.post("/admin/mail_messages/recipient/", asked | {"from_page": "1"}).content.decode()
    assert f'<a href="{page}" class="button cancel-link">' in question


def test_a_resumed_destination_rests_no_more(console: Client) -> None:
    Destination.objects.create(key="mx.example", failures=3, paused_until=clock.now(), updated_at=clock.now())
    act(console, "delivery/destination", "resume", "mx.example", from_page="1")
    assert not Destination.objects.exists()
    assert LogEntry.objects.get().get_change_message() == "Pause ended by hand."


# --- Workspaces and people ---


def test_a_suspended_workspace_is_activated_again(console: Client, shop: Workspace) -> None:
    act(console, "workspaces/workspace", "suspend", shop.pk)
    shop.refresh_from_db()
    assert shop.status == Workspace.Status.SUSPENDED
    act(console, "workspaces/workspace", "activate", shop.pk)
    shop.refresh_from_db()
    assert shop.status == Workspace.Status.ACTIVE


@pytest.mark.parametrize("slug", ["shop", "Shop", "shop--test", "-a", "x" * 75])
def test_a_workspace_with_a_bad_slug_is_refused(slug: str, console: Client, shop: Workspace) -> None:
    data = {"slug": slug, "name": "A", "tier": "business", "status": "active"}
    assert errors(console.post("/admin/workspaces/workspace/add/", data))
    assert Workspace.objects.count() == 1


def test_a_default_sender_is_one_that_can_send(console: Client, shop: Workspace) -> None:
    page = f"/admin/workspaces/workspace/{shop.pk}/change/"
    data = {"name": "Shop", "tier": "business", "status": "active"}
    assert errors(console.post(page, data | {"default_sender": "Shop <hello>"}))
    assert console.post(page, data | {"default_sender": "Shop <hello@shop.example>"}).status_code == 302
    shop.refresh_from_db()
    assert shop.default_sender == "Shop <hello@shop.example>"


def test_a_user_is_added_and_signs_in_by_address(console: Client, client: Client) -> None:
    data = {"email": "New@Example.com", "name": "", "password1": "correct-horse-2", "password2": "correct-horse-2"}
    assert console.post("/admin/workspaces/user/add/", data).status_code == 302
    user = User.objects.get(email="new@example.com")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    assert client.login(username="new@example.com", password="correct-horse-2")
    assert client.get("/admin/").status_code == 200


def test_a_new_password_ends_other_sessions(console: Client, client: Client) -> None:
    user = User.objects.create_superuser("two@example.com", "correct-horse-2")
    client.force_login(user)
    data = {"password1": "correct-horse-3", "password2": "correct-horse-3", "usable_password": "true"}
    assert console.post(f"/admin/workspaces/user/{user.pk}/password/", data).status_code == 302
    assert client.get("/admin/").status_code == 302


def test_history_is_neither_added_nor_changed_nor_deleted(console: Client, everything: Workspace) -> None:
    recipient = Recipient.objects.of(everything.pk).order_by("pk").first()
    page = f"/admin/mail_messages/recipient/{recipient.pk}"
    assert console.post("/admin/mail_messages/recipient/add/", {}).status_code == 403
    assert console.post(f"{page}/change/", {"status": "sent"}).status_code == 403
    assert console.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    recipient.refresh_from_db()
    assert recipient.status == "deferred"


def test_a_post_without_its_token_is_refused(staff: User, shop: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    row, _ = make_key(shop)
    answer = act(client, "keys/apikey", "revoke", row.pk)
    row.refresh_from_db()
    assert (answer.status_code, row.revoked_at) == (403, None)


def test_who_may_only_look_sees_no_action(client: Client, shop: Workspace) -> None:
    viewer = User.objects.create_user("viewer@example.com", is_staff=True)
    viewer.user_permissions.add(*_permissions("view_domain"))
    client.force_login(viewer)
    domain = make_domain(shop)
    assert "verify_now" not in client.get(f"/admin/domains/domain/{domain.pk}/change/").content.decode()
    act(client, "domains/domain", "disable", domain.pk)
    domain.refresh_from_db()
    assert domain.status == Status.VERIFIED


def _permissions(*codenames: str) -> Any:
    return Permission.objects.filter(codename__in=codenames)
