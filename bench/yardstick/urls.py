from django.urls import path

from bench.yardstick.views import SendView

urlpatterns = [path("v1/mail/send", SendView.as_view())]
