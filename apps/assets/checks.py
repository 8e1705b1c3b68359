"""What would only fail at the first upload is said at every start instead."""

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

BUCKET_STORAGE = "apps.assets.s3.BucketStorage"


def check_storage(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    is_bucket = settings.STORAGES["assets"]["BACKEND"] == BUCKET_STORAGE
    if not is_bucket or (find_spec("storages") and find_spec("boto3")):
        return []
    return [
        Error(
            "ASSETS_URL names an S3 bucket, but the packages for it are not installed.",
            hint="Run `.venv/bin/python -m pip install -r requirements-s3.txt`.",
            id="assets.E001",
        )
    ]
