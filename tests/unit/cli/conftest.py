from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.stub_admin import StubAdmin, stub_admin


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: no token, no settings, no colours from outside."""
    for name in ("SHADOW_PROXY_ADMIN_TOKEN", "XDG_STATE_HOME", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def admin() -> Iterator[StubAdmin]:
    with stub_admin() as stub:
        yield stub
