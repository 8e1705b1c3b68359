"""The small commands by which an operator sets the platform up."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core.errors import Invalid
from apps.keys.models import ApiKey
from apps.keys.services import authenticate
from apps.protocols.address import Mailbox
from apps.workspaces.models import User, Workspace
from apps.workspaces.services import default_sender, offer_default_sender
from tests.factories import make_workspace


def run(*arguments: Any) -> list[str]:
    """The lines that the command prints."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.django_db
def test_a_workspace_is_made_and_its_id_printed() -> None:
    (line,) = run("create_workspace", "shop", "--name", "The shop", "--tier", "starter")
    workspace = Workspace.objects.get()
    assert (line, workspace.slug, workspace.name, workspace.tier) == (str(workspace.pk), "shop", "The shop", "starter")


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["", "Shop", "a b", "shop--test", "shop-", "grüße", "x" * 75, "../etc"])
def test_a_bad_slug_is_refused(slug: str) -> None:
    with pytest.raises(CommandError, match="lower-case letters"):
        run("create_workspace", slug)
    assert not Workspace.objects.exists()


@pytest.mark.django_db
def test_a_workspace_is_made_with_a_default_sender() -> None:
    run("create_workspace", "shop", "--default-sender", "The shop <hello@Shop.example>")
    assert default_sender(Workspace.objects.get().pk) == Mailbox("hello@shop.example", "The shop")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        ("", "default_sender: The address is empty"),
        ("Shop", "default_sender: The address must hold exactly one @"),
        ("<hello@shop.example>", "default_sender: Write the address alone"),
        ("Shop <hello@shop.example> <hello@shop.example>", "default_sender: "),
        ("Shop\r\nBcc <hello@shop.example>", "default_sender: The name cannot be used"),
        (f"{'x' * 500} <hello@shop.example>", "default_sender: may have at most 500 characters"),
    ],
)
def test_a_bad_default_sender_is_refused(sender: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run("create_workspace", "shop", "--default-sender", sender)
    assert not Workspace.objects.exists()


@pytest.mark.django_db
def test_a_default_sender_is_offered_only_where_there_is_none() -> None:
    workspace = make_workspace("shop")
    assert offer_default_sender(workspace, "Demo <hello@demo.example>")
    assert not offer_default_sender(workspace, "Other <other@demo.example>")
    assert default_sender(workspace.pk) == Mailbox("hello@demo.example", "Demo")


@pytest.mark.django_db
def test_who_has_no_default_sender_is_told_to_name_one() -> None:
    with pytest.raises(Invalid) as refusal:
        default_sender(make_workspace("shop").pk)
    assert list(refusal.value.details["fields"]) == ["from"]


@pytest.mark.django_db
def test_a_slug_is_given_once() -> None:
    run("create_workspace", "shop")
    with pytest.raises(CommandError, match="already a workspace shop"):
        run("create_workspace", "shop")


@pytest.mark.django_db
def test_an_operator_gets_a_password_that_is_printed() -> None:
    line = run("create_operator", "Ops@Example.com")[-1]
    user = User.objects.get(email="ops@example.com")
    assert user.is_staff
    assert user.is_superuser
    assert user.check_password(line.removeprefix("Password: "))


@pytest.mark.django_db
def test_a_given_password_is_taken_and_not_printed() -> None:
    lines = run("create_operator", "ops@example.com", "--password", "correct-horse-1")
    assert User.objects.get().check_password("correct-horse-1")
    assert "correct-horse-1" not in "\n".join(lines)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody"], "valid email"),
        (["ops@example.com", "--password", "short"], "too short"),
        (["ops@example.com", "--password", ""], "too short"),
        (["ops@example.com", "--password", "password123"], "too common"),
    ],
)
def test_a_bad_operator_is_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run("create_operator", *arguments)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_limits_are_set_one_by_one() -> None:
    workspace = make_workspace("shop")
    run("set_limits", "shop", "--daily", "100")
    run("set_limits", "shop", "--hourly", "0")
    workspace.refresh_from_db()
    assert (workspace.daily_limit, workspace.hourly_limit) == (100, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["shop"], "Give --daily"),
        (["nowhere", "--daily", "1"], "no workspace nowhere"),
        (["shop", "--daily", "-1"], "--daily must be"),
        (["shop", "--hourly", str(2**31)], "--hourly must be"),
    ],
)
def test_bad_limits_are_refused(arguments: list[str], reason: str) -> None:
    workspace = make_workspace("shop")
    with pytest.raises(CommandError, match=reason):
        run("set_limits", *arguments)
    workspace.refresh_from_db()
    assert (workspace.daily_limit, workspace.hourly_limit) == (None, None)


@pytest.mark.django_db
def test_the_key_is_the_last_line() -> None:
    workspace = make_workspace("shop")
    key = run("create_api_key", "--workspace", "shop", "--name", "till", "--scopes", "mail:send, mail:read")[-1]
    caller = authenticate(key)
    assert caller.workspace_id == workspace.pk
    assert caller.scopes == {"mail:send", "mail:read"}


@pytest.mark.django_db
def test_a_test_key_works_in_a_workspace_of_its_own() -> None:
    make_workspace("shop")
    key = run("create_api_key", "--workspace", "shop", "--name", "till", "--test")[-1]
    assert key.startswith("sspat_test_")
    assert authenticate(key).is_test


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workspace", "nowhere", "--name", "till"], "no workspace nowhere"),
        (["--workspace", "shop", "--name", " "], "--name must be"),
        (["--workspace", "shop", "--name", "x" * 201], "--name must be"),
        (["--workspace", "shop", "--name", "till", "--scopes", "mail:send,root"], "root is not one of"),
        (["--workspace", "shop--test", "--name", "till"], "what test keys do"),
    ],
)
def test_a_bad_key_is_refused(arguments: list[str], reason: str) -> None:
    run("create_api_key", "--workspace", make_workspace("shop").slug, "--name", "first", "--test")
    before = ApiKey._meta.base_manager.count()
    with pytest.raises(CommandError, match=reason):
        run("create_api_key", *arguments)
    assert ApiKey._meta.base_manager.count() == before
