from django.urls import path

from bench.yardstick.views import CheckedSendView, SendView

urlpatterns = [path("v1/mail/send", CheckedSendView.as_view()), path("bare/send", SendView.as_view())]
