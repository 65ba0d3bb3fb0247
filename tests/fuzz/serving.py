"""From the client to the primary: what was meant is what arrived."""

from dataclasses import dataclass

from tests.fuzz.backend import FuzzBackend, Seen
from tests.fuzz.case import Ending, setting
from tests.fuzz.conversation import Played
from tests.fuzz.meaning import Rules, difference_of_requests
from tests.fuzz.reading import Finding, Requests, requests_received
from tests.fuzz.worth import is_poison
from tests.kit.framing import RawRequest


@dataclass(slots=True)
class Served:
    """A request that the primary saw, last as `seen`; `surplus_before`: the answer may be somebody else's bytes."""

    seen: Seen
    surplus_before: bool


def check_requests(played: Played, meant: Requests) -> dict[int, Served]:
    """The primary saw what the client meant, in order, each request once (twice after a lost connection).

    Returns what was seen by its place among the requests meant. Raises Finding.
    """
    matching = _Matching(played, meant)
    return {place: served for seen in played.primary.seen for place, served in matching.take(seen)}


class _Matching:
    """Goes through what the primary saw, and finds the place of each among what was meant."""

    def __init__(self, played: Played, meant: Requests) -> None:
        self._played = played
        self._meant = [*meant.whole, *begun(meant)]
        self._whole = len(meant.whole)
        self._rules = Rules.of(setting(played.case.setting))
        self._got = received(played.primary)
        self._place = -1
        self._last: Seen | None = None
        self._poisoned: set[object] = set()

    def take(self, seen: Seen) -> list[tuple[int, Served]]:
        """Its place, unless it is the probe."""
        if seen.target.endswith(b"/probe"):
            return []
        request = self._got.get((seen.wire, seen.start))
        if request is None:
            self._place = self._place_of_part(seen)
        elif not self._is_retry(request):
            self._place = self._place_of(request)
        self._last = seen
        served = Served(seen, seen.wire in self._poisoned)
        if is_poison(seen):
            self._poisoned.add(seen.wire)
        return [(self._place, served)]

    def _is_retry(self, request: RawRequest) -> bool:
        """Whether this is the last one again, whose connection may have died before a byte of an answer came."""
        last = self._last
        if last is None or self._difference(self._place, request):
            return False
        before = [seen.reply for seen in self._played.primary.seen if seen.wire is last.wire]
        return any(reply.ending is not Ending.KEEP for reply in before)

    def _place_of(self, request: RawRequest) -> int:
        """The first that fits; those before it were answered by the proxy."""
        differences = []
        for place in range(self._place + 1, self._whole):
            difference = self._difference(place, request)
            if not difference:
                return place
            differences.append(difference)
        what = min(differences, key=lambda d: ("method" in d, d), default="nobody asked for it")
        raise Finding(f"forwarded what was not meant ({what.split(':')[0]})", f"{what} in {request.raw!r}")

    def _difference(self, place: int, request: RawRequest) -> str:
        if place >= self._whole:
            return "was never whole"
        return difference_of_requests(self._meant[place], request, self._rules)

    def _place_of_part(self, seen: Seen) -> int:
        """The place of a request of which a part arrived: its connection must have been cut."""
        if not seen.wire.over:
            raise Finding("a part of a request on an open connection", bytes(seen.wire.received))
        part = bytes(seen.wire.received[seen.start :])
        head = requests_received(part).head
        for place in range(self._place + 1, len(self._meant)):
            if head is not None and not self._difference_of_heads(self._meant[place], part):
                return place
        raise Finding("a part of a request that nobody sent", part)

    def _difference_of_heads(self, meant: RawRequest, part: bytes) -> str:
        (got,) = begun(requests_received(part))
        bare = RawRequest(meant.start_line, meant.lines, b"", [], b"")
        return difference_of_requests(bare, got, self._rules)


def received(backend: FuzzBackend) -> dict[tuple[object, int], RawRequest]:
    """Every whole request by its connection and its offset, as both readers saw it."""
    got: dict[tuple[object, int], RawRequest] = {}
    for wire in backend.connections:
        at = 0
        for request in requests_received(bytes(wire.received[: backend.tunnels.get(wire)])).whole:
            got[wire, at] = request
            at += len(request.raw)
    return got


def begun(requests: Requests) -> list[RawRequest]:
    """The request of which only the head is whole, if there is one."""
    head = requests.head
    return [] if head is None else [RawRequest(head.start_line, head.lines, b"", [], b"")]
