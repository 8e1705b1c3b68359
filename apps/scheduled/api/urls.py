from django.urls import path

from apps.scheduled.api.views import ScheduledViewSet

urlpatterns = [
    path("mail/scheduled", ScheduledViewSet.as_view({"get": "list", "post": "create"})),
    path("mail/scheduled/<str:id>", ScheduledViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("mail/scheduled/<str:id>/cancel", ScheduledViewSet.as_view({"post": "cancel"})),
]
