"""Users, workspaces and members in the console, and the record of what operators did there."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.admin import GroupAdmin as StockGroupAdmin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.core import clock
from apps.core.admin import ConsoleAdmin, ReadOnlyAdmin, StrictAdmin, list_link, page_link
from apps.core.errors import Invalid
from apps.core.ids import parse_id
from apps.core.window import ANY, PARAMETER, WhenFilter
from apps.workspaces import services
from apps.workspaces.limits import usage
from apps.workspaces.models import Member, UsageCount, User, Workspace
from apps.workspaces.slugs import check_slug

MAX_OFFERED = 30


class WorkspaceFilter(admin.SimpleListFilter):
    """Offers the first workspaces by name, and takes the id of any; a server may have thousands."""

    title = "workspace"
    parameter_name = "workspace"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        offered = Workspace.objects.order_by("slug").values_list("pk", "slug")[:MAX_OFFERED]
        return [(str(pk), slug) for pk, slug in offered]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        identifier = parse_id(str(self.value()))
        if identifier is None:
            raise IncorrectLookupParameters("not the id of a workspace")
        return queryset.filter(workspace_id=identifier)


class UserAddForm(BaseUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        # Stored in lower case, as everywhere else, so that the unique constraint sees every spelling.
        email: str = self.cleaned_data["email"].lower()
        return email


class UserEditForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        return email


@admin.register(User)
class UserAdmin(StrictAdmin, StockUserAdmin):
    """People sign in with their e-mail address. They are switched off, not deleted: the record names them."""

    form = UserEditForm
    add_form = UserAddForm
    list_display = ("email", "name", "is_staff", "is_superuser", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "password", "name")}),
        ("May do", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Times", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(StrictAdmin, StockGroupAdmin):
    """Which permissions go together; the stock page, with our rules for lists."""


class WorkspaceForm(forms.ModelForm):
    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        try:
            check_slug(slug)
        except Invalid as refusal:
            raise forms.ValidationError(refusal.details["fields"]["slug"]) from refusal
        return slug

    def clean_default_sender(self) -> str:
        text: str = self.cleaned_data["default_sender"]
        try:
            if text:
                services.check_sender(text)
        except Invalid as refusal:
            raise forms.ValidationError(refusal.details["fields"]["default_sender"]) from refusal
        return text


@admin.register(Workspace)
class WorkspaceAdmin(ConsoleAdmin):
    """Workspaces are suspended, not deleted: with them would go all their history."""

    form = WorkspaceForm
    list_display = (
        "slug",
        "name",
        "tier",
        "status",
        "daily_limit",
        "hourly_limit",
        "is_for_tests",
        "created_at",
    )
    list_filter = ("status", "tier", ("test_of", admin.EmptyFieldListFilter))
    search_fields = ("slug", "name")
    ordering = ("slug",)
    fields = ("slug", "name", "tier", "status", "daily_limit", "hourly_limit", "default_sender")
    shown_later = ("id", "test_of", "used", "created_at", "contents")
    actions = ("suspend", "activate")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields if obj is None else (*self.fields, *self.shown_later)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return () if obj is None else ("slug", *self.shown_later)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="for test keys", boolean=True)
    def is_for_tests(self, workspace: Workspace) -> bool:
        return workspace.is_test

    @admin.display(description="recipients used")
    def used(self, workspace: Workspace) -> str:
        used = usage(workspace)
        return (
            f"{used.daily_used} of {_limit(used.limits.daily)} today (UTC), "
            f"{used.hourly_used} of {_limit(used.limits.hourly)} this hour"
        )

    @admin.display(description="what it holds")
    def contents(self, workspace: Workspace) -> SafeString:
        """Links to every list that has a filter by workspace, so that no app above needs to be known here."""
        links = []
        for model, model_admin in self.admin_site._registry.items():
            if WorkspaceFilter in model_admin.list_filter:
                # What it holds is more than the last day's.
                when = {PARAMETER: ANY} if WhenFilter in model_admin.list_filter else {}
                name = str(model._meta.verbose_name_plural)
                links.append((list_link(model, name, workspace=workspace.pk, **when),))
        return format_html_join(" · ", "{}", links)

    @admin.action(description="Suspend: refuse new mail and hold what waits", permissions=["operate"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        self._switch(request, queryset, Workspace.Status.SUSPENDED)

    @admin.action(description="Activate", permissions=["operate"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        self._switch(request, queryset, Workspace.Status.ACTIVE)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Workspace], status: Workspace.Status) -> None:
        changing = [workspace for workspace in queryset if services.switch(workspace, status)]
        for workspace in changing:
            self.log_change(request, workspace, f"Made {status.label.lower()}.")
        names = ", ".join(workspace.slug for workspace in changing)
        messages.success(request, f"Now {status.label.lower()}: {names or 'none'}.")


@admin.register(Member)
class MemberAdmin(ConsoleAdmin):
    list_display = ("user", "workspace", "role", "created_at")
    list_filter = ("role", WorkspaceFilter)
    list_select_related = ("user", "workspace")
    search_fields = ("user__email", "workspace__slug")
    autocomplete_fields = ("user", "workspace")


@admin.register(UsageCount)
class UsageCountAdmin(ReadOnlyAdmin):
    list_display = ("starts_at", "period", "workspace", "recipients")
    list_filter = ("period", WorkspaceFilter)
    list_select_related = ("workspace",)
    ordering = ("-starts_at", "-pk")


class WhenLoggedFilter(WhenFilter):
    """By the time itself: these ids are plain numbers."""

    certain = WhenFilter.certain | {"user", "object_id"}

    def since(self, queryset: QuerySet[Any], span: timedelta) -> QuerySet[Any]:
        return queryset.filter(action_time__gte=clock.now() - span)


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who did what in this console."""

    list_display = ("action_time", "user", "action_flag", "content_type", "thing", "change")
    list_filter = (WhenLoggedFilter, "action_flag")
    list_select_related = ("user", "content_type")
    search_fields = ("user__email", "object_id__exact")
    fields = ("action_time", "user", "action_flag", "content_type", "thing", "change")

    @admin.display(description="what")
    def thing(self, entry: LogEntry) -> SafeString | str:
        model = entry.content_type.model_class() if entry.content_type else None
        if model is None or entry.object_id is None or model not in self.admin_site._registry:
            return entry.object_repr
        return page_link(model, entry.object_id, entry.object_repr or entry.object_id)

    @admin.display(description="change")
    def change(self, entry: LogEntry) -> str:
        return entry.get_change_message()


def _limit(limit: int | None) -> str:
    return "any number" if limit is None else str(limit)
