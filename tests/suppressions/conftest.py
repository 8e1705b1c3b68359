"""The operator's browser."""

from tests.console.conftest import console, staff

__all__ = ["console", "staff"]
