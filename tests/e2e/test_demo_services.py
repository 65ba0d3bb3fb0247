import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.demo import model, rows
from proxy.demo.bugs import BUGS
from proxy.demo.load import LoadResult, Plan, run

ROOT = Path(__file__).parents[2]
PATIENT = rows.load()[0]
BODY: dict[str, Any] = {"id": PATIENT.id, "features": dict(PATIENT.measurements)}
PER_CALL = ("request_id", "scored_at", "model_version")


@contextmanager
def service(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running service: its URL and its process."""
    command = [sys.executable, "-m", "proxy.demo.service", "--listen", "127.0.0.1:0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("listening on ").strip(), process
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def v1() -> Iterator[str]:
    with service("--version", "v1") as (url, _):
        yield url


@pytest.fixture(scope="module")
def v2() -> Iterator[str]:
    with service("--version", "v2") as (url, _):
        yield url


@pytest.fixture(scope="module")
def buggy() -> Iterator[str]:
    with service("--version", "v2", "--bugs", "some") as (url, _):
        yield url


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def plan() -> Plan:
    return Plan(rows.load())


async def answer(client: aiohttp.ClientSession, method: str, url: str, **options: Any) -> tuple[int, str, Any]:
    async with client.request(method, url, **options) as response:
        return response.status, response.content_type, json.loads(await response.read())


async def test_health_is_the_same_for_both_versions(client: aiohttp.ClientSession, v1: str, v2: str) -> None:
    answers = [await answer(client, "GET", f"{url}/healthz") for url in (v1, v2)]
    assert answers == [(200, "application/json", {"status": "ok"})] * 2


async def test_score_is_the_models(client: aiohttp.ClientSession, v1: str) -> None:
    status, content_type, document = await answer(client, "POST", f"{v1}/v2/score", json=BODY)
    score = model.load("v1").score(list(PATIENT.measurements.values()))
    assert (status, content_type) == (200, "application/json")
    assert (document["id"], document["label"]) == (PATIENT.id, score.label)
    assert document["probability"] == round(score.probability, 6)
    assert [part["id"] for part in document["segments"]] == ["mean", "error", "worst"]
    assert [part["deviation"] for part in document["segments"]] == [part.deviation for part in score.segments]
    assert [part["feature"] for part in document["unusual"]] == [feature for feature, _ in score.unusual]


async def test_held_out_patient_scores_as_when_posted(client: aiohttp.ClientSession, v2: str) -> None:
    _, _, posted = await answer(client, "POST", f"{v2}/v2/score", json=BODY)
    _, _, asked = await answer(client, "GET", f"{v2}/patients/{PATIENT.id}/score")
    for name in PER_CALL[:2]:
        del posted[name], asked[name]
    assert posted == asked


async def test_versions_answer_in_one_shape(client: aiohttp.ClientSession, v1: str, v2: str) -> None:
    (_, _, first), (_, _, second) = [await answer(client, "POST", f"{u}/v2/score", json=BODY) for u in (v1, v2)]
    assert list(first) == list(second)
    assert (first["model_version"], second["model_version"]) == ("v1", "v2")
    assert first["request_id"] != second["request_id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["scored_at"])


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("POST /v2/score", b"{", 400),
        ("POST /v2/score", b'{"id": "p", "features": {}}', 422),
        ("POST /v2/score", b" " * (1024 * 1024 + 1), 413),
        ("GET /patients/wdbc-000/score", None, 404),
        ("GET /nowhere", None, 404),
        ("GET /v2/score", None, 405),
    ],
    ids=["no-json", "no-patient", "too-large", "unknown-patient", "unknown-path", "wrong-method"],
)
async def test_every_refusal_is_a_problem_document(
    client: aiohttp.ClientSession, v1: str, call: str, body: bytes | None, status: int
) -> None:
    method, path = call.split()
    seen, content_type, document = await answer(client, method, v1 + path, data=body and BytesIO(body))
    assert (seen, content_type, document["status"]) == (status, "application/problem+json", status)
    assert document["title"]


async def test_missing_feature_is_named(client: aiohttp.ClientSession, v1: str) -> None:
    features = {name: value for name, value in BODY["features"].items() if name != "worst_area"}
    _, _, document = await answer(client, "POST", f"{v1}/v2/score", json={"id": "p", "features": features})
    assert document["errors"] == [{"path": "$.features.worst_area", "message": "is missing"}]


async def test_wrong_method_names_the_right_one(client: aiohttp.ClientSession, v1: str) -> None:
    async with client.get(f"{v1}/v2/score") as response:
        assert response.headers["Allow"] == "POST"


async def test_planted_bugs_show_in_the_answers(client: aiohttp.ClientSession, buggy: str) -> None:
    struck = {bug.name: next(r for r in rows.load() if bug.strikes(bug.method, r.id)) for bug in BUGS}
    lost, quoted = struck["lost_patient"], struck["quoted_probability"]
    status, _, _ = await answer(client, "GET", f"{buggy}/patients/{lost.id}/score")
    body = {"id": quoted.id, "features": quoted.measurements}
    _, _, document = await answer(client, "POST", f"{buggy}/v2/score", json=body)
    assert status == 404
    assert isinstance(document["probability"], str)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_service_cleanly(number: signal.Signals) -> None:
    with service("--version", "v1") as (_, process):
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, "")


def test_malformed_request_is_refused_without_a_traceback() -> None:
    with service("--version", "v1") as (url, process):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
            status_line = connection.makefile("rb").readline()
        process.terminate()
        _, stderr = process.communicate(timeout=20)
    assert status_line.split()[1] == b"400"
    assert not stderr


def test_taken_address_is_a_usage_error(v1: str) -> None:
    command = [sys.executable, "-m", "proxy.demo.service", "--version", "v1", "--listen", v1.removeprefix("http://")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"cannot listen on {v1.removeprefix('http://')}: ")


@pytest.mark.usefixtures("no_blocking")
async def test_load_counts_every_planned_request(v1: str, plan: Plan) -> None:
    result = await run(v1, plan, rate=400, seconds=0.5)
    assert result == LoadResult(ok=200)


async def test_load_counts_refusals_as_errors(buggy: str, plan: Plan) -> None:
    count = 3 * len(rows.load())
    lost = sum(BUGS[0].strikes("GET", row.id) for row in rows.load())
    result = await run(buggy, plan, rate=2000, seconds=count / 2000, in_flight=count)
    assert result == LoadResult(ok=count - lost, errors=lost)


async def test_load_goes_on_until_told_to_stop(v1: str, plan: Plan) -> None:
    stop, result = asyncio.Event(), LoadResult()
    load = asyncio.create_task(run(v1, plan, rate=1000, stop=stop, result=result))
    while result.ok < 20:
        await asyncio.wait([load], timeout=0.01)
    stop.set()
    assert await load is result
    assert result.errors == 0


async def test_load_counts_an_absent_service_as_errors(plan: Plan, unused_tcp_port: int) -> None:
    result = await run(f"http://127.0.0.1:{unused_tcp_port}", plan, rate=500, seconds=0.02)
    assert result == LoadResult(errors=10)


async def test_load_skips_rather_than_wait_for_a_hung_service(plan: Plan) -> None:
    release = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    result = LoadResult()
    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        load = asyncio.create_task(
            run(f"http://{host}:{port}", plan, rate=1000, seconds=0.05, in_flight=2, result=result)
        )
        while result.skipped < 48:
            await asyncio.wait([load], timeout=0.01)
        release.set()
        assert await load == LoadResult(errors=2, skipped=48)
