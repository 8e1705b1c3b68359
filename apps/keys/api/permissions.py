"""A view says which scope each of its actions needs; what it does not say is refused."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.keys.errors import InsufficientScope

# For what every valid key may ask.
ANY = "any"


class HasScope(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        if (request.method or "").lower() not in view.action_map:  # the view answers 405 next
            return True
        scope = view.scopes[view.action]
        caller: Any = request.user
        if scope != ANY and not caller.may(scope):
            raise InsufficientScope(f"This key lacks the scope {scope}.", details={"requiredScope": scope})
        return True
