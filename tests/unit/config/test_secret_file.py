import os
from pathlib import Path

import pytest

from proxy.config.secret_file import MAX_SECRET_BYTES, SecretFileError, read_secret


def write(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_a_file_is_read_as_it_is(tmp_path: Path, mode: int) -> None:
    assert read_secret(write(tmp_path, b" a\r\n\x00", mode), "the key") == b" a\r\n\x00"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_file_open_to_everybody_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, b"sesame", mode)
    with pytest.raises(SecretFileError) as refused:
        read_secret(path, "the key")
    assert str(refused.value) == f"{path}: everybody can read or write the key: chmod 600 {path}"


def test_what_is_missing_a_folder_a_pipe_or_endless_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, why in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "is not a plain file"),
        (Path("/dev/zero"), "is not a plain file"),
    ):
        with pytest.raises(SecretFileError, match=f"{path}: {why}.*the key cannot be read"):
            read_secret(path, "the key")


def test_the_longest_passes_and_one_byte_more_does_not(tmp_path: Path) -> None:
    assert len(read_secret(write(tmp_path, b"x" * MAX_SECRET_BYTES), "the key")) == MAX_SECRET_BYTES
    with pytest.raises(SecretFileError, match="over 64 KiB"):
        read_secret(write(tmp_path, b"x" * (MAX_SECRET_BYTES + 1)), "the key")
