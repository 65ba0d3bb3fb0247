"""What must hold of every fault: clients notice nothing, everything is accounted for, the next copy is clean.

The relation that says "nothing": the same requests are asked twice on one connection each, first in mode
`primary`, then in mode `shadow` with the fault at the candidate. The client must get the same bytes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from comparators import Reason, Verdict
from proxy.config.models import Mode
from proxy.core.families import BACKEND_FAILURES, PAIRS_OFFERED
from proxy.ipc.messages import Snapshot
from proxy.ipc.pairs import Pair
from proxy.judge.verdict_loop import VerdictLoop
from tests.kit.fault_backend import FaultBackend
from tests.kit.faults import answer_truly
from tests.kit.raw_client import RawClient
from tests.kit.scripted_backend import ScriptedBackend
from tests.wire.rig import Rig, request

SMALL = b'{"features": [1, 2, 3]}'


@dataclass(frozen=True, slots=True)
class Question:
    """One request, and its method."""

    method: str
    raw: bytes


def get(target: bytes = b"/", *fields: bytes) -> Question:
    return Question("GET", request(b"GET " + target, *fields))


def post(body: bytes = SMALL, *fields: bytes) -> Question:
    """To the endpoint that may be asked twice."""
    return Question("POST", request(b"POST /score", b"Content-Length: %d" % len(body), *fields, body=body))


QUESTIONS = (
    get(b"/items/1?b=%2F&a=1"),
    post(),
    Question(
        "POST", request(b"POST /score", b"Transfer-Encoding: chunked", body=b"5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n")
    ),
    Question("OPTIONS", request(b"OPTIONS /items/3")),
    get(b"/items/4", b"Cookie: a=1", b"cookie: b=2"),
)
"""All of them are mirrored, and all answers have a body."""

SERVICE: dict[str, Any] = {
    "endpoints": [{"name": "score", "match": "POST /score", "read_only": True}],
    "mirror": {"max_body": 100_000, "breaker": {"failures": 1000}},
}
"""The breaker has tests of its own."""


def mirror(**changed: Any) -> dict[str, Any]:
    """`SERVICE` with other settings of its mirror."""
    return {**SERVICE, "mirror": {**SERVICE["mirror"], **changed}}


QUICK = mirror(deadline="700ms")
"""For what ends by its deadline only."""


async def start(rig: Rig, candidate: ScriptedBackend | int | str, **settings: Any) -> None:
    """A primary that answers truly, and this candidate, in mode `primary`."""
    settings.setdefault("service", SERVICE)
    primary = settings.pop("primary", None) or ScriptedBackend(default=(answer_truly,))
    await rig.start(primary=primary, candidate=candidate, mode=Mode.PRIMARY, **settings)


def switch(rig: Rig, mode: Mode) -> None:
    """Put a mode in force."""
    rig.plane.adopt(Snapshot(2, rig.plane.settings, {"ranker": mode}))


async def ask_all(client: RawClient, questions: Sequence[Question] = QUESTIONS) -> bytes:
    """Ask one after the other on this connection; every byte it ever got."""
    for question in questions:
        await client.send(question.raw)
        assert (await client.read_response(question.method)).status == 200
    return client.received


async def is_unnoticed(
    rig: Rig, candidate: ScriptedBackend | int | str, questions: Sequence[Question] = QUESTIONS, **settings: Any
) -> None:
    """Clients get with this candidate, byte for byte, what they get without; both identities hold, nothing is left.

    `settings` are the rig's.
    """
    await start(rig, candidate, **settings)
    without = await ask_all(await rig.client(), questions)
    assert rig.mirrors() == {"mode": len(questions)}
    switch(rig, Mode.SHADOW)
    assert await ask_all(await rig.client(), questions) == without
    await rig.quiet()
    assert rig.mirrors() == {"mode": len(questions), "mirrored": len(questions)}
    assert rig.requests() == {"2xx": 2 * len(questions)}


async def is_clean_again(rig: Rig) -> None:
    """A candidate that recovers is asked and compared again, and nothing of what was before is in its answer."""
    assert isinstance(rig.candidate, FaultBackend)
    rig.candidate.recover()
    before = int(rig.plane.tally().total(PAIRS_OFFERED))
    client = await rig.client()
    for question in QUESTIONS:  # each copy in its turn: a few are as many as may be under way
        await ask_all(client, [question])
        await rig.quiet()
    await rig.until(lambda: len(rig.pairs) == before + len(QUESTIONS), "the next pairs")
    assert verdicts(rig, since=before) == {Verdict.MATCH: len(QUESTIONS)}


def failures(rig: Rig) -> dict[str, int]:
    """Copies that got no answer, by kind."""
    return rig.plane.tally().by(BACKEND_FAILURES, "kind", role="mirror")


async def judged(rig: Rig, count: int) -> dict[Verdict | tuple[Verdict, Reason], int]:
    """Wait for so many pairs; what a judge makes of them all."""
    await rig.until(lambda: len(rig.pairs) == count, f"{count} pairs")
    return verdicts(rig)


def verdicts(rig: Rig, since: int = 0) -> dict[Verdict | tuple[Verdict, Reason], int]:
    """What a judge makes of the pairs since this one: the verdict, with its reason if it has one."""
    loop = VerdictLoop()
    return dict(Counter(judge(loop, rig, pair) for pair in rig.pairs[since:]))


def judge(loop: VerdictLoop, rig: Rig, pair: Pair) -> Verdict | tuple[Verdict, Reason]:
    """What a judge makes of one pair."""
    loop.adopt(pair.snapshot, rig.plane.settings)
    comparison = loop.judge(pair)
    return comparison.verdict if comparison.reason is None else (comparison.verdict, comparison.reason)
