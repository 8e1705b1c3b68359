"""Every address of the platform."""

from django.contrib import admin
from django.urls import include, path

MAIL_ROUTES = [
    path("", include("apps.events.api.urls")),
    path("", include("apps.domains.api.urls")),
    path("", include("apps.keys.api.urls")),
    path("", include("apps.messages.api.urls")),
]

urlpatterns = [
    # The published clients disagree about the base, so the same routes stand under both (wire contract 1.1).
    path("v1/", include(MAIL_ROUTES)),
    path("api/v1/", include(MAIL_ROUTES)),
    path("admin/", admin.site.urls),
]

handler400 = "apps.core.api.errors.bad_request"
handler403 = "apps.core.api.errors.permission_denied"
handler404 = "apps.core.api.errors.not_found"
handler500 = "apps.core.api.errors.server_error"
