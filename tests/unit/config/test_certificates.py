"""Certificates and keys are tried before anything starts: what cannot serve is an error with its place in the file."""

import subprocess
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.problems import ConfigError
from tests.kit.certificates import Authority
from tests.unit.config.writing import write

LISTENER = """\
tls: {{certificate: "{certificate}", key: "{key}"{more}}}
services:
  ranker:
    primary: {{version: v1, url: "http://127.0.0.1:8001"}}
    candidate: {{version: v2, url: "http://127.0.0.1:8002"}}
"""
BACKEND = """\
services:
  ranker:
    primary: {{version: v1, url: "{url}", tls: {{{tls}}}}}
    candidate: {{version: v2, url: "http://127.0.0.1:8002"}}
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def pair(authority: Authority) -> tuple[Path, Path]:
    return authority.sign("proxy.example")


def errors(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as refused:
        load(path, environ={})
    return [str(problem).removeprefix(f"{path}:") for problem in refused.value.problems]


def listener(certificate: Path, key: Path, more: str = "") -> str:
    return LISTENER.format(certificate=certificate, key=key, more=more)


def test_a_good_pair_is_taken(authority: Authority, pair: tuple[Path, Path], tmp_path: Path) -> None:
    text = listener(*pair, more=f', client_ca: "{authority.certificate}"')
    settings = load(write(tmp_path, text), environ={}).settings
    assert settings.tls.is_on
    assert settings.tls.client_ca == str(authority.certificate)


def test_it_can_be_set_by_the_environment(pair: tuple[Path, Path], tmp_path: Path) -> None:
    environ = {"SHADOW_PROXY_TLS__CERTIFICATE": str(pair[0]), "SHADOW_PROXY_TLS__KEY": str(pair[1])}
    path = write(tmp_path, LISTENER[LISTENER.index("services") :].format())
    assert load(path, environ=environ).settings.tls.key == str(pair[1])


def test_a_file_that_is_missing_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    none = tmp_path / "none.pem"
    said = "No such file or directory: this certificate cannot be read"
    assert errors(tmp_path, listener(none, key)) == [f"1:20  error  tls.certificate: {none}: {said}"]
    (found,) = errors(tmp_path, listener(certificate, none))
    assert found.endswith(f"error  tls.key: {none}: No such file or directory: this key cannot be read")
    (found,) = errors(tmp_path, listener(certificate, key, more=f', client_ca: "{none}"'))
    assert found.endswith(f"error  tls.client_ca: {none}: {said}")


def test_a_folder_is_no_file(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (found,) = errors(tmp_path, listener(tmp_path, pair[1]))
    assert found.endswith(f"tls.certificate: {tmp_path}: is not a plain file")


def test_a_file_without_a_certificate_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    (found,) = errors(tmp_path, listener(key, key))
    assert found.endswith(f"tls.certificate: {key}: holds no certificate in PEM form")
    (found,) = errors(tmp_path, listener(certificate, key, more=f', client_ca: "{key}"'))
    assert found.endswith(f"tls.client_ca: {key}: holds no certificate in PEM form")


def test_a_file_without_a_key_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = pair[0]
    certificate.chmod(0o600)
    (found,) = errors(tmp_path, listener(certificate, certificate))
    assert found.endswith(f"tls.key: {certificate}: holds no private key in PEM form that can be used")


def test_a_key_of_another_certificate_is_named(authority: Authority, pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, other = authority.sign("other.example")
    (found,) = errors(tmp_path, listener(pair[0], other))
    assert found.endswith(f"tls.key: {other}: is not the key of {pair[0]}: give the pair that was made together")


def test_a_certificate_that_has_expired_is_named(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign("expired.example", days=-1)
    (found,) = errors(tmp_path, listener(certificate, key))
    assert found.endswith(f"tls.certificate: {certificate}: no client would accept it: certificate has expired")


def test_a_key_that_everybody_can_read_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    key.chmod(0o644)
    (found,) = errors(tmp_path, listener(certificate, key))
    assert found.endswith(f"tls.key: {key}: everybody can read or write this key: chmod 600 {key}")


def test_a_key_behind_a_passphrase_is_refused_and_nobody_is_asked(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    locked = tmp_path / "locked.key"
    words = ["openssl", "ec", "-in", str(key), "-out", str(locked), "-aes128", "-passout", "pass:secret"]
    subprocess.run(words, check=True, capture_output=True, umask=0o077)
    (found,) = errors(tmp_path, listener(certificate, locked))
    assert found.endswith(
        f"tls.key: {locked}: is locked by a passphrase, and nobody is there to type it: use a key without one"
    )


def test_a_weak_certificate_is_refused(tmp_path: Path) -> None:
    certificate, key = tmp_path / "weak.pem", tmp_path / "weak.key"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-days", "2", "-subj", "/CN=weak"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True, umask=0o077)
    (found,) = errors(tmp_path, listener(certificate, key))
    assert "tls.certificate" in found
    assert "is too weak for TLS today" in found


@pytest.mark.parametrize(
    ("tls", "path", "said"),
    [
        ("certificate: a.pem", "certificate", "needs its private key: set key too"),
        ("key: a.key", "key", "needs the certificate it belongs to: set certificate too"),
        ("client_ca: ca.pem", "client_ca", "means nothing without certificate and key: set these too"),
    ],
)
def test_a_file_that_needs_another_one_says_so(tmp_path: Path, tls: str, path: str, said: str) -> None:
    text = f"tls: {{{tls}}}\n" + LISTENER[LISTENER.index("services") :].format()
    (found,) = errors(tmp_path, text)
    assert found.endswith(f"error  tls.{path}: {said}")


# --- backends


def test_the_files_of_a_backend_are_tried_too(authority: Authority, pair: tuple[Path, Path], tmp_path: Path) -> None:
    none = tmp_path / "none.pem"
    (found,) = errors(tmp_path, BACKEND.format(url="https://a.example", tls=f'ca: "{none}"'))
    assert found.endswith(
        f"error  services.ranker.primary.tls.ca: {none}: No such file or directory: this certificate cannot be read"
    )
    _, other = authority.sign("other.example")
    text = BACKEND.format(url="https://a.example", tls=f'certificate: "{pair[0]}", key: "{other}"')
    (found,) = errors(tmp_path, text)
    assert found.endswith(
        f"primary.tls.key: {other}: is not the key of {pair[0]}: give the pair that was made together"
    )


@pytest.mark.parametrize(
    ("url", "tls", "path", "said"),
    [
        ("https://a.example", "certificate: a.pem", ".certificate", "needs its private key: set key too"),
        (
            "https://a.example",
            "ca: a.pem, verify: false",
            ".ca",
            "means nothing beside verify: false: remove one of them",
        ),
        (
            "http://a.example",
            "server_name: b.example",
            "",
            "http://a.example:80 is not asked by TLS: write https:// in its url, or remove this",
        ),
    ],
)
def test_settings_of_a_backend_that_do_not_fit_are_errors(
    tmp_path: Path, url: str, tls: str, path: str, said: str
) -> None:
    (found,) = errors(tmp_path, BACKEND.format(url=url, tls=tls))
    assert found.endswith(f"error  services.ranker.primary.tls{path}: {said}")


def test_a_backend_that_is_not_verified_is_warned_of_at_every_start(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, BACKEND.format(url="https://a.example", tls="verify: false")), environ={})
    (warning,) = loaded.warnings
    assert str(warning).endswith(
        "warning  services.ranker.primary.tls.verify: whoever can stand between us and https://a.example:443 "
        "can read and change all of its traffic"
    )


@pytest.mark.parametrize(("tls", "name"), [("", "a.example"), ("server_name: b.example", "b.example")])
def test_the_name_a_backend_must_show(tmp_path: Path, tls: str, name: str) -> None:
    settings = load(write(tmp_path, BACKEND.format(url="https://a.example", tls=tls)), environ={}).settings
    assert settings.services["ranker"].primary.server_name == name
