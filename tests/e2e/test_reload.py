"""The configuration read again by a proxy that serves: a bad one changes nothing, a good one fails nobody."""

import re
import signal
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.crash_scene import Ledger
from tests.e2e.proxy_host import START_S, Answer, ProxyHost, ask
from tests.e2e.traffic import Traffic, v1, v2
from tests.kit.h11_peer import H11Backend, H11Client
from tests.kit.polling import wait_until
from tests.kit.ports import LOOPBACK

IGNORED = 'rules: [{id: r1, path: "$.item", use: ignore, reason: "as planned", author: tester}]'


class Stage:
    """Two primaries that answer alike, a candidate that is wrong now and then, a file, and a proxy that reads it."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.file = folder / "shadow-proxy.yaml"
        self._folder = folder
        self._stack = stack
        self.proxy: ProxyHost

    async def start(self, *words: str, **written: Any) -> None:
        self.old, self.new = [await self._stack.enter_async_context(H11Backend(v1)) for _ in range(2)]
        self.candidate = await self._stack.enter_async_context(H11Backend(v2))
        self.write(**written)
        host = ProxyHost(self._folder, "-c", str(self.file), *words)
        self.proxy = await to_thread(self._stack.enter_context, host)

    def write(
        self, *, primary: H11Backend | None = None, service: str = "", top: str = "", version: str = "v1"
    ) -> None:
        """The file: one service, plus lines of its own and of the top level."""
        lines = [
            "services:",
            "  ranker:",
            f'    primary: {{version: "{version}", url: "http://{LOOPBACK}:{(primary or self.old).port}"}}',
            f'    candidate: {{version: "v2", url: "http://{LOOPBACK}:{self.candidate.port}"}}',
            *(f"    {line}" for line in service.splitlines()),
            *top.splitlines(),
        ]
        self.file.write_text("\n".join(lines) + "\n")

    def said(self) -> Any:
        return self.proxy.get("/api/v1/status").json

    def reload(self) -> Any:
        """SIGHUP; the status once what was read last is another reading."""
        before = self.said()["configuration"]["read_at"]
        self.proxy.process.send_signal(signal.SIGHUP)

        def read() -> Any:
            said = self.said()
            return said if said["configuration"]["read_at"] != before else None

        return wait_until(read, "the configuration to be read again", START_S)

    def compared(self, requests: int) -> None:
        """Wait until so many requests of the services are counted and compared."""

        def is_balanced() -> bool:
            services = self.said()["services"]
            ended = [sum(one["verdicts"].values()) + one["dropped"] for one in services]
            return (
                sum(one["requests"] for one in services) == requests
                and all(one["mirrored"] + sum(one["not_mirrored"].values()) == one["requests"] for one in services)
                and [one["mirrored"] for one in services] == ended
            )

        wait_until(is_balanced, f"{requests} requests compared", START_S)

    def reload_by_call(self, query: str = "") -> Answer:
        return self.proxy.change("POST", f"/api/v1/config/reload{query}", {"reason": "a test"})


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path, stack)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_no_request_fails_over_good_and_bad_reloads(stage: Stage, workers: str) -> None:
    await stage.start("--workers", workers)
    version = stage.said()["snapshot"]
    async with Traffic(stage.proxy.port, clients=8) as traffic:
        for turn, primary in enumerate((stage.new, stage.old, stage.new)):
            stage.write(primary=primary, service=IGNORED, top=f"timeouts: {{first_byte: {turn + 7}s}}")
            said = await to_thread(stage.reload)
            assert said["configuration"]["in_force"], said["configuration"]
            assert said["snapshot"] == said["configuration"]["snapshot"] == version + turn + 1
            await traffic.goes_on()
            stage.write(primary=stage.old, top="wrokers: 2")
            assert not (await to_thread(stage.reload))["configuration"]["in_force"]
            await traffic.goes_on()
    found = await to_thread(stage.proxy.settled, traffic.answered)
    assert found.total("shadow_requests_total", code="2xx") == traffic.answered
    assert len(stage.old.requests) + len(stage.new.requests) == traffic.answered


async def test_requests_go_to_the_new_address_and_the_old_connections_end(stage: Stage) -> None:
    await stage.start()
    async with Traffic(stage.proxy.port) as traffic:
        await traffic.goes_on()
        stage.write(primary=stage.new)
        await to_thread(stage.reload)
        await traffic.goes_on()  # those under way have ended
        before = len(stage.old.requests)
        await traffic.goes_on()
        assert len(stage.old.requests) == before
        await to_thread(wait_until, lambda: not stage.old.open, "the old pool to be gone")
    await to_thread(stage.proxy.settled, traffic.answered)


async def test_an_unchanged_backend_keeps_its_connections(stage: Stage) -> None:
    kept = "pool: {idle: 60s}"
    await stage.start(top=kept)
    async with await H11Client.open(stage.proxy.port) as client:
        await client.exchange("GET", "/items/1")
        await to_thread(stage.proxy.settled, 1)
        before = stage.old.accepted, stage.candidate.accepted
        for service in (IGNORED, "mode: shadow", 'endpoints: [{name: item, match: "GET /items/{id}"}]'):
            stage.write(service=service, top=f"{kept}\njudge: {{queue: 4MiB}}")
            await to_thread(stage.reload)
            assert (await client.exchange("GET", "/items/1")).status == 200
    await to_thread(stage.proxy.settled, 4)
    assert (stage.old.accepted, stage.candidate.accepted) == before


async def test_a_bad_configuration_is_refused_with_every_error_and_the_old_one_stays(stage: Stage) -> None:
    await stage.start()
    before = stage.said()
    stage.write(primary=stage.new, service="mirror: {share: 1.5}", top="wrokers: 2")
    said = await to_thread(stage.reload)
    assert said["snapshot"] == before["snapshot"]
    errors = said["configuration"]["errors"]
    assert [(error["place"], error["setting"]) for error in errors] == [
        (f"{stage.file}:5:21", "services.ranker.mirror.share"),
        (f"{stage.file}:6:1", "wrokers"),
    ]
    for error in errors:
        stage.proxy.process.wait_for_line(rf"configuration error.*{re.escape(error['place'])}")
    stage.proxy.process.wait_for_line(r"configuration refused: the one in force stays.*2 errors")
    assert stage.proxy.metrics().total("shadow_config_last_reload_successful") == 0
    async with await H11Client.open(stage.proxy.port) as client:
        assert (await client.exchange("GET", "/items/1")).status == 200
    assert (len(stage.old.requests), len(stage.new.requests)) == (1, 0)
    answer = stage.reload_by_call()
    assert (answer.status, answer.json["errors"]) == (422, errors)
    stage.write()
    assert (await to_thread(stage.reload))["configuration"]["in_force"]
    assert stage.proxy.metrics().total("shadow_config_last_reload_successful") == 1


async def test_what_needs_a_restart_is_named_and_kept_and_the_rest_applies(stage: Stage) -> None:
    await stage.start()
    stage.write(primary=stage.new, top="workers: 3\nlog_format: json\nadmin: {token_file: elsewhere, hosts: [ops]}")
    said = await to_thread(stage.reload)
    named = ["admin.token_file", "workers", "log_format"]
    assert (said["configuration"]["in_force"], said["configuration"]["needs_restart"]) == (True, named)
    stage.proxy.process.wait_for_line(r"stay as they are until a restart.*admin\.token_file, workers, log_format")
    async with await H11Client.open(stage.proxy.port) as client:
        assert (await client.exchange("GET", "/items/1")).status == 200
    assert len(stage.new.requests) == 1
    assert len([row for row in said["processes"] if row["process"].startswith("worker")]) == 1


async def test_changed_rules_hold_for_the_pairs_that_follow(stage: Stage) -> None:
    await stage.start()
    async with await H11Client.open(stage.proxy.port) as client:
        await client.exchange("GET", "/items/10")
        await to_thread(stage.proxy.settled, 1)
        stage.write(service=IGNORED)
        await to_thread(stage.reload)
        await client.exchange("GET", "/items/10")
    found = await to_thread(stage.proxy.settled, 2)
    verdicts = ("mismatch", "tolerated", "match")
    counted = {verdict: found.total("shadow_comparisons_total", verdict=verdict) for verdict in verdicts}
    assert counted["mismatch"] == 1
    assert sum(counted.values()) == 2


async def test_endpoints_versions_and_services_come_and_go_and_counters_never_go_back(stage: Stage) -> None:
    await stage.start()
    named = 'endpoints: [{name: item, match: "GET /items/{id}"}]'
    other = f"""\
  search:
    hosts: [search.example]
    primary: {{version: v1, url: "http://127.0.0.1:{stage.new.port}"}}
    candidate: {{version: v2, url: "http://127.0.0.1:{stage.candidate.port}"}}
    mirror: {{warm_up: 0s}}
