from django.urls import path

from apps.suppressions.api.views import SuppressionViewSet

urlpatterns = [
    path("mail/suppressions", SuppressionViewSet.as_view({"get": "list", "post": "create"})),
    path("mail/suppressions/<str:id>", SuppressionViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
]
