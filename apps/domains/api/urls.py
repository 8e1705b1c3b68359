from django.urls import path

from apps.domains.api.views import DomainViewSet

urlpatterns = [
    path("mail/domains", DomainViewSet.as_view({"get": "list", "post": "create"})),
    path("mail/domains/<str:id>", DomainViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("mail/domains/<str:id>/verify", DomainViewSet.as_view({"post": "verify"})),
    path("mail/domains/<str:id>/rotate", DomainViewSet.as_view({"post": "rotate"})),
    path("mail/domains/<str:id>/second-signature", DomainViewSet.as_view({"put": "sign_twice", "delete": "sign_once"})),
]
