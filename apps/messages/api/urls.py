from django.urls import path

from apps.messages.api.views import BounceViewSet, MessageViewSet, SendViewSet

urlpatterns = [
    path("mail/send", SendViewSet.as_view({"post": "send"})),
    path("mail/send-template", SendViewSet.as_view({"post": "send_template"})),
    path("mail/templates/<str:id>/test-send", SendViewSet.as_view({"post": "test_send"})),
    path("mail/messages", MessageViewSet.as_view({"get": "list"})),
    path("mail/messages/<str:id>", MessageViewSet.as_view({"get": "retrieve"})),
    path("mail/messages/<str:id>/attempts", MessageViewSet.as_view({"get": "attempts"})),
    path("mail/messages/<str:id>/logs", MessageViewSet.as_view({"get": "logs"})),
    path("mail/messages/<str:id>/timeline", MessageViewSet.as_view({"get": "timeline"})),
    path("mail/messages/<str:id>/bounces", MessageViewSet.as_view({"get": "bounces"})),
    path("mail/bounces", BounceViewSet.as_view({"get": "list"})),
    path("mail/bounces/<str:id>", BounceViewSet.as_view({"get": "retrieve"})),
]
