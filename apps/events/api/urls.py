from django.urls import path

from apps.events.api.views import EventViewSet

urlpatterns = [
    path("mail/events", EventViewSet.as_view({"get": "list"})),
    path("mail/events/<str:id>", EventViewSet.as_view({"get": "retrieve"})),
]
