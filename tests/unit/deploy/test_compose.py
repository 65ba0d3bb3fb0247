import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from proxy.config.load import load
from proxy.config.models import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
PROXY = yaml.safe_load((ROOT / "deploy/compose/shadow-proxy.yaml").read_text())
DEMO = yaml.safe_load((ROOT / "proxy/demo/shadow-proxy.yaml").read_text())

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def mounts() -> Iterator[tuple[str, str]]:
    """Each file or folder of the checkout that a container sees, and where."""
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                yield source, target


def test_compose_file_follows_the_compose_specification() -> None:
    schema = json.loads(Path(__file__).with_name("compose_spec.json").read_text())
    jsonschema.validate(COMPOSE, schema, jsonschema.Draft7Validator)


def test_schema_refuses_what_compose_refuses() -> None:
    schema = json.loads(Path(__file__).with_name("compose_spec.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"proxy": {"comand": []}}}, schema, jsonschema.Draft7Validator)


def test_compose_file_carries_no_version_key() -> None:
    assert "version" not in COMPOSE


def test_every_mounted_file_exists() -> None:
    missing = [source for source, _ in mounts() if not (ROOT / source).exists()]
    assert list(mounts())
    assert missing == []


def test_image_is_built_from_files_that_exist() -> None:
    build = SERVICES["proxy"]["build"]
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]
    ]
    allowed = (ROOT / f"{build['dockerfile']}.dockerignore").read_text()
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    assert all((ROOT / name).exists() for name in copied)
    assert all(f"!{name}\n" in allowed for name in copied)


@each_service
def test_ports_are_published_on_loopback_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@each_service
def test_container_writes_nowhere_but_to_its_volumes(service: dict[str, Any]) -> None:
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert all(volume.endswith(":ro") for volume in service.get("volumes", ()) if volume.startswith("."))


@each_service
def test_container_has_a_health_check_and_time_to_stop(service: dict[str, Any]) -> None:
    checked_by_image = service["image"] == "shadow-proxy" and "HEALTHCHECK" in DOCKERFILE
    assert "healthcheck" in service or checked_by_image
    assert "stop_grace_period" in service


@each_service
def test_image_is_ours_or_pinned(service: dict[str, Any]) -> None:
    assert service["image"] == "shadow-proxy" or re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])


def test_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001"]


def test_stop_grace_is_longer_than_the_drain() -> None:
    grace = int(SERVICES["proxy"]["stop_grace_period"].removesuffix("s"))
    assert grace > settings().timeouts.drain


def settings() -> Settings:
    return load(ROOT / "deploy/compose/shadow-proxy.yaml", environ={}).settings


def test_proxy_is_warned_of_nothing_but_its_open_admin_port() -> None:
    warnings = load(ROOT / "deploy/compose/shadow-proxy.yaml", environ={}).warnings
    assert ["insecure_bind" in str(warning) for warning in warnings] == [True]


def test_proxy_is_configured_as_the_compose_file_expects() -> None:
    """The ports published, the token mounted, the folder kept, the name Prometheus asks for."""
    ours, (data, admin) = settings(), (port.split(":")[2] for port in SERVICES["proxy"]["ports"])
    assert (str(ours.listen.port), str(ours.admin.listen.port)) == (data, admin)
    assert ours.admin.token_file == f"/run/secrets/{SERVICES['proxy']['secrets'][0]}"
    assert ours.state_dir.startswith("/var/lib/shadow-proxy")
    assert "proxy" in ours.admin.hosts
    assert ours.admin.insecure_bind
    assert ours.admin.open_metrics


def test_backends_are_where_the_proxy_looks_for_them() -> None:
    scoring = settings().services["scoring"]
    for backend in (scoring.primary, scoring.candidate):
        command = SERVICES[backend.url.host]["command"]
        assert command[command.index("--version") + 1] == backend.version
        assert command[command.index("--listen") + 1].endswith(f":{backend.url.port}")


def test_endpoints_and_rules_are_the_demos() -> None:
    for part in ("endpoints", "rules", "mode"):
        assert PROXY["services"]["scoring"][part] == DEMO["services"]["scoring"][part]


def test_prometheus_scrapes_the_admin_port() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    targets = [target for job in scraped for group in job["static_configs"] for target in group["targets"]]
    assert targets == [f"proxy:{settings().admin.listen.port}"]


def test_grafana_finds_its_datasource_and_its_board() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/shadow-proxy.yml").read_text())["providers"]
    board = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    seen = {target: source for source, target in mounts()}
    assert source["url"] == "http://prometheus:9090"
    assert (ROOT / seen[board]).name == "shadow-proxy.json"
    assert str(Path(board).parent) == provider["options"]["path"]


def test_token_of_the_demo_is_never_committed() -> None:
    secret = COMPOSE["secrets"]["admin_token"]["file"]
    assert (ROOT / "deploy/compose/.gitignore").read_text().split() == [Path(secret).name]
    assert shlex.quote(secret.removeprefix("./")) in (ROOT / "deploy/compose/up").read_text()
