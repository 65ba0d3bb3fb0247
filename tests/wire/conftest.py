import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.wire.rig import Rig


@pytest.fixture
async def rig(any_loop: asyncio.AbstractEventLoop, tmp_path: Path) -> AsyncIterator[Rig]:
    """A data plane between raw clients and scripted backends, on every loop; see `tests.wire.rig`."""
    assert any_loop.is_running()
    rig = Rig(tmp_path)
    yield rig
    await rig.close()
