"""The operators' console: the stock Django admin, under our name."""

from django.contrib.admin import AdminSite


class ConsoleSite(AdminSite):
    site_header = "StackShift Mail"
    site_title = "StackShift Mail"
    index_title = "Operator console"
    enable_nav_sidebar = True
