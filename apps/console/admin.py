"""Pages that span apps. A message's own app knows neither the engine nor how mail is composed, so its story is here."""

from django.contrib import admin

from apps.console.story.admin import StoryAdmin
from apps.messages.models import Message

admin.site.unregister(Message)
admin.site.register(Message, StoryAdmin)
