"""Tells browsers what our own pages may load: nothing but what comes from here, and no script inside a page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
CONSOLE = "/admin"


class ContentSecurityPolicyMiddleware:
    """For every page that does not bring a policy of its own, and for whatever else the console answers.

    What the console shows is other people's mail, so nothing of it is kept by browsers or by what stands between.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_console = request.path_info == CONSOLE or request.path_info.startswith(f"{CONSOLE}/")
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_console or is_page:
            response.headers.setdefault("Content-Security-Policy", POLICY)
        if is_console:
            response["Cache-Control"] = "no-store"
        return response
