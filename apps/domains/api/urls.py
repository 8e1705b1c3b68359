from django.urls import path

from apps.domains.api.views import DomainViewSet

urlpatterns = [
    path("mail/domains", DomainViewSet.as_view({"get": "list", "post": "create"})),
    path("mail/domains/<str:id>", DomainViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("mail/domains/<str:id>/verify", DomainViewSet.as_view({"post": "verify"})),
]
