"""The platform's addresses and one whose view breaks, for tests of the answer 500."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from stackshift_mail.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret that must not be shown: hunter2")


urlpatterns = [*urlpatterns, path("v1/broken", broken)]
