from django.urls import path

from apps.templates.api.views import TemplateVersionViewSet, TemplateViewSet

VERSION = "mail/templates/<str:id>/versions/<str:version_id>"

urlpatterns = [
    path("mail/templates", TemplateViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "mail/templates/<str:id>",
        TemplateViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("mail/templates/<str:id>/preview", TemplateViewSet.as_view({"post": "preview"})),
    path("mail/templates/<str:id>/diagnostics", TemplateViewSet.as_view({"post": "diagnostics"})),
    path("mail/templates/<str:id>/versions", TemplateVersionViewSet.as_view({"get": "list"})),
    path(VERSION, TemplateVersionViewSet.as_view({"get": "retrieve"})),
    path(f"{VERSION}/activate", TemplateViewSet.as_view({"post": "activate"})),
]
