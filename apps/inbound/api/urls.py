from django.urls import path

from apps.inbound.api.views import InboundDomainViewSet, InboundMessageViewSet

urlpatterns = [
    path("mail/inbound/domains", InboundDomainViewSet.as_view({"get": "list", "post": "create"})),
    path("mail/inbound/domains/<str:id>", InboundDomainViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("mail/inbound/domains/<str:id>/verify", InboundDomainViewSet.as_view({"post": "verify"})),
    path("mail/inbound/messages", InboundMessageViewSet.as_view({"get": "list"})),
    path("mail/inbound/messages/<str:id>", InboundMessageViewSet.as_view({"get": "retrieve"})),
    path("mail/inbound/messages/<str:id>/attachments", InboundMessageViewSet.as_view({"get": "attachments"})),
    path(
        "mail/inbound/messages/<str:id>/attachments/<str:attachment_id>",
        InboundMessageViewSet.as_view({"get": "download"}),
    ),
]
