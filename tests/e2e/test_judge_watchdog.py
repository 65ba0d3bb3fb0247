"""Pairs that hold their judge: it is killed and comes back without them, and what kills again and again is left out."""

import gzip
import os
import signal
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.ipc.whereabouts import Whereabouts, read_whereabouts
from proxy.judge.watchdog import CLOCK_FACTOR, REARMED
from proxy.supervisor.post_mortem import LATE_S
from tests.e2e.proxy_host import START_S, ProxyHost, ask
from tests.kit.h11_peer import H11Backend, H11Reply, H11Request
from tests.kit.metrics import Metrics
from tests.kit.polling import wait_until
from tests.kit.ports import LOOPBACK

STALLING = Path(__file__).parent / "stalling"
RULES = 'rules: [{id: slow, path: "$.how", use: stalls, reason: "%s", author: tester}]'
JSON = (b"Content-Type", b"application/json")
HEAVY_ITEMS = 150_000  # many times the stall, on any machine
BOMB = 100_000_000
ENOUGH_ANSWERS = 5


def primary(request: H11Request) -> H11Reply:
    if request.target == b"/heavy":
        return json(b"[%s]" % b",".join(b"%d" % number for number in range(HEAVY_ITEMS)))
    if request.target == b"/bomb":
        return packed(b"1")
    return json(b'{"how":"well"}')


def candidate(request: H11Request) -> H11Reply:
    """Differs in what it is asked for: `/python` makes the rule's comparator loop."""
    if request.target == b"/heavy":
        return json(b"[%s]" % b",".join(b"%d" % (number + 1) for number in range(HEAVY_ITEMS)))
    if request.target == b"/bomb":
        return packed(b"2")
    return json(b'{"how":"%s"}' % request.target[1:])


def json(body: bytes, *fields: tuple[bytes, bytes]) -> H11Reply:
    return H11Reply(fields=(JSON, (b"Content-Length", b"%d" % len(body)), *fields), body=body)


def packed(digit: bytes) -> H11Reply:
    return json(gzip.compress(digit * BOMB, mtime=0), (b"Content-Encoding", b"gzip"))


class Stage:
    """A proxy whose judge knows the comparator of `stalling`, and one rule that uses it."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.asked = 0
        self._folder = folder
        self._file = folder / "shadow-proxy.yaml"
        self._stack = stack
        self.proxy: ProxyHost

    async def start(self, stall: str = "250ms") -> None:
        self._primary = await self._stack.enter_async_context(H11Backend(primary))
        self._candidate = await self._stack.enter_async_context(H11Backend(candidate))
        self.write(stall)
        self.proxy = await to_thread(self._stack.enter_context, ProxyHost(self._folder, "-c", str(self._file)))

    def write(self, stall: str = "250ms", reason: str = "as it is") -> None:
        lines = [
            "services:",
            "  ranker:",
            f'    primary: {{version: v1, url: "http://{LOOPBACK}:{self._primary.port}"}}',
            f'    candidate: {{version: v2, url: "http://{LOOPBACK}:{self._candidate.port}"}}',
            '    endpoints: [{name: heavy, match: "GET /heavy"}]',
            f"    {RULES % reason}",
            f"judge: {{stall: {stall}}}",
        ]
        self._file.write_text("\n".join(lines) + "\n")

    def reload(self) -> None:
        def read_at() -> object:
            return self.proxy.get("/api/v1/status").json["configuration"]["read_at"]

        before = read_at()
        self.proxy.process.send_signal(signal.SIGHUP)
        wait_until(lambda: read_at() != before, "the configuration to be read again", START_S)

    def ask(self, *hows: str) -> None:
        """Every client gets the primary's answer, whatever becomes of the comparison."""
        for how in hows:
            answer = ask(self.proxy.port, "GET", f"/{how}")
            assert answer.status == 200
            assert how in {"heavy", "bomb"} or answer.body == b'{"how":"well"}'
            self.asked += 1

    def ends(self, name: str, **labels: str) -> Callable[[], float]:
        return lambda: self.proxy.metrics().total(name, **labels)

    def killed(self, times: int) -> None:
        """Wait until so many pairs were counted as killers, and somebody judges again."""
        killed = self.ends("shadow_dropped_total", reason="judge_killed")
        wait_until(lambda: killed() == times, f"{times} kills are counted", START_S)
        self.compares()

    def compares(self) -> None:
        """Ask until one more pair is compared."""
        compared = self.ends("shadow_comparisons_total")
        before = compared()

        def is_compared() -> bool:
            self.ask("well")
            return compared() > before

        wait_until(is_compared, "pairs are compared", START_S)

    def settled(self) -> Metrics:
        return self.proxy.settled(self.asked, START_S)

    def under_way(self) -> Whereabouts:
        """Wait until the judge applies the rule."""
        folder = Path((self.proxy.state_dir / "lock").read_text())

        def applies() -> Whereabouts | None:
            found = read_whereabouts(folder / "judge-0.at")
            return found if found and found.suspect.kind == "rule" else None

        found = wait_until(applies, "the judge to apply the rule", START_S)
        assert found
        return found

    def judge(self) -> int:
        found = self.proxy.member("judge")
        assert found
        return found.pid


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setenv("PYTHONPATH", str(STALLING))
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path, stack)


