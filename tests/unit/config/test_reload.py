from pathlib import Path
from typing import Any

import pytest

from proxy.config.flags import Flags
from proxy.config.models import Settings
from proxy.config.problems import ConfigError
from proxy.config.reload import FIXED, changed, merged, read_again
from proxy.config.sources import Sources

SERVICE = {
    "primary": {"version": "v1", "url": "http://127.0.0.1:9001"},
    "candidate": {"version": "v2", "url": "http://127.0.0.1:9002"},
}
TLS = {"certificate": "cert.pem", "key": "key.pem"}


def settings(**top: Any) -> Settings:
    return Settings.model_validate({"services": {"ranker": SERVICE}, **top})


@pytest.mark.parametrize(
    ("top", "named"),
    [
        ({"listen": "127.0.0.1:9"}, ["listen"]),
        ({"tls": TLS}, ["tls"]),
        ({"admin": {"listen": "127.0.0.1:9"}}, ["admin.listen"]),
        ({"admin": {"token_file": "t"}}, ["admin.token_file"]),
        ({"admin": {"insecure_bind": True}}, ["admin.insecure_bind"]),
        ({"state_dir": "/s"}, ["state_dir"]),
        ({"workers": 2, "log_format": "json"}, ["workers", "log_format"]),
    ],
)
def test_what_is_fixed_at_the_start_is_named_and_stays(top: dict[str, Any], named: list[str]) -> None:
    kept, waiting = merged(settings(), settings(**top, timeouts={"drain": "7s"}))
    assert waiting == named
    assert kept == settings(timeouts={"drain": "7s"})


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {path[0] for path in FIXED if len(path) == 1}))
def test_everything_else_is_taken_as_read(name: str) -> None:
    tops: dict[str, Any] = {
        "admin": {"hosts": ["ops"], "open_metrics": True},
        "limits": {"connections": 7},
        "timeouts": {"drain": "7s"},
        "pool": {"idle": "7s"},
        "mirror_budget": "7MiB",
        "judge": {"queue": "7MiB"},
        "shed": {"loop_lag": "7s"},
        "forwarded": {"mode": "off"},
        "errors": {"proxy_status": False},
        "default_service": "ranker",
        "services": {"search": SERVICE},
    }
    if name == "version":
        return  # there is one
    read = settings(**{name: tops[name]})
    assert merged(settings(), read) == (read, [])
    assert list(changed(settings(), read)) == (["services.ranker", "services.search"] if name == "services" else [name])


def test_nothing_has_changed_in_the_same_configuration() -> None:
    assert list(changed(settings(), settings())) == []


def written(folder: Path, *lines: str) -> Sources:
    file = folder / "shadow-proxy.yaml"
    file.write_text("\n".join(lines))
    return Sources(file, Flags(primary="http://127.0.0.1:9001"))


def test_a_credential_that_is_read_again_has_changed_only_if_its_value_has(tmp_path: Path) -> None:
    key = tmp_path / "key"
    sources = written(
        tmp_path,
        "services:",
        "  default:",
        "    candidate:",
        "      version: v2",
        "      url: 'http://127.0.0.1:9002'",
        f"      headers: {{add: {{X-Key: {{file: {key}}}}}}}",
    )

    def read(value: str) -> Settings:
        key.write_text(value)
        key.chmod(0o600)
        return sources.load().settings

    running = Settings.model_validate(read("one").with_secrets())
    assert list(changed(running, read("one"))) == []
    assert list(changed(running, read("two"))) == ["services.default"]


def test_flags_go_on_to_beat_the_file(tmp_path: Path) -> None:
    sources = written(tmp_path, "services: {default: {candidate: {version: v2, url: 'http://127.0.0.1:9002'}}}")
    read, waiting = read_again(sources, sources.load().settings)
    assert str(read.services["default"].primary.url) == "http://127.0.0.1:9001"
    assert waiting == []
    assert Sources.decode(sources.encode()) == sources


def test_a_backend_at_the_address_we_listen_at_until_a_restart_is_refused_with_its_place(tmp_path: Path) -> None:
    running = settings(listen="127.0.0.1:8000", services={"default": SERVICE})
    sources = written(
        tmp_path,
        "listen: 127.0.0.1:8001",
        "services:",
        "  default:",
        "    candidate: {version: v2, url: 'http://127.0.0.1:8000'}",
    )
    with pytest.raises(ConfigError) as refused:
        read_again(sources, running)
    (problem,) = refused.value.problems
    assert (problem.line, problem.path) == (4, "services.default.candidate.url")
    assert problem.message == "http://127.0.0.1:8000 is this proxy itself (until a restart changes listen)"


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_again(Sources(tmp_path / "gone.yaml"), settings())
