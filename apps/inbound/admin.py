"""What comes in, in the console: reports and the bounce debugger, inbound domains, inbound mail."""

from django.contrib import admin

from apps.inbound.console.domains import InboundDomainAdmin
from apps.inbound.console.mail import InboundAttachmentAdmin, InboundMessageAdmin
from apps.inbound.console.reports import ReportAdmin
from apps.inbound.models import InboundAttachment, InboundDomain, InboundMessage, Report

admin.site.register(Report, ReportAdmin)
admin.site.register(InboundDomain, InboundDomainAdmin)
admin.site.register(InboundMessage, InboundMessageAdmin)
admin.site.register(InboundAttachment, InboundAttachmentAdmin)
