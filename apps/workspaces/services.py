"""What can be done with workspaces and operators."""

from uuid import UUID

from apps.core.errors import Conflict, Invalid
from apps.protocols.address import AddressError, Mailbox, parse_mailbox
from apps.workspaces.models import MAX_SENDER, User, Workspace


def create_workspace(slug: str, *, name: str = "", tier: str = "", default_sender: str | None = None) -> Workspace:
    """Raises Invalid where nobody can send as the default sender, and Conflict where the slug is taken."""
    if default_sender is not None:
        check_sender(default_sender)
    if Workspace.objects.filter(slug=slug).exists():
        raise Conflict(f"There is already a workspace {slug}.")
    fields = {"tier": tier} if tier else {}
    return Workspace.objects.create(slug=slug, name=name or slug, default_sender=default_sender or "", **fields)


def check_sender(text: str) -> None:
    """Whether this can be a default sender: an address, or a name and an address. Raises Invalid."""
    if len(text) > MAX_SENDER:
        raise Invalid({"default_sender": [f"may have at most {MAX_SENDER} characters"]})
    try:
        parse_mailbox(text)
    except AddressError as error:
        raise Invalid({"default_sender": [error.reason]}) from error


def default_sender(workspace_id: UUID) -> Mailbox:
    """Who sends where a request names nobody. Raises Invalid where the workspace has no such sender."""
    text = Workspace.objects.values_list("default_sender", flat=True).get(pk=workspace_id)
    if not text:
        raise Invalid({"from": ["name a sender; this workspace has no default one"]})
    return parse_mailbox(text)


def offer_default_sender(workspace: Workspace, text: str) -> bool:
    """Sets the default sender where there is none, and so keeps what an operator has set. Raises Invalid."""
    check_sender(text)
    return Workspace.objects.filter(pk=workspace.pk, default_sender="").update(default_sender=text) == 1


def test_workspace_of(workspace: Workspace) -> Workspace:
    """The workspace in which the test keys of this one work; made at the first call."""
    twin, _made = Workspace.objects.get_or_create(
        test_of=workspace,
        defaults={
            "slug": f"{workspace.slug}--test",
            "name": f"{workspace.name} (test)",
            "tier": workspace.tier,
        },
    )
    return twin


def create_operator(email: str, *, password: str) -> User:
    """An operator may use the whole console; an existing user becomes one and gets the new password."""
    user = User.objects.filter(email=email.strip().lower()).first() or User(email=email.strip().lower())
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return user


def switch(workspace: Workspace, status: Workspace.Status) -> bool:
    """Suspends or activates a workspace; False where it was so. Suspended ones accept nothing and hold what waits."""
    return Workspace.objects.filter(pk=workspace.pk).exclude(status=status).update(status=status) == 1


def set_limits(workspace: Workspace, *, daily: int | None = None, hourly: int | None = None) -> None:
    """Sets the limits that are given and leaves the others as they are."""
    given = {"daily_limit": daily, "hourly_limit": hourly}
    Workspace.objects.filter(pk=workspace.pk).update(
        **{name: limit for name, limit in given.items() if limit is not None}
    )
