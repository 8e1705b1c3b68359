from django.urls import path

from apps.keys.api.limits import LimitsViewSet

urlpatterns = [path("mail/limits", LimitsViewSet.as_view({"get": "retrieve"}))]
