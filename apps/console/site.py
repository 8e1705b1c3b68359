"""The operators' console: the stock Django admin, under our name."""

from functools import update_wrapper
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.console import overview

# Whoever may edit a django-q2 schedule, or run a task again, may run any Python function of this server; and what
# waits in its queue carries no data anyway (apps.core.jobs). So its pages are not let in, whoever brings them.
KEPT_OUT = frozenset({"django_q"})


class ConsoleSite(AdminSite):
    site_header = "StackShift Mail"
    site_title = "StackShift Mail"
    index_title = "Operator console"
    enable_nav_sidebar = True
    site_url = "/docs/"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models = model_or_iterable if isinstance(model_or_iterable, list | tuple) else [model_or_iterable]
        admitted = [model for model in models if model._meta.app_label not in KEPT_OUT]
        super().register(admitted, admin_class, **options)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # PostgreSQL takes no NUL in a text, so a filter or a reason with one would be an error of ours.
            given = [*request.GET.lists(), *request.POST.lists()]
            if "\0" in request.path or any("\0" in value for _, values in given for value in values):
                raise BadRequest("NUL in the address or the form")
            return guarded(request, *args, **kwargs)

        return update_wrapper(inner, guarded)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {"overview": overview.read()} | (extra_context or {}))
