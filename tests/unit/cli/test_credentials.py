from pathlib import Path

import pytest

from proxy.cli.credentials import find_token
from proxy.cli.exits import CommandError


def keep(folder: Path, name: str, token: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token)
    path.chmod(0o600)
    return path


def test_a_named_file_beats_the_environment_beats_the_kept_token(tmp_path: Path) -> None:
    keep(tmp_path, "shadow-proxy/admin-token", "kept")
    named = keep(tmp_path, "named", "named")
    environ = {"XDG_STATE_HOME": str(tmp_path), "SHADOW_PROXY_ADMIN_TOKEN": "environment"}
    url = "http://127.0.0.1:8081"
    assert find_token(url, named, environ) == "named"
    assert find_token(url, None, environ) == "environment"
    assert find_token(url, None, {"XDG_STATE_HOME": str(tmp_path)}) == "kept"
    assert find_token(url, None, {"XDG_STATE_HOME": str(tmp_path / "none")}) is None


@pytest.mark.parametrize(
    ("url", "sent"),
    [("http://localhost:1", True), ("http://[::1]:1", True), ("127.0.0.1:1", True), ("http://proxy.example:1", False)],
)
def test_the_kept_token_goes_nowhere_else_unasked(tmp_path: Path, url: str, *, sent: bool) -> None:
    keep(tmp_path, "shadow-proxy/admin-token", "kept")
    assert (find_token(url, None, {"XDG_STATE_HOME": str(tmp_path)}) == "kept") is sent


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        find_token("http://127.0.0.1:1", tmp_path / "none", {})


def test_a_state_directory_out_of_reach_counts_as_no_token() -> None:
    assert find_token("http://127.0.0.1:1", None, {"XDG_STATE_HOME": "/" + "x" * 300}) is None
