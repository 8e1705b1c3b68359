"""The addresses at the origin; the published clients build some of them themselves (wire contract 1.1)."""

from django.urls import path

from apps.assets.api.origin import DownloadView, PartView, UploadView

urlpatterns = [
    path("uploads/<str:token>", UploadView.as_view()),
    path("uploads/<str:token>/parts/<str:number>", PartView.as_view()),
    path("downloads/<str:token>", DownloadView.as_view()),
]
