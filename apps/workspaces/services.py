"""What can be done with workspaces and operators."""

from apps.core.errors import Conflict
from apps.workspaces.models import User, Workspace


def create_workspace(slug: str, *, name: str = "", tier: str = "") -> Workspace:
    """Raises Conflict where the slug is taken."""
    if Workspace.objects.filter(slug=slug).exists():
        raise Conflict(f"There is already a workspace {slug}.")
    fields = {"tier": tier} if tier else {}
    return Workspace.objects.create(slug=slug, name=name or slug, **fields)


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
