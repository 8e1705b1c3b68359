"""Templates of mail, and their versions, which never change."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models import Q

from apps.workspaces.tenancy import TenantModel

MAX_NAME, MAX_SLUG, MAX_DESCRIPTION = 200, 100, 2_000


class Status(models.TextChoices):
    """Wire contract 4. An archived one sends nothing new; a deleted one is not found any more."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class Template(TenantModel):
    """What callers name to send; its active version is what goes out."""

    name = models.CharField(max_length=MAX_NAME)
    slug = models.CharField(max_length=MAX_SLUG)
    # The slug in small letters, by which it is found and unique.
    slug_key = models.CharField(max_length=MAX_SLUG, editable=False)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    # Null only within the transaction that makes it: one of the two rows has to come first.
    active_version = models.ForeignKey(
        "templates.TemplateVersion", null=True, on_delete=models.DO_NOTHING, related_name="+"
    )
    last_number = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workspace", "slug_key"], condition=~Q(status="deleted"), name="template_slug_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "id"], name="template_by_workspace")]

    def __str__(self) -> str:
        return self.slug


class TemplateVersion(TenantModel):
    """One state of a template's content; a change of content is another version."""

    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    subject = models.TextField()
    # As the author wrote it, and as it is sent: with its CSS inlined; empty where that is the same.
    html = models.TextField(blank=True)
    html_inlined = models.TextField(blank=True)
    # Why the CSS is not inlined although there is some.
    css_refusal = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True)
    # {part: [name, ...]}, as apps.templates.engine finds them.
    names = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_number_once")
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def variables(self) -> list[str]:
        """The names of all parts, each once."""
        return list(dict.fromkeys(name for part in ("subject", "html", "text") for name in self.names.get(part, ())))

    @property
    def sent_html(self) -> str:
        return self.html_inlined or self.html

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("versions are only made, by apps.templates.services.authoring")
