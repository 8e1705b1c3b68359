from django.urls import path

from apps.otp.api.views import ChallengeViewSet, OtpViewSet

urlpatterns = [
    path("mail/otp/send", OtpViewSet.as_view({"post": "send"})),
    path("mail/otp/verify", OtpViewSet.as_view({"post": "verify"})),
    path("mail/otp/challenges", ChallengeViewSet.as_view({"get": "list"})),
    path("mail/otp/challenges/<str:id>", ChallengeViewSet.as_view({"get": "retrieve"})),
    path("mail/otp/challenges/<str:id>/cancel", ChallengeViewSet.as_view({"post": "cancel"})),
]
