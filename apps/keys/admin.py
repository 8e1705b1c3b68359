"""API keys in the console: made here once, shown once, revoked here."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.core import clock
from apps.core.admin import ConsoleAdmin, ReadOnlyAdmin
from apps.core.made_rows import ServiceForm
from apps.core.window import WhenFilter
from apps.keys.models import ApiKey, IdempotencyKey
from apps.keys.services import SCOPES, create_key, revoke
from apps.workspaces.admin import WorkspaceFilter
from apps.workspaces.models import Workspace


class ApiKeyForm(ServiceForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        initial=["*"],
        widget=forms.CheckboxSelectMultiple,
        help_text="* allows everything.",
    )
    is_test = forms.BooleanField(
        label="test key",
        required=False,
        help_text="Its mail never leaves this server; it has rows of its own.",
    )

    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "expires_at")

    def clean_workspace(self) -> Workspace:
        workspace: Workspace = self.cleaned_data["workspace"]
        if workspace.is_test:
            raise forms.ValidationError("holds what test keys do; choose the workspace it belongs to, and a test key")
        return workspace

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= clock.now():
            raise forms.ValidationError("must be in the future")
        return expires_at

    def make(self) -> ApiKey:
        wanted = dict(self.cleaned_data)
        row, self.key = create_key(wanted.pop("workspace"), **wanted)
        return row


@admin.register(ApiKey)
class ApiKeyAdmin(ConsoleAdmin):
    """A key is made and revoked, never changed; revoked ones stay, so that old requests can be explained."""

    form = ApiKeyForm
    list_display = ("prefix", "name", "workspace", "scope_list", "last_used_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("prefix__startswith", "name")
    autocomplete_fields = ("workspace",)
    shown = (
        "id",
        "workspace",
        "name",
        "prefix",
        "scope_list",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("workspace", "name", "scopes", "is_test", "expires_at") if obj is None else self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return () if obj is None else self.shown

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # A list filtered by the beginning of the hash would tell the hash letter by letter.
        return not lookup.startswith("secret_hash") and super().lookup_allowed(lookup, value, request)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ApiKeyForm, change: bool) -> None:
        """The form's service has stored the row; the key itself lives until this request is answered."""
        request.made_key = form.key  # type: ignore[attr-defined]  # for this one answer, and kept nowhere

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        # In this answer and nowhere else: a message for the next page would put the key into a cookie.
        context = {
            **self.admin_site.each_context(request),
            "title": "The new API key",
            "opts": self.opts,
            "row": obj,
            "key": request.made_key,  # type: ignore[attr-defined]  # set by save_model
        }
        return TemplateResponse(request, "admin/keys/made.html", context)

    @admin.display(description="scopes")
    def scope_list(self, row: ApiKey) -> str:
        return ", ".join(row.scopes)

    @admin.action(description="Revoke", permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [row for row in queryset if revoke(row.workspace_id, row.pk)]
        for row in revoked:
            self.log_change(request, row, "Revoked.")
        messages.success(request, f"Revoked at once: {', '.join(row.prefix for row in revoked) or 'none'}.")


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "family", "key", "workspace", "resource_id")
    list_filter = (WhenFilter, WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("key__exact",)
    fields = ("id", "workspace", "family", "key", "fingerprint", "resource_id", "created_at")
