"""Pages that span apps.

A message's own app knows neither the engine nor how mail is composed, so its story is here; nor do suppressions know
the messages and bounces that are the evidence for them.
"""

from django.contrib import admin

from apps.console.evidence import EvidencedSuppressionAdmin
from apps.console.story.admin import StoryAdmin
from apps.messages.models import Message
from apps.suppressions.models import Suppression

for model, page in ((Message, StoryAdmin), (Suppression, EvidencedSuppressionAdmin)):
    admin.site.unregister(model)
    admin.site.register(model, page)
