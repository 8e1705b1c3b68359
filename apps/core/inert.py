"""Shows a page of somebody else's making: nothing runs, nothing is fetched unasked, and it belongs to no origin."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Once somebody has asked for them; the sender may learn from it that, and from where, the mail was looked at.
WITH_IMAGES = POLICY.replace("img-src data:", "img-src data: https: http:")


@require_safe
@xframe_options_sameorigin
def preview(request: HttpRequest, html: str, *, with_images: bool = False) -> HttpResponse:
    """The HTML of a mail, for a sandboxed frame on one of our own pages."""
    return HttpResponse(
        html,
        content_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": WITH_IMAGES if with_images else POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )


@require_safe
def download(request: HttpRequest, source: bytes, *, name: str) -> HttpResponse:
    """The source of a mail, byte for byte, to keep and not to open here."""
    return HttpResponse(
        source,
        content_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.eml"',
            "X-Content-Type-Options": "nosniff",
        },
    )