"""
    steps: list[dict[str, Any]] = [
        {"service": named},
        {"service": named, "top": other},
        {"version": "v1.1", "top": other},
        {},
        {"version": "v1.1", "service": named},
        {"service": named},
    ]
    asked, ledger = 0, Ledger()
    async with await H11Client.open(stage.proxy.port) as client:
        for step in steps:
            stage.write(**step)
            await to_thread(stage.reload)
            for _ in range(3):
                await client.exchange("GET", "/items/7")
            asked += 3
            await to_thread(stage.compared, asked)
            ledger.show(stage.proxy.metrics())
        fields = ((b"Host", b"search.example"),)
        stage.write(top=other)
        await to_thread(stage.reload)
        await client.exchange("GET", "/items/7", fields)
        await to_thread(stage.compared, asked + 1)
        ledger.show(stage.proxy.metrics())
        assert stage.said()["services"][1]["compared"] == 1
        stage.write(version="v1.1", service=named)
        await to_thread(stage.reload)
        await to_thread(stage.compared, asked)
        found = stage.proxy.metrics()
    ledger.show(found)
    assert {dict(labels)["backend"] for labels in found.samples["shadow_requests_total"]} == {"v1.1", "proxy"}
    assert found.total("shadow_requests_total", endpoint="item") == 3


async def test_a_mode_changes_only_where_the_file_says_another_one_and_then_the_safer_holds(stage: Stage) -> None:
    await stage.start()

    def modes(mode: str) -> str:
        stage.write(service=f"mode: {mode}")
        return str(stage.reload()["services"][0]["mode"])

    assert await to_thread(modes, "primary") == "primary"
    assert await to_thread(modes, "shadow") == "shadow"
    change = {"mode": "primary"}
    assert stage.proxy.change("PUT", "/api/v1/services/ranker/mode", change).status == 200
    assert await to_thread(modes, "shadow") == "primary"
    assert stage.proxy.change("PUT", "/api/v1/services/ranker/mode", {"mode": "shadow"}).status == 200
    assert await to_thread(modes, "primary") == "primary"
    gone = stage.proxy.kill("control")
    await to_thread(stage.proxy.restarted, gone, "control")
    await to_thread(wait_until, lambda: admin_answers(stage), "the admin port to answer again", START_S)
    assert stage.said()["services"][0]["mode"] == "primary"
    assert await to_thread(modes, "shadow") == "shadow"


def admin_answers(stage: Stage) -> bool:
    try:
        return stage.proxy.get("/healthz").status == 200
    except OSError:
        return False


async def test_a_call_reloads_too_and_says_what_it_changed(stage: Stage) -> None:
    await stage.start()
    version = stage.said()["snapshot"]
    stage.write(primary=stage.new, top="pool: {idle: 2s}")
    tried = stage.reload_by_call("?dry_run=true")
    assert (tried.status, tried.json["dry_run"], stage.said()["snapshot"]) == (200, True, version)
    done = stage.reload_by_call().json
    assert (done["before"], done["after"]) == ({"snapshot": version}, {"snapshot": version + 1})
    assert (
        (done["changed"], done["settings"])
        == (True, ["pool", "services.ranker"])
        == (
            tried.json["changed"],
            tried.json["settings"],
        )
    )
    fields = {"Authorization": f"Bearer {stage.proxy.token_file.read_text().strip()}"}
    row = ask(stage.proxy.admin, "GET", "/api/v1/audit", None, fields).json["audit"][0]
    assert (row["audit_id"], row["route"], row["reason"]) == (
        done["audit_id"],
        "POST /api/v1/config/reload",
        "a test",
    )
    assert stage.proxy.change("GET", "/api/v1/config/reload", {}).status == 405
    assert ask(stage.proxy.admin, "POST", "/api/v1/config/reload").status == 401


@pytest.mark.parametrize("killed", ["control", "worker", "judge"])
async def test_processes_that_are_started_again_find_the_new_configuration(stage: Stage, killed: str) -> None:
    await stage.start()
    stage.write(primary=stage.new, service=IGNORED)
    await to_thread(stage.reload)
    gone = stage.proxy.kill(killed)
    await to_thread(stage.proxy.restarted, gone, killed)
    await to_thread(wait_until, lambda: admin_answers(stage), "the admin port to answer", START_S)
    async with await H11Client.open(stage.proxy.port, deadline_s=START_S) as client:
        assert (await client.exchange("GET", "/items/10")).status == 200
    assert (len(stage.old.requests), len(stage.new.requests)) == (0, 1)
    await to_thread(stage.proxy.settled, 1)


async def test_a_refused_reload_is_still_said_when_control_is_back(stage: Stage) -> None:
    await stage.start()
    stage.write(top="wrokers: 2")
    errors = stage.reload_by_call().json["errors"]
    gone = stage.proxy.kill("control")
    await to_thread(stage.proxy.restarted, gone, "control")
    await to_thread(wait_until, lambda: admin_answers(stage), "the admin port to answer", START_S)
    assert (stage.said()["configuration"]["in_force"], stage.said()["configuration"]["errors"]) == (False, errors)
    assert stage.proxy.metrics().total("shadow_config_last_reload_successful") == 0


async def test_a_reload_asked_for_while_control_is_away_is_done_when_it_is_back(stage: Stage) -> None:
    await stage.start()
    stage.write(primary=stage.new)
    gone = stage.proxy.kill("control")
    stage.proxy.process.send_signal(signal.SIGHUP)
    await to_thread(stage.proxy.restarted, gone, "control")
    stage.proxy.process.wait_for_line("configuration reloaded", START_S)
    async with await H11Client.open(stage.proxy.port) as client:
        await client.exchange("GET", "/items/1")
    assert len(stage.new.requests) == 1
