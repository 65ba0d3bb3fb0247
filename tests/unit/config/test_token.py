import re
from pathlib import Path

import pytest

from proxy.config.models import Admin, Settings
from proxy.config.token import EnsuredToken, TokenError, chosen_token, ensure_token, is_explicit, read_token

BACKENDS = {
    "primary": {"version": "v1", "url": "http://127.0.0.1:1"},
    "candidate": {"version": "v2", "url": "http://127.0.0.1:2"},
}


def settings(token_file: Path | None = None) -> Settings:
    admin = Admin(token_file=str(token_file) if token_file else None)
    return Settings.model_validate({"admin": admin, "services": {"a": BACKENDS}})


def write(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_without_a_token_128_random_bits_are_made_once(tmp_path: Path) -> None:
    first, second = (ensure_token(settings(), tmp_path, {}) for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first.token)
    assert (first.made, second.made) == (True, False)
    assert second.token == first.token
    assert first.path == tmp_path / "admin-token"
    assert first.path.stat().st_mode & 0o777 == 0o600


def test_a_configured_file_beats_the_state_directory(tmp_path: Path) -> None:
    path = write(tmp_path, "sesame\n")
    assert ensure_token(settings(path), tmp_path, {}) == EnsuredToken(path, made=False, token="sesame")
    assert not (tmp_path / "admin-token").exists()


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    environ = {"SHADOW_PROXY_ADMIN_TOKEN": "open"}
    path = write(tmp_path, "sesame")
    assert ensure_token(settings(path), tmp_path, environ) == EnsuredToken(None, made=False, token="open")


def test_a_token_never_shows_in_a_repr(tmp_path: Path) -> None:
    assert "sesame" not in repr(ensure_token(settings(write(tmp_path, "sesame")), tmp_path, {}))


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_token_file_open_to_everybody_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(TokenError, match="chmod 600"):
        read_token(write(tmp_path, "sesame", mode))


def test_a_token_file_for_a_group_is_accepted(tmp_path: Path) -> None:
    assert read_token(write(tmp_path, " sesame \n", 0o640)) == "sesame"


@pytest.mark.parametrize("content", ["", "\n", "two words", "two\nlines", "é", "x" * 5000])
def test_what_is_no_token_is_refused_without_repeating_it(tmp_path: Path, content: str) -> None:
    with pytest.raises(TokenError, match="token") as refused:
        read_token(write(tmp_path, content))
    assert "two" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="No such file"):
        ensure_token(settings(tmp_path / "none"), tmp_path, {})


def test_an_empty_variable_is_refused_rather_than_replaced(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="SHADOW_PROXY_ADMIN_TOKEN: holds no token"):
        ensure_token(settings(), tmp_path, {"SHADOW_PROXY_ADMIN_TOKEN": ""})


def test_a_link_in_the_made_tokens_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "admin-token").symlink_to(write(tmp_path, "sesame"))
    with pytest.raises(TokenError, match="is not a plain file"):
        ensure_token(settings(), tmp_path, {})


def test_a_token_is_explicit_when_somebody_chose_it(tmp_path: Path) -> None:
    assert not is_explicit(settings(), {})
    assert is_explicit(settings(tmp_path), {})
    assert is_explicit(settings(), {"SHADOW_PROXY_ADMIN_TOKEN": "t"})


def test_nobody_chose_a_token(tmp_path: Path) -> None:
    assert chosen_token(settings(), {}) is None
    assert chosen_token(settings(write(tmp_path, "sesame")), {}) is not None
