from django.urls import path

from apps.assets.api.views import AssetViewSet, UploadSessionViewSet, UploadViewSet

urlpatterns = [
    path("assets", AssetViewSet.as_view({"get": "list"})),
    path("assets/upload", UploadViewSet.as_view({"post": "upload"})),
    path("assets/upload-sessions", UploadSessionViewSet.as_view({"post": "create"})),
    path("assets/upload-sessions/<str:id>", UploadSessionViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("assets/upload-sessions/<str:id>/complete", UploadSessionViewSet.as_view({"post": "complete"})),
    # The same under the name that another published client knows.
    path("assets/upload-url", UploadSessionViewSet.as_view({"post": "create"}, schema=None)),
    path("assets/<str:id>", AssetViewSet.as_view({"get": "retrieve", "delete": "destroy"})),
    path("assets/<str:id>/replace", UploadViewSet.as_view({"put": "replace"})),
    path("assets/<str:id>/signed-url", AssetViewSet.as_view({"post": "sign"})),
]
