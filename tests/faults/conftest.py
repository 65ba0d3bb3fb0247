"""The rig of the wire tests, and the authority whose certificates are good."""

from tests.wire.conftest import authority, rig

__all__ = ["authority", "rig"]
