"""The API reference: the OpenAPI document, and a page that shows it with files from this server alone."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request

# Swagger UI writes styles into its elements; scripts still come from files only.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class SchemaView(SpectacularJSONAPIView):
    """As JSON, which is YAML too."""


class ReferenceView(SpectacularSwaggerSplitView):
    url_name = "schema"
    title = "StackShift Mail API"
    renderer_classes = [TemplateHTMLRenderer]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().get(request, *args, **kwargs)
        response["Content-Security-Policy"] = POLICY
        return response
