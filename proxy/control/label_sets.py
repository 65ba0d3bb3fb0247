"""The label sets that the settings imply: those that exist from the start, and the only ones that are exposed."""

from collections.abc import Iterable
from itertools import product
from typing import TypeVar

from comparators.verdict import Kind as DifferenceKind
from comparators.verdict import Verdict
from proxy.config.models import Service, Settings
from proxy.core.families import (
    ADDED_LATENCY,
    BACKEND_DURATION,
    BACKEND_FAILURES,
    BACKEND_REQUESTS,
    BREAKER_OPEN,
    COMPARISON_DURATION,
    COMPARISONS,
    DELTA,
    DIFFERENCES,
    DROPPED,
    FAMILIES,
    LATENCY_RATIO,
    MIRROR_BYTES,
    MIRROR_IN_FLIGHT,
    MIRRORS,
    PROTECTED_NOMINATIONS,
    REFUSED,
    REQUEST_DURATION,
    REQUESTS,
    START_SKEW,
    WARM_UP_COMPARISONS,
    WARM_UP_REQUESTS,
    Family,
    Kind,
)
from proxy.core.reasons import Drop, FailureKind, MirrorResult, Refused
from proxy.core.tally import Labels, Tally

T = TypeVar("T")

OTHER = "other"
"""What requests that match no configured endpoint are counted as."""
OURSELVES = "proxy"
"""The backend label of our own answers."""
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
# The enums are the published label sets; a reason that nothing in this version can give has no series at 0.
_NOT_GIVEN_YET = frozenset({MirrorResult.EXCLUDED})
_MIRROR_RESULTS = tuple(str(result) for result in MirrorResult if result not in _NOT_GIVEN_YET)
_DROPS = tuple(map(str, Drop))


def endpoints(service: Service) -> tuple[str, ...]:
    """The values of the label `endpoint`, in the order of the configuration."""
    return (*(endpoint.name for endpoint in service.endpoints), OTHER)


def known(settings: Settings) -> Tally:
    """Every label set that this version can count, at 0: `increase()` is 0 for a counter that is born at 1."""
    tally = Tally()
    for reason in map(str, Refused):
        tally.count(REFUSED, (reason,), 0)
    tally.gauge(MIRROR_BYTES, (), 0.0)
    for name, service in settings.services.items():
        tally.gauge(MIRROR_IN_FLIGHT, (name,), 0.0)
        tally.gauge(BREAKER_OPEN, (name, service.candidate.version), 0.0)
        for family, label_sets in _of_service(name, service):
            for labels in label_sets:
                if family.kind is Kind.SKETCH:
                    tally.sketch(family, labels)
                else:
                    tally.count(family, labels, 0)
    return tally


def _of_service(name: str, service: Service) -> Iterable[tuple[Family, Iterable[Labels]]]:
    each = endpoints(service)
    answering = (service.primary.version, OURSELVES)
    sides = ((service.primary.version, "primary", "serve"), (service.candidate.version, "candidate", "mirror"))
    one = (name,)
    for requests in (REQUESTS, WARM_UP_REQUESTS):
        yield requests, product(one, each, answering, (*_CLASSES, "aborted"))
    yield REQUEST_DURATION, product(one, each, answering)
    yield BACKEND_REQUESTS, ((name, e, *side, code) for e in each for side in sides for code in (*_CLASSES, "error"))
    yield BACKEND_DURATION, ((name, e, *side) for e in each for side in sides)
    yield BACKEND_FAILURES, ((name, *side, kind) for side in sides for kind in map(str, FailureKind))
    yield ADDED_LATENCY, [one]
    yield PROTECTED_NOMINATIONS, [one]
    yield START_SKEW, [one]
    yield MIRRORS, product(one, each, _MIRROR_RESULTS)
    yield DROPPED, product(one, _DROPS)
    for comparisons in (COMPARISONS, WARM_UP_COMPARISONS):
        yield comparisons, product(one, each, map(str, Verdict))
    yield COMPARISON_DURATION, [one]
    yield DIFFERENCES, product(one, each, map(str, DifferenceKind))
    yield DELTA, product(one, each)
    yield LATENCY_RATIO, product(one, each)


def bounded(tally: Tally, settings: Settings) -> Tally:
    """The sums whose service, endpoint and backend are configured today; whoever is shown it must not write into it.

    Evidence outlives a change of the configuration; labels must not pile up with it. What is left out is not added
    to anything else: it counts on when its name comes back, and a counter that held it until then would go back.
    """
    exposed = _Exposed(settings)
    return Tally(exposed.of(tally.counts), exposed.of(tally.sketches), exposed.of(tally.gauges))


class _Exposed:
    """The values of the labels that the configuration bounds, by service."""

    def __init__(self, settings: Settings) -> None:
        self._values = {
            name: {
                "endpoint": frozenset(endpoints(service)),
                "backend": frozenset({service.primary.version, service.candidate.version, OURSELVES}),
            }
            for name, service in settings.services.items()
        }

    def of(self, tables: dict[str, dict[Labels, T]]) -> dict[str, dict[Labels, T]]:
        return {
            name: {
                labels: value
                for labels, value in table.items()
                if self._has(dict(zip(family.labels, labels, strict=True)))
            }
            for name, table in tables.items()
            if (family := FAMILIES.get(name))
        }

    def _has(self, labels: dict[str, str]) -> bool:
        if "service" not in labels:
            return True
        bounds = self._values.get(labels["service"])
        return bounds is not None and all(labels[name] in bounds[name] for name in bounds.keys() & labels.keys())
