"""Every address of the platform."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.console import health
from apps.console.reference import ReferenceView, SchemaView

MAIL_ROUTES = [
    path("", include("apps.messages.api.urls")),  # first, because POST /mail/send is asked for most
    path("", include("apps.events.api.urls")),
    path("", include("apps.domains.api.urls")),
    path("", include("apps.keys.api.urls")),
    path("", include("apps.templates.api.urls")),
    path("", include("apps.otp.api.urls")),
    path("", include("apps.scheduled.api.urls")),
    path("", include("apps.batches.api.urls")),
    path("", include("apps.inbound.api.urls")),
    path("", include("apps.webhooks.api.urls")),
]

urlpatterns = [
    # The published clients disagree about the base, so the same routes stand under both (wire contract 1.1).
    path("v1/", include(MAIL_ROUTES)),
    path("api/v1/", include(MAIL_ROUTES)),
    path("api/v1/", include("apps.assets.api.urls")),
    path("", include("apps.assets.api.origin_urls")),
    path("internal/mail/", include("apps.inbound.api.internal_urls")),
    path("v1/schema", SchemaView.as_view(), name="schema"),
    path("docs/", ReferenceView.as_view()),
    path("admin/", admin.site.urls),
    # For people who type addresses; the API itself never redirects.
    path("docs", RedirectView.as_view(url="/docs/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("", health.home),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
]

handler400 = "apps.core.api.errors.bad_request"
handler403 = "apps.core.api.errors.permission_denied"
handler404 = "apps.core.api.errors.not_found"
handler500 = "apps.core.api.errors.server_error"
