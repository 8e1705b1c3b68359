"""The addresses for mail servers, which no API key opens."""

from django.urls import path

from apps.inbound.api.internal import BouncesView, ComplaintsView, InboundView

urlpatterns = [
    path("bounces", BouncesView.as_view()),
    path("complaints", ComplaintsView.as_view()),
    path("inbound", InboundView.as_view()),
]
