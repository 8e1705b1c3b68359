from django.urls import path

from apps.webhooks.api.views import DeliveryViewSet, EndpointViewSet

urlpatterns = [
    path("mail/webhooks", EndpointViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "mail/webhooks/<str:id>",
        EndpointViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("mail/webhooks/<str:id>/rotate-secret", EndpointViewSet.as_view({"post": "rotate_secret"})),
    path("mail/webhooks/<str:id>/test", EndpointViewSet.as_view({"post": "test"})),
    path("mail/webhooks/<str:id>/replay", EndpointViewSet.as_view({"post": "replay"})),
    path("mail/webhooks/<str:id>/deliveries", EndpointViewSet.as_view({"get": "deliveries"})),
    path("mail/webhook-deliveries/<str:id>", DeliveryViewSet.as_view({"get": "retrieve"})),
    path("mail/webhook-deliveries/<str:id>/retry", DeliveryViewSet.as_view({"post": "retry"})),
]
