"""`/metrics`: the evidence as Prometheus families, made at scrape time.

Sketches become histograms with fixed edges. Names, labels and help come from `core.families`; what control
knows by itself (modes, agreement, processes, build) is added here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy.config.models import Mode, Settings
from proxy.control.evidence_store import Published
from proxy.control.label_sets import bounded, endpoints
from proxy.control.reload import Reading
from proxy.core.evidence import agreement
from proxy.core.families import DELTA, FAMILIES, LATENCY_RATIO, START_SKEW, Family, Kind
from proxy.core.sketch import Sketch
from proxy.core.tally import Tally

SECONDS_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2, 2.5, 5, 7.5, 10)
DELTA_EDGES = (1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
RATIO_EDGES = (0.25, 0.5, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 4)
SKEW_EDGES = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 1e-2, 0.1, 1)
_EDGES = {DELTA.name: DELTA_EDGES, LATENCY_RATIO.name: RATIO_EDGES, START_SKEW.name: SKEW_EDGES}


@dataclass(frozen=True, slots=True)
class Build:
    """What runs: the version of the proxy and of Python, and when control started (Unix seconds)."""

    version: str
    python: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Exposition(Collector):
    """One scrape."""

    settings: Settings
    published: Published
    modes: dict[str, Mode]
    reading: Reading
    build: Build
    is_killed: bool = False
    was_lost: bool = False

    def render(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type, in the format that `accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type

    def collect(self) -> Iterable[Metric]:
        """Every family, with the label sets of today's settings; ratios are over all evidence."""
        tally = bounded(self.published.tally, self.settings)
        for family in FAMILIES.values():
            if family.exported:
                yield _metric(family, tally)
        yield from self._ratios()
        yield self._modes()
        yield GaugeMetricFamily(
            "shadow_kill_switch", "1 while the kill switch is pulled: nothing is mirrored.", float(self.is_killed)
        )
        yield GaugeMetricFamily(
            "shadow_state_lost",
            "1 while control runs that found the state file unreadable: modes are primary, counts began at 0.",
            float(self.was_lost),
        )
        up = GaugeMetricFamily(
            "shadow_process_up", "The supervisor's view: 1 while the process runs.", labels=["process"]
        )
        for member in self.published.processes.members:
            up.add_metric([member.process], float(member.up))
        yield up
        yield GaugeMetricFamily(
            "shadow_config_last_reload_successful",
            "1 if the configuration read last is in force, 0 after a refused reload.",
            float(self.reading.is_successful),
        )
        yield GaugeMetricFamily(
            "shadow_config_last_reload_timestamp_seconds", "When the configuration was read last.", self.reading.at
        )
        info = GaugeMetricFamily("shadow_build_info", "What runs; always 1.", labels=["version", "python"])
        info.add_metric([self.build.version, self.build.python], 1.0)
        yield info
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the process that answers this started.", self.build.started_at
        )

    def _ratios(self) -> Iterable[Metric]:
        labels = ["service", "endpoint"]
        agreed = GaugeMetricFamily("shadow_agreement_ratio", "Share of compared exchanges that agree.", labels=labels)
        covered = GaugeMetricFamily(
            "shadow_coverage_ratio", "Share of client requests that were compared.", labels=labels
        )
        for name, service in self.settings.services.items():
            for endpoint in endpoints(service):
                found = agreement(self.published.tally, service=name, endpoint=endpoint)
                if found.ratio is not None:
                    agreed.add_metric([name, endpoint], found.ratio)
                    covered.add_metric([name, endpoint], found.coverage or 0.0)
        return agreed, covered

    def _modes(self) -> Metric:
        modes = GaugeMetricFamily("shadow_mode", "1 for the mode in force.", labels=["service", "mode"])
        for service, in_force in self.modes.items():
            for mode in Mode:
                modes.add_metric([service, mode], float(mode is in_force))
        return modes


def _metric(family: Family, tally: Tally) -> Metric:
    match family.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
            for labels, count in tally.counts.get(family.name, {}).items():
                counter.add_metric(labels, count)
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for labels, level in tally.gauges.get(family.name, {}).items():
                gauge.add_metric(labels, level)
            return gauge
        case Kind.SKETCH:
            histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            edges = _EDGES.get(family.name, SECONDS_EDGES)
            for labels, sketch in tally.sketches.get(family.name, {}).items():
                histogram.add_metric(labels, _buckets(sketch, edges), sketch.sum)
            return histogram


def _buckets(sketch: Sketch, edges: tuple[float, ...]) -> list[tuple[str, float]]:
    """Cumulative counts by upper edge, spelled as Prometheus spells floats."""
    below = sketch.below(edges)
    return [*((repr(float(edge)), count) for edge, count in zip(edges, below, strict=True)), ("+Inf", sketch.count)]
