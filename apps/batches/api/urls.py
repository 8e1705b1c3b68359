from django.urls import path

from apps.batches.api.views import BatchSendViewSet, BatchViewSet

urlpatterns = [
    path("mail/batch", BatchSendViewSet.as_view({"post": "send"})),
    path("mail/batch-template", BatchSendViewSet.as_view({"post": "send_template"})),
    path("mail/batches", BatchViewSet.as_view({"get": "list"})),
    path("mail/batches/<str:id>", BatchViewSet.as_view({"get": "retrieve"})),
    path("mail/batches/<str:id>/items", BatchViewSet.as_view({"get": "items"})),
]
