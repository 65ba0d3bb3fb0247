"""The judge's whole way with a pair: frames as a socket delivers them → pairs → verdicts, counted.

The pairs are those of `bench.load`: what its backends answer (`answers`), judged by its rules
(`shadow-proxy.yaml`), in batches as the worker gathers them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

import yaml

from bench import load
from bench.load import answers
from comparators import Verdict
from proxy.config.models import Settings
from proxy.ipc.frames import FrameReader
from proxy.ipc.pairs import Side, decode_pair, encode_pair
from proxy.judge.verdict_loop import VerdictLoop

BATCH: Final = 60
"""Pairs of one read: `GATHER_BYTES` of the worker, filled with these."""
FIELDS: Final = (
    "Server: nginx/1.22.1",
    "Date: Fri, 20 Nov 2026 10:11:12 GMT",
    "Content-Type: application/json",
    "Content-Length: {length}",
    "Connection: keep-alive",
    "X-Request-Id: {id}",
    "Cache-Control: no-store",
)

_CONFIGS: Final = Path(load.__path__[0]) / "configs"
_places: Final = count(20_000)


def settings() -> Settings:
    """The proxy's settings in `bench.load`, every port and directory filled in."""
    text = (_CONFIGS / "shadow-proxy.yaml").read_text().replace("@mode@", "shadow").replace("@share@", "1.0")
    text = re.sub(r"@\w+@", lambda _: str(next(_places)), text)
    return Settings.model_validate(yaml.safe_load(text))


def batch(pairs: int = BATCH) -> bytes:
    """The frames of that many pairs, no two alike, in one piece."""
    written = re.search(r"return 200 '(.*)';", answers.directives(answers.SMALL, digit=0))
    assert written is not None
    draw = random.Random(pairs)
    pieces: list[bytes] = []
    for number in range(pairs):
        request = f"{number:08x}-0000-4000-8000-{draw.getrandbits(48):012x}"
        primary, candidate = _side(written[1], request, draw), _side(written[1], request, draw)
        pieces += encode_pair(1, 0, number % 2, primary, candidate)
    return b"".join(pieces)


def _side(template: str, request: str, draw: random.Random) -> Side:
    body = (
        template.replace("$request_id", f"{draw.getrandbits(128):032x}")
        .replace("$connection_requests", str(draw.randrange(1, 20_000)))
        .replace("$msec", f"{1_795_169_472 + draw.random():.3f}")
    )
    fields = "\r\n".join(FIELDS).format(length=len(body), id=request)
    return Side(200, draw.uniform(0.001, 0.002), fields.encode(), body.encode())


def judging() -> tuple[Callable[[], None], Verdict]:
    """What judges one batch each time it is called, and the verdict on its pairs, all of which have the same."""
    loop, reader, frames = VerdictLoop(), FrameReader(), batch()
    loop.adopt(1, settings())
    (verdict,) = {loop.judge(decode_pair(payload)).verdict for payload in reader.feed(frames)}

    def judge_batch() -> None:
        for payload in reader.feed(frames):
            loop.judge(decode_pair(payload))

    return judge_batch, verdict
