"""What a running demo shows, as lines: pure functions of where things are and of what the proxy's status says."""

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from proxy.cli.admin import same_place
from proxy.cli.figures import bare_percent, counts, duration, many, milliseconds, percent
from proxy.cli.standing import Said, killed, nothing_yet, shortened, standing
from proxy.demo.bugs import Bug
from proxy.demo.load import LoadResult

TOP = 5
_LABEL = 15


@dataclass(frozen=True, slots=True)
class Scene:
    """Where everything is. `urls` by name: `v1`, `v2`, `proxy`, `admin`; `program` starts shadow-proxy here."""

    urls: Mapping[str, str]
    token: str
    token_file: Path
    bugs: Sequence[Bug]
    rate: float
    patient: str
    program: str = "shadow-proxy"


def opening(scene: Scene, width: int) -> Iterator[Text]:
    """What stands above the moving part: addresses, the token, what to try."""
    bugs = many(len(scene.bugs), "planted bug") + ", seen as:" if scene.bugs else "no planted bugs"
    yield _place("primary    v1", scene.urls["v1"], "scoring model, answers every client")
    yield _place("candidate  v2", scene.urls["v2"], f"its successor, {bugs}")
    wide = max((len(bug.shows) for bug in scene.bugs), default=0)
    for bug in scene.bugs:
        yield Text.assemble(" " * _LABEL, (f"{bug.shows:<{wide}}", "bold"), f"   {bug.story}")
    yield _place("proxy", scene.urls["proxy"], f"gets {scene.rate:g} requests/s")
    yield _place("admin", scene.urls["admin"], "/metrics, /api/v1/status")
    yield Text(f"token      {scene.token}   (shown once)")
    yield Text()
    yield Text("Try, in another terminal:")
    for words in tries(scene):
        yield from (Text(f"  {line}", "cyan") for line in broken(words, width - 2))
    yield Text("Ctrl-C ends everything.")
    yield Text()


def _place(label: str, url: str, what: str) -> Text:
    return Text.assemble(f"{label:<{_LABEL}}", (url, "bold"), f"   {what}")


def tries(scene: Scene) -> Iterator[list[str]]:
    """Commands to try, each as the words that belong together."""
    admin = scene.urls["admin"]
    place = same_place(admin, None).strip()
    placed = [place] if place else []
    token = f"--token-file {shlex.quote(str(scene.token_file))}"
    yield [f"curl {scene.urls['proxy']}/patients/{scene.patient}/score"]
    yield [f"{scene.program} status --watch", *placed]
    yield [f"{scene.program} mode primary", *placed, token]
    yield [f"curl {admin}/metrics"]


def broken(words: Sequence[str], width: int) -> Iterator[str]:
    """A command as lines of at most `width` columns where its words allow, to be pasted into a shell."""
    line = words[0]
    for word in words[1:]:
        if len(line) + len(word) + len("  \\") > width:
            yield f"{line} \\"
            line = f"    {word}"
        else:
            line = f"{line} {word}"
    yield line


def moving(status: Said, elapsed_s: float, width: int) -> Iterator[Text]:
    """The part that moves: a few lines about the one service of the demo."""
    service = status["services"][0]
    mode = str(service["mode"])
    mirroring = "mirrored to v2" if mode == "shadow" else "nothing is mirrored"
    yield Text.assemble("mode ", (mode, "bold cyan"), f" · clients always get v1 · {mirroring} · {duration(elapsed_s)}")
    yield from killed(status)
    if not has_result(service):
        yield Text(nothing_yet(service))
        return
    yield Text.assemble(
        f"{service['compared']:,} compared   agreement ",
        (percent(service["agreement"]), "bold"),
        f" ({_interval(service)})   coverage {percent(service['coverage'])}",
    )
    yield Text("   ".join((f"dropped {service['dropped']:,}", *_latency(service))))
    yield Text(f"differences   {counts(service.get('differences') or {})}")
    for entry in service["top"][:TOP]:
        share = bare_percent(entry["exchanges"] / service["compared"])
        place = f" {share:>5} %  {entry['endpoint']:<13}  {entry['kind']:<9}  "
        yield Text.assemble(place, (shortened(str(entry["path"]), width - len(place)), "bold"))


def has_result(service: Said) -> bool:
    """Whether there is something to show; judge and worker report one after the other."""
    return bool(service["compared"] and service["requests"])


def report(status: Said, elapsed_s: float) -> str:
    """The same as one line, for a pipe."""
    service = status["services"][0]
    parts = [
        f"{elapsed_s:.0f}s",
        f"{service['compared']:,} compared",
        f"agreement {percent(service['agreement'])} ({_interval(service)})",
        f"coverage {percent(service['coverage'])}",
        f"dropped {service['dropped']:,}",
        *_latency(service),
    ]
    return "   ".join(parts)


def _interval(service: Said) -> str:
    low, high = service["interval"]
    return f"{bare_percent(low)} to {bare_percent(high)}"


def _latency(service: Said) -> Iterator[str]:
    for version, side in zip(service["answers"], ("primary", "candidate"), strict=True):
        seconds = service["latency"][side]
        if seconds["p50"] is not None:
            yield f"{version} p50 {milliseconds(seconds['p50'])}, p99 {milliseconds(seconds['p99'])}"


def summary(status: Said, result: LoadResult, elapsed_s: float, width: int) -> Iterator[Text]:
    """How it went, for people."""
    failed = many(result.errors, "error")
    skipped = f", {result.skipped:,} skipped" if result.skipped else ""
    yield Text(f"{many(result.ok + result.errors, 'request')} in {duration(elapsed_s)}, {failed}{skipped}")
    yield from standing(status, status["services"][0], width)


def as_json(status: Said, result: LoadResult, elapsed_s: float) -> dict[str, Any]:
    """The same for scripts: the load's own counts, and what the proxy says about its service."""
    sent = {"seconds": round(elapsed_s, 1), "answered": result.ok, "errors": result.errors, "skipped": result.skipped}
    return {"load": sent, **status["services"][0]}


def is_settled(service: Said, result: LoadResult) -> bool:
    """Whether the proxy has counted all that the load sent, and every copy has its verdict or its drop."""
    ended = sum(service["verdicts"].values()) + service["dropped"]
    return bool(service["requests"] >= result.ok + result.errors and service["mirrored"] == ended)


def program(executable: str, path: str, here: Path) -> str:
    """How to call shadow-proxy in this shell: by name if it is on the `path`, else the one beside `executable`."""
    beside = Path(executable).with_name("shadow-proxy")
    if shutil.which("shadow-proxy", path=path) or not beside.exists():
        return "shadow-proxy"
    return str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)
