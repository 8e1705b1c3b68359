"""Who uses the platform: operators and members, their workspaces, and how much each may send."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models

from apps.core.ids import new_id

MAX_SENDER = 500


class Tier(models.TextChoices):
    SANDBOX = "sandbox"
    STARTER = "starter"
    GROWTH = "growth"
    BUSINESS = "business"
    CUSTOM = "custom"


# Recipients a day where the workspace has no limit of its own; None: no limit.
DAILY_LIMITS: dict[str, int | None] = {
    Tier.SANDBOX: 1_000,
    Tier.STARTER: 10_000,
    Tier.GROWTH: 100_000,
    Tier.BUSINESS: 1_000_000,
    Tier.CUSTOM: None,
}


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address; there are no user names."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, email: str | None) -> "User":
        """For signing in: an address is the same in any case."""
        return self.get(email=(email or "").strip().lower())

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in to the console."""

    email = models.EmailField(unique=True, max_length=254)
    name = models.CharField(max_length=200, blank=True)
    is_staff = models.BooleanField("may use the console", default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email


class Workspace(models.Model):
    """A tenant: everything else belongs to exactly one."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    tier = models.CharField(max_length=20, choices=Tier.choices, default=Tier.BUSINESS)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    daily_limit = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: the tier's limit.")
    hourly_limit = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: no limit.")
    default_sender = models.CharField(
        max_length=MAX_SENDER,
        blank=True,
        help_text="Who sends where a request names nobody: address, or name and address in angle brackets.",
    )
    # Test keys work in a workspace of their own, so that nothing they do can touch live rows.
    test_of = models.OneToOneField("self", null=True, blank=True, on_delete=models.CASCADE, related_name="test_twin")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.slug

    @property
    def is_test(self) -> bool:
        return self.test_of_id is not None


class Member(models.Model):
    """A user's part in a workspace."""

    class Role(models.TextChoices):
        OWNER = "owner"
        DEVELOPER = "developer"
        VIEWER = "viewer"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.DEVELOPER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["workspace", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.workspace_id}"


class Period(models.TextChoices):
    DAY = "day"
    HOUR = "hour"


class UsageCount(models.Model):
    """How many recipients a workspace's accepted messages had in one day or hour (UTC)."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    period = models.CharField(max_length=4, choices=Period.choices)
    starts_at = models.DateTimeField()
    recipients = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "period", "starts_at"], name="one_count_per_period")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id}, {self.period} from {self.starts_at}"
