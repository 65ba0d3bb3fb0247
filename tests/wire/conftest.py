import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.certificates import Authority
from tests.wire.forms import FORMS, TRANSMISSIONS, Form
from tests.wire.rig import Rig


@pytest.fixture
async def rig(any_loop: asyncio.AbstractEventLoop, tmp_path: Path) -> AsyncIterator[Rig]:
    """A data plane between raw clients and scripted backends, on every loop; see `tests.wire.rig`."""
    assert any_loop.is_running()
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


@pytest.fixture(params=FORMS, ids=str)
def form(request: pytest.FixtureRequest) -> Form:
    """Runs the test once per form an exchange can have; see `tests.wire.forms`."""
    form: Form = request.param
    return form


@pytest.fixture(params=TRANSMISSIONS, ids=lambda form: "bytewise" if form.bytewise else "whole")
def transmission(request: pytest.FixtureRequest) -> Form:
    """Runs the test once with its bytes sent at once and once in single bytes."""
    form: Form = request.param
    return form


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs certificates for everybody here."""
    return Authority.make(tmp_path_factory.mktemp("authority"))
