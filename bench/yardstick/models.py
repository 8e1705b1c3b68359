"""A key, and the three rows of an accepted message."""

import uuid
from typing import ClassVar

from django.db import models


class ApiKey(models.Model):
    name = models.CharField(max_length=200)
    secret_hash = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.name


class Domain(models.Model):
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    name = models.CharField(max_length=253)
    status = models.CharField(max_length=10)

    def __str__(self) -> str:
        return self.name


class Suppression(models.Model):
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    email = models.EmailField(max_length=320)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["api_key", "email"], name="suppressed_once")]

    def __str__(self) -> str:
        return self.email


class DailyUsage(models.Model):
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    day = models.DateField()
    recipients = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["api_key", "day"], name="one_row_a_day")]

    def __str__(self) -> str:
        return f"{self.day}"


class Message(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    status = models.CharField(max_length=10, default="queued")
    from_email = models.EmailField(max_length=320)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["api_key", "created_at"])]

    def __str__(self) -> str:
        return f"{self.pk}"


class Recipient(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE)
    email = models.EmailField(max_length=320)
    status = models.CharField(max_length=10, default="queued")
    next_attempt_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["status", "next_attempt_at"])]

    def __str__(self) -> str:
        return self.email


class Event(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE)
    type = models.CharField(max_length=60)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.type
