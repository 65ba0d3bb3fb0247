"""The rig of the wire tests, for the part of the search that runs on sockets."""

from tests.wire.conftest import rig

__all__ = ["rig"]