@pytest.mark.parametrize("how", ["python", "c", "asleep"])
async def test_a_pair_that_holds_the_judge_is_dropped_with_it_and_with_nothing_else(stage: Stage, how: str) -> None:
    await stage.start()
    await to_thread(stage.compares)
    await to_thread(stage.ask, *["well"] * ENOUGH_ANSWERS, how, *["well"] * ENOUGH_ANSWERS)
    await to_thread(stage.killed, 1)
    found = await to_thread(stage.settled)
    dropped = found.total("shadow_dropped_total")
    assert dropped == 1 + found.total("shadow_dropped_total", reason="judge_lost")
    assert found.total("shadow_comparisons_total") == stage.asked - dropped


async def test_a_rule_that_killed_three_judges_is_left_out_until_it_is_changed(stage: Stage) -> None:
    await stage.start("60ms")
    for kills in range(1, 4):
        await to_thread(stage.ask, "python")
        await to_thread(stage.killed, kills)
    judge = stage.judge()
    gauge = stage.ends("shadow_rule_quarantined", service="ranker", rule="slow")
    incomparable = stage.ends("shadow_comparisons_total", verdict="incomparable")
    await to_thread(wait_until, lambda: gauge() == 1, "the quarantine to be shown")
    await to_thread(stage.ask, "python")
    await to_thread(wait_until, lambda: incomparable() >= 1, "the pair to be incomparable", START_S)
    await to_thread(stage.settled)
    assert stage.judge() == judge
    assert stage.proxy.process.output.count("quarantined ") == 1

    stage.write("60ms", reason="as it is now")
    await to_thread(stage.reload)
    await to_thread(stage.compares)
    await to_thread(wait_until, lambda: gauge() == 0, "the quarantine to be lifted")
    await to_thread(stage.ask, "python")
    await to_thread(stage.killed, 4)
    await to_thread(stage.settled)


async def test_an_endpoint_whose_pairs_are_too_much_is_left_out_alone(stage: Stage) -> None:
    await stage.start("20ms")
    ended = stage.ends("shadow_comparisons_total", endpoint="heavy", verdict="incomparable")

    def is_left_out() -> bool:
        stage.ask("heavy")
        stage.compares()  # so that each is judged, or kills, alone; on a busy machine not every kill is blamed on it
        return ended() > 0

    await to_thread(wait_until, is_left_out, "the endpoint's pairs to be incomparable", START_S)
    found = await to_thread(stage.settled)
    assert found.total("shadow_dropped_total", reason="judge_killed") == 3
    assert found.total("shadow_endpoint_quarantined", endpoint="heavy") == 1
    assert found.total("shadow_comparisons_total", endpoint="other", verdict="incomparable") == 0
    told = stage.proxy.status()["quarantined"]
    assert told == {"rules": {}, "endpoints": {"heavy": 1}}


async def test_a_judge_that_somebody_kills_is_lost_and_nothing_is_blamed(stage: Stage) -> None:
    await stage.start("30s")
    for _ in range(3):
        await to_thread(stage.ask, "python")
        await to_thread(stage.under_way)
        gone = await to_thread(stage.proxy.kill, "judge")
        await to_thread(stage.proxy.restarted, gone, "judge")
        await to_thread(stage.compares)
    found = await to_thread(stage.settled)
    assert found.total("shadow_dropped_total", reason="judge_killed") == 0
    assert found.total("shadow_dropped_total", reason="judge_lost") >= 3
    assert found.total("shadow_rule_quarantined") == 0
    assert "judge_killed_by_a_pair" not in stage.proxy.process.output


async def test_a_pair_is_not_blamed_for_the_time_its_judge_was_stopped(stage: Stage) -> None:
    stall = 0.2
    await stage.start(f"{stall}s")
    await to_thread(stage.compares)
    judge = stage.judge()
    await to_thread(stage.ask, "stopped")
    armed = (await to_thread(stage.under_way)).until - (CLOCK_FACTOR + REARMED) * stall
    os.kill(judge, signal.SIGSTOP)
    await to_thread(wait_until, lambda: time.monotonic() > armed + 2 * stall, "more time than a pair may compute")
    os.kill(judge, signal.SIGCONT)
    found = await to_thread(stage.settled)
    assert found.total("shadow_dropped_total") == 0
    assert stage.judge() == judge


async def test_a_judge_that_was_stopped_for_too_long_ends_without_blame(stage: Stage) -> None:
    await stage.start()
    await to_thread(stage.compares)
    judge = stage.proxy.member("judge")
    assert judge
    await to_thread(stage.ask, "asleep")
    until = (await to_thread(stage.under_way)).until + LATE_S
    os.kill(judge.pid, signal.SIGSTOP)
    await to_thread(wait_until, lambda: time.monotonic() > until, "the watchdog's time to be long over")
    os.kill(judge.pid, signal.SIGCONT)
    await to_thread(stage.proxy.restarted, judge, "judge")
    await to_thread(stage.compares)
    found = await to_thread(stage.settled)
    assert found.total("shadow_dropped_total", reason="judge_killed") == 0
    assert found.total("shadow_dropped_total", reason="judge_lost") >= 1


async def test_decompression_bombs_cost_the_judge_no_memory_to_speak_of(stage: Stage) -> None:
    await stage.start()
    await to_thread(stage.compares)
    before = highest_memory(stage.judge())
    await to_thread(stage.ask, *["bomb"] * 3)
    ended = stage.ends("shadow_comparisons_total", verdict="incomparable")
    await to_thread(wait_until, lambda: ended() == 3, "the bombs to be incomparable", START_S)
    assert highest_memory(stage.judge()) <= before + (32 << 20)
    await to_thread(stage.settled)


def highest_memory(pid: int) -> int:
    """The most bytes a process ever had in memory (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10
