"""Each test has a storage of its own."""

from tests.assets.conftest import folder

__all__ = ["folder"]
