import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.core.reasons import Drop
from proxy.http.open_files import OpenFiles
from proxy.ipc.frames import FrameReader, frame
from proxy.ipc.messages import Hello, encode
from proxy.ipc.pairs import SETTINGS_KEPT, Greeting, Pair, Side, Told, decode_line
from proxy.worker.budget import ByteBudget
from proxy.worker.judge_link import JudgeLink
from tests.kit.polling import wait_until_async
from tests.unit.worker.services import service_stats
from tests.wire.test_d_accepting import no_descriptors

QUEUE = 200_000
BIG = b"x" * 20_000
Said = Pair | Told | Greeting


class Desk:
    """A link on a real Unix socket, and the judges that sit down at it."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "judge.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(4)
        self._listener = listener
        self._judges: list[socket.socket] = []
        self.budget = ByteBudget(1 << 20)
        self.stats = service_stats()
        self.link = JudgeLink(asyncio.get_running_loop(), listener, QUEUE, self.budget, "worker-0:1")
        self.link.describe(7, b"{}", ())

    async def judge(self, incarnation: str = "judge-0:1") -> socket.socket:
        """A connected judge the link knows by name."""
        judge = await self.nameless_judge()
        judge.send(frame(encode(Hello("judge-0", incarnation, 1))))
        await until(lambda: self.link._incarnation == incarnation, "the hello to be heard")
        return judge

    async def nameless_judge(self) -> socket.socket:
        judge = socket.socket(socket.AF_UNIX)
        self._judges.append(judge)
        judge.settimeout(0)
        await asyncio.get_running_loop().sock_connect(judge, self.path)
        await until(lambda: self.link._judge is not None, "the connection")
        return judge

    def offer(self, body: bytes = b"body", snapshot: int = 7) -> Drop | None:
        served, mirrored = Side(200, 0.5, b"A: 1", body), Side(503, 0.25, b"B: 2", body)
        assert self.budget.take(served.size + mirrored.size)
        return self.link.offer(self.stats, snapshot, 1, 2, (served, mirrored))

    def close(self) -> None:
        self.link.close()
        for sock in (self._listener, *self._judges):
            sock.close()


async def until(condition: Callable[[], object], what: str) -> None:
    async def holds() -> bool:
        return bool(condition())

    await wait_until_async(holds, what)


async def line_read(judge: socket.socket, count: int) -> list[Said]:
    """Read slowly or fast, as the loop lets us, until so many pairs came; all that was said."""
    reader, found = FrameReader(), list[Said]()
    while sum(isinstance(said, Pair) for said in found) < count:
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(judge, 65536), 5)
        assert data, "the link ended"
        found += [decode_line(payload) for payload in reader.feed(data)]
    return found


async def pairs_read(judge: socket.socket, count: int) -> list[Pair]:
    return [said for said in await line_read(judge, count) if isinstance(said, Pair)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()
    assert desk.budget.used == 0


pytestmark = pytest.mark.usefixtures("any_loop", "no_blocking")


async def test_pairs_arrive_in_order_and_their_bytes_are_given_back(desk: Desk) -> None:
    judge = await desk.judge()
    for number in range(50):
        assert desk.offer(b"%d" % number) is None
    found = await pairs_read(judge, 50)
    assert [pair.primary.body for pair in found] == [b"%d" % number for number in range(50)]
    assert found[0] == Pair(7, 1, 2, Side(200, 0.5, b"A: 1", b"0"), Side(503, 0.25, b"B: 2", b"0"))
    assert desk.stats.offered == {"judge-0:1": 50}
    await until(lambda: desk.budget.used == 0, "the budget to be free")
    assert desk.link.backlog == 0


async def test_a_judge_hears_who_we_are_and_the_settings_before_their_first_pair(desk: Desk) -> None:
    judge = await desk.judge()
    for snapshot in (7, 7, 8, 7):
        if snapshot == 8:
            desk.link.describe(8, b"new", {7})
        assert desk.offer(snapshot=snapshot) is None
    said = await line_read(judge, 4)
    assert said[:2] == [Greeting("worker-0:1"), Told(7, b"{}")]
    assert said[4] == Told(8, b"new")
    assert [one.snapshot for one in said if isinstance(one, Pair)] == [7, 7, 8, 7]
    assert len(said) == 7


async def test_settings_that_a_judge_has_forgotten_are_told_again(desk: Desk) -> None:
    judge = await desk.judge()
    alive = range(1, SETTINGS_KEPT + 2)
    for snapshot in alive:
        desk.link.describe(snapshot, b"%d" % snapshot, alive)
    for snapshot in (*alive, 2, 1):
        assert desk.offer(snapshot=snapshot) is None
    told = [one.snapshot for one in await line_read(judge, len(alive) + 2) if isinstance(one, Told)]
    assert told == [*alive, 1]


async def test_a_new_judge_is_told_everything_again(desk: Desk) -> None:
    await desk.judge()
    assert desk.offer() is None
    heir = await desk.judge("judge-0:2")
    assert desk.offer() is None
    assert (await line_read(heir, 1))[:2] == [Greeting("worker-0:1"), Told(7, b"{}")]


async def test_without_a_judge_pairs_are_refused(desk: Desk) -> None:
    assert desk.offer() is Drop.JUDGE_LOST
    assert desk.stats.offered == {}
    assert desk.budget.used == 0


async def test_a_judge_that_has_not_said_who_it_is_gets_nothing(desk: Desk) -> None:
    await desk.nameless_judge()
    assert desk.offer() is Drop.JUDGE_LOST


async def test_a_judge_that_does_not_read_fills_the_queue_and_never_blocks(desk: Desk) -> None:
    judge = await desk.judge()
    results = []
    for _ in range(30):
        results.append(desk.offer(BIG))
        await asyncio.sleep(0)
    offered = results.count(None)
    assert results == [None] * offered + [Drop.JUDGE_FULL] * (30 - offered)
    assert 2 <= offered < 30
    assert 0 < desk.link.backlog <= QUEUE + 2_000
    assert desk.budget.used == desk.link.backlog
    found = await pairs_read(judge, offered)  # now it reads, and the rest goes out by itself
    assert all(pair.candidate.body == BIG for pair in found)
    assert desk.offer() is None
    await pairs_read(judge, 1)


async def test_what_a_dead_judge_did_not_take_is_given_back(desk: Desk) -> None:
    judge = await desk.judge()
    for _ in range(30):
        desk.offer(BIG)
        await asyncio.sleep(0)
    assert desk.budget.used > 0
    judge.close()
    await until(lambda: desk.link._judge is None, "the loss to be seen")
    assert (desk.budget.used, desk.link.backlog) == (0, 0)
    assert desk.offer() is Drop.JUDGE_LOST
    heir = await desk.judge("judge-0:2")
    assert desk.offer() is None
    assert len(await pairs_read(heir, 1)) == 1
    assert set(desk.stats.offered) == {"judge-0:1", "judge-0:2"}


async def test_a_new_judge_takes_the_place_of_the_old_one(desk: Desk) -> None:
    old = await desk.judge()
    new = await desk.judge("judge-0:2")
    assert desk.offer() is None
    assert len(await pairs_read(new, 1)) == 1
    greeting = FrameReader().feed(await asyncio.get_running_loop().sock_recv(old, 4096))
    assert [decode_line(payload) for payload in greeting] == [Greeting("worker-0:1")]
    assert await asyncio.get_running_loop().sock_recv(old, 1) == b""


@pytest.mark.parametrize(
    "garbage", [b"\xff\xff\xff\xff", frame(b"not json"), frame(b"{}")], ids=["frame", "json", "message"]
)
async def test_a_judge_that_talks_nonsense_is_let_go(desk: Desk, garbage: bytes) -> None:
    judge = await desk.judge()
    judge.send(garbage)
    await until(lambda: desk.link._judge is None, "the judge to be let go")
    assert desk.offer() is Drop.JUDGE_LOST


async def test_without_a_descriptor_a_judge_waits_and_nothing_spins(desk: Desk) -> None:
    told: list[bool] = []
    desk.link.files = OpenFiles(told.append)
    loop, judge = asyncio.get_running_loop(), socket.socket(socket.AF_UNIX)
    judge.settimeout(0)
    with no_descriptors():
        await loop.sock_connect(judge, str(desk.path))
        await until(lambda: told, "the want to be reported")
        for _ in range(100):
            await asyncio.sleep(0)
        assert told == [True]
        desk.link.resume()
        await until(lambda: told == [True, True], "the next try to fail as well")
    desk.link.resume()
    await until(lambda: desk.link._judge is not None, "the connection")
    judge.close()


async def test_flushing_does_not_wait_for_more_to_gather(desk: Desk) -> None:
    judge = await desk.judge()
    assert desk.offer() is None
    assert desk.link.backlog > 0
    desk.link.flush()
    assert desk.link.backlog == 0
    assert len(await pairs_read(judge, 1)) == 1


async def test_closing_leaves_no_timer(desk: Desk) -> None:
    await desk.judge()
    assert desk.offer() is None
    assert desk.link._flush_timer is not None
    desk.link.close()
    assert desk.link._flush_timer is None
