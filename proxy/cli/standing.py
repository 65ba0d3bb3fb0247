"""How a service stands, as lines: a pure function of what `GET /api/v1/status` says about it.

    mode and who answers · agreement with its interval, and coverage beside it · what was compared, mirrored,
    dropped, and why not · latencies side by side · the differences most requests have · what to do next

Nothing compared is a sentence, never a percentage; nor is what was compared while one side warmed up.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from rich.text import Text

from proxy.cli.figures import bare_percent, counts, duration, many, milliseconds, percent, whole_percent

Said = Mapping[str, Any]

_LABEL = 13
_QUANTILES = ("p50", "p95", "p99")
_MODE_STYLES = {"primary": "bold", "shadow": "bold cyan", "canary": "bold magenta", "candidate": "bold magenta"}
_FEWEST_SHOWN = 16
_WATCH = "shadow-proxy status --watch"
_SUSPENDED = {
    "bugs": "bugs of ours in mirror code, see its log; a change of mode or a reload tries again",
    "lag": "its clock is late, it has no CPU to spare",
    "memory": "it uses over 80 % of its memory limit",
    "files": "it has hardly any file descriptors left",
}
_WITHOUT_PRIMARY = {"primary_error", "both_error"}


def standing(status: Said, service: Said, width: int = 80) -> Iterator[Text]:
    """The lines about one service of a status answer, each at most `width` columns where names allow."""
    yield _head(status, service)
    yield from _agreement(service)
    yield from _client_errors(service)
    yield from _traffic(service)
    yield from _left_out(status, service)
    yield from _latency(service)
    yield from _top(service, width)


def killed(status: Said) -> Iterator[Text]:
    """Two lines while the kill switch is pulled."""
    if switch := status.get("kill_switch"):
        yield Text.assemble((switch["why"], "bold red"), ": nothing is mirrored; to change that:")
        yield Text(f"    {switch['release']}")


def processes_down(status: Said) -> Iterator[Text]:
    """A line for each process that is not up."""
    for process in status.get("processes") or ():
        if not process.get("up", True):
            yield Text.assemble((f"{process['process']} is down", "bold red"), ": the supervisor restarts it")


def workers_suspended(status: Said) -> Iterator[Text]:
    """A line for each worker that starts no copies, and each cause."""
    for suspended in status.get("suspended") or ():
        why = _SUSPENDED.get(suspended["cause"], suspended["cause"])
        yield Text.assemble((f"{suspended['process']} mirrors nothing", "bold red"), f": {why}")


def following(status: Said, services: Sequence[Said], place: str = "") -> str:
    """The command to try next; `place` holds the options that lead to the same proxy."""
    found = next((str(said["next"]) for said in (*services, status) if said.get("next")), _WATCH)
    return found + place if found.startswith("shadow-proxy ") else found


def _head(status: Said, service: Said) -> Text:
    mode = str(service["mode"])
    line = Text.assemble((str(service["service"]), "bold"), "   ", (mode.upper(), _MODE_STYLES.get(mode, "bold")))
    answers = (f"{version} {whole_percent(share)}" for version, share in service.get("answers", {}).items() if share)
    line.append("   clients: " + ", ".join(answers))
    uptime = service.get("uptime_s", status.get("uptime_s"))
    return line.append(f"   up {duration(uptime)}") if uptime is not None else line


def _row(label: str, *parts: str | Text | tuple[str, str]) -> Text:
    return Text.assemble(f" {label:<{_LABEL}}", *parts)


def _agreement(service: Said) -> Iterator[Text]:
    ratio = service.get("agreement")
    if ratio is None or not service.get("compared"):
        yield _row("agreement", nothing_yet(service))
        return
    aside = []
    if interval := service.get("interval"):
        aside.append(f"{bare_percent(interval[0])} to {bare_percent(interval[1])}")
    if (raw := service.get("agreement_raw")) is not None:
        aside.append(f"raw {bare_percent(raw)}")
    line = _row("agreement", (percent(ratio), "bold"), f"  ({'; '.join(aside)})" if aside else "")
    if (coverage := service.get("coverage")) is not None:
        line.append(f"   coverage {percent(coverage)}")
    yield line
    verdicts, left, ignored = service.get("verdicts") or {}, *_warm_up(service)
    evidence = {verdict: number - ignored.get(verdict, 0) for verdict, number in verdicts.items()}
    yield _row("compared", f"{service['compared']:,}   ", counts(evidence))
    if left or any(ignored.values()):
        yield _row("warm-up", f"{left} left" if left else "over", _not_counted(ignored))


def _warm_up(service: Said) -> tuple[str, Mapping[str, int]]:
    """How long it still takes, empty when it is over, and the verdicts that do not count."""
    warm_up = service.get("warm_up") or {}
    left = warm_up.get("left_s") or 0
    return f"{ceil(left)} s" if left else "", warm_up.get("verdicts") or {}


def _not_counted(ignored: Mapping[str, int]) -> str:
    number = sum(ignored.values())
    return f"; {number:,} compared in it do not count" if number else ""


def nothing_yet(service: Said) -> str:
    """What stands where there is no agreement to show: why, and what changes that."""
    left, ignored = _warm_up(service)
    return f"warming up: {left} left{_not_counted(ignored)}" if left else f"nothing compared yet: {_why(service)}"


def _why(service: Said) -> str:
    requests, mirrored = service.get("requests") or 0, service.get("mirrored") or 0
    verdicts = {name: number for name, number in (service.get("verdicts") or {}).items() if number}
    if service["mode"] == "primary":
        return "mirroring is off"
    if not requests:
        return "no requests so far"
    if not mirrored:
        return f"{many(requests, 'request')}, none mirrored"
    if verdicts and verdicts.keys() <= _WITHOUT_PRIMARY:
        return f"the primary answered with errors only ({counts(verdicts)})"
    if verdicts and sum(verdicts.values()) == sum(_warm_up(service)[1].values()):
        return f"the {many(sum(verdicts.values()), 'verdict')} of the warm-up do not count"
    if verdicts:
        return f"answers came, none comparable ({counts(verdicts)})"
    if service.get("dropped"):
        return f"{many(mirrored, 'request')} mirrored, {service['dropped']:,} dropped"
    return f"{many(mirrored, 'request')} mirrored, answers under way"


def _client_errors(service: Said) -> Iterator[Text]:
    """What clients were answered that is an error, if there is any."""
    errors = service.get("client_errors") or {}
    by_proxy, by_primary = errors.get("proxy") or 0, errors.get("5xx") or 0
    if not by_proxy + by_primary:
        return
    primary = next(iter(service.get("answers") or {}), "the primary")
    parts = [f"{by_proxy:,} answered by the proxy: the primary did not answer"] if by_proxy else []
    parts += [f"{by_primary:,} 5xx of {primary}"] if by_primary else []
    yield _row("client errors", "  ", (f"{by_proxy + by_primary:,}", "bold red"), f"   ({'; '.join(parts)})")


def _traffic(service: Said) -> Iterator[Text]:
    requests = service.get("requests")
    if requests:
        line = _row("mirrored", f"{service.get('mirrored', 0):,} of {many(requests, 'request')}")
        if left := counts(service.get("not_mirrored") or {}):
            line.append(f"   not: {left}")
        yield line
        if not service.get("mirrored") and (service.get("not_mirrored") or {}).get("method"):
            yield _row("", "mark an endpoint read_only to mirror other methods than GET and HEAD")
    dropped = service.get("dropped") or 0
    why = counts(service.get("dropped_by") or {})
    style = "yellow" if dropped else ""
    if requests:
        yield _row("dropped", (f"{dropped:,}", style), f"   {why}" if why else "")
    if breaker := service.get("breaker_open"):
        yield _row("breaker", ("open", "bold yellow"), f" since {breaker['since']}: the candidate gives no answers")


def _left_out(status: Said, service: Said) -> Iterator[Text]:
    """What judges no longer compare, in how many of them, and why."""
    judges = sum(str(process["process"]).startswith("judge") for process in status.get("processes") or ())
    quarantined = service.get("quarantined") or {}
    found = [
        (f"{kind} {shortened(name, 32)}", number)
        for kind in ("rule", "endpoint")
        for name, number in (quarantined.get(f"{kind}s") or {}).items()
    ]
    for what, number in found:
        yield _row("left out", (what, "bold yellow"), f" in {number} of {many(max(judges, number), 'judge')}")
    if found:
        yield _row("", "three comparisons took too long, or crashed; see the log")


def _latency(service: Said) -> Iterator[Text]:
    latency = service.get("latency") or {}
    sides = [latency.get(side) or {} for side in ("primary", "candidate")]
    if not any(side.get(quantile) is not None for side in sides for quantile in _QUANTILES):
        return
    versions = [*(service.get("answers") or {}), "v1", "v2"][:2]
    yield _row("latency", *(f"{quantile:>12}" for quantile in _QUANTILES))
    for version, side in zip(versions, sides, strict=True):
        yield _row(f"  {shortened(version, _LABEL - 3)}", *(_cell(side.get(quantile)) for quantile in _QUANTILES))
    ratios = [_ratio(sides, quantile) for quantile in _QUANTILES]
    if any(ratios):
        name = "  " + shortened(f"{versions[1]} ÷ {versions[0]}", _LABEL - 3)
        yield _row(name, *(f"{ratio or '–':>12}" for ratio in ratios))


def _cell(seconds: float | None) -> str:
    return f"{'–' if seconds is None else milliseconds(seconds):>12}"


def _ratio(sides: Sequence[Said], quantile: str) -> str:
    primary, candidate = (side.get(quantile) for side in sides)
    return f"{candidate / primary:.2f}" if primary and candidate is not None else ""


def _top(service: Said, width: int) -> Iterator[Text]:
    top, kinds = service.get("top") or (), counts(service.get("differences") or {})
    if not top:
        if kinds:
            yield _row("differences", kinds)
        return
    yield _row("differences", f"{kinds}   most exchanges first:" if kinds else "most exchanges first")
    number = max(len(f"{entry['exchanges']:,}") for entry in top)
    kind = max(len(str(entry["kind"])) for entry in top)
    room = max(width - number - kind - 8, 2 * _FEWEST_SHOWN)
    endpoint = min(max(len(str(entry["endpoint"])) for entry in top), room // 2)
    path = room - endpoint
    for entry in top:
        yield Text.assemble(
            f"  {entry['exchanges']:>{number},}  ",
            f"{shortened(str(entry['endpoint']), endpoint):<{endpoint}}  ",
            f"{entry['kind']!s:<{kind}}  ",
            (shortened(str(entry["path"]), path), "bold"),
        )


def shortened(text: str, width: int) -> str:
    """At most `width` characters of it."""
    return text if len(text) <= width else text[: width - 1] + "…"
