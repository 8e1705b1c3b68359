"""An S3 bucket as the storage of assets; only imported where ASSETS_URL names one (requirements-s3.txt)."""

from typing import Any, ClassVar

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends import s3

MEMORY_BYTES = 1024 * 1024


class BucketStorage(s3.S3Storage):
    """Private objects with inert types, and answers that are waited for in seconds and not minutes."""

    failures: ClassVar = (OSError, Boto3Error, BotoCoreError, ClientError)

    def __init__(self, **options: Any) -> None:
        addressing = {"addressing_style": "path"} if options.get("endpoint_url") else {}
        config = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"total_max_attempts": 3, "mode": "standard"},
            signature_version="s3v4",
            s3=addressing,
        )
        fixed = {
            "client_config": config,
            "default_acl": None,
            "file_overwrite": True,
            "max_memory_size": MEMORY_BYTES,
            "object_parameters": {"ContentType": "application/octet-stream"},
        }
        super().__init__(**fixed, **options)
