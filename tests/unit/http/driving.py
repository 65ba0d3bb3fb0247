"""The two protocols driven in memory, with what they said written down: the same for any split of the bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from proxy.config.models import Limits, Settings
from proxy.core.message import Failure
from proxy.http.backend_connection import BackendConnection
from proxy.http.connection import ClientConnection
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.reset_watch import ResetWatch
from proxy.http.response_head import ResponseHead
from proxy.http.turn import Lane, Turn
from tests.kit.clock import FakeClock
from tests.kit.memory_transport import memory_pair
from tests.kit.wire import Wire, cut

SERVICES = {
    "ranker": {
        "primary": {"version": "v1", "url": "http://127.0.0.1:1"},
        "candidate": {"version": "v2", "url": "http://127.0.0.1:2"},
    }
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def settings(**changes: object) -> Settings:
    return Settings.model_validate({"services": SERVICES, **changes})


@dataclass
class HeardRequest:
    """A request as the application heard it; `refused` if its body broke the rules."""

    head: RequestHead
    body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)
    complete: bool = False
    refused: Refusal | None = None
    gone: bool = False


class RecordingServed:
    """Answers a request with 200 when it is complete."""

    total_s = 0.0

    def __init__(self, app: "RecordingApp", client: ClientConnection, request: HeardRequest) -> None:
        self._app = app
        self._client = client
        self._request = request

    def request_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        self._request.body += data
        self._request.trailers += trailers
        self._request.complete = complete
        if complete:
            self.answer()

    def answer(self) -> None:
        self._client.write(OK)
        self._client.answered(keep_alive=not self._client.will_close())

    def request_refused(self, refusal: Refusal) -> None:
        self._request.refused = refusal
        self._app.refuse(self._client, refusal, to_head=False)
        self._client.answered(keep_alive=False)

    def timed_out(self) -> None:
        raise AssertionError("time stands still here")

    def client_gone(self) -> None:
        self._request.gone = True

    def client_paused(self) -> None:
        raise AssertionError("nothing here fills a buffer")

    def client_resumed(self) -> None:
        raise AssertionError("nothing here fills a buffer")


class RecordingApp:
    """Hears requests and refusals; answers each request as soon as it is complete."""

    is_draining = False

    def __init__(self, configured: Settings, clock: FakeClock) -> None:
        self.settings = configured
        self.turn = Turn(clock.call_soon)
        self.resets = ResetWatch()
        self.connections: set[ClientConnection] = set()
        self.heard: list[HeardRequest] = []
        self.refused: list[Refusal] = []

    def begin(
        self, connection: ClientConnection, head: RequestHead, body: bytes, *, complete: bool
    ) -> RecordingServed | None:
        self.heard.append(HeardRequest(head, body, complete=complete))
        served = RecordingServed(self, connection, self.heard[-1])
        if not complete:
            return served
        served.answer()
        return None

    def refuse(self, connection: ClientConnection, refusal: Refusal, *, to_head: bool) -> None:
        self.refused.append(refusal)
        connection.write(b"HTTP/1.1 %d Refused%b\r\nContent-Length: 0\r\n\r\n" % (refusal.status, b" HEAD" * to_head))

    def closed(self, connection: ClientConnection) -> None:
        assert connection not in self.connections


class ClientDrive:
    """A client connection at the end of a memory transport; `say` sends one piece and lets everything run."""

    def __init__(self, configured: Settings | None = None) -> None:
        self.clock = FakeClock()
        self.app = RecordingApp(configured or settings(), self.clock)
        self.wire = Wire()
        memory_pair(self.wire, ClientConnection(self.app), self.clock)
        self.clock.run_ready()

    def say(self, *pieces: bytes) -> "ClientDrive":
        for piece in pieces:
            if piece:
                self.wire.transport.write(piece)
            self.clock.run_ready()
        return self

    @property
    def transcript(self) -> tuple[object, ...]:
        """What came of it. A request whose body was refused is a refusal: its head may have been heard or not."""
        heard = [
            (r.head.start, r.head.fields, r.head.host, r.body, r.trailers, r.complete)
            for r in self.app.heard
            if r.refused is None
        ]
        return heard, self.app.refused, bytes(self.wire.received), self.wire.eof


def requests_read(data: bytes, *offsets: int, configured: Settings | None = None) -> tuple[object, ...]:
    """What comes of these bytes, cut at these offsets."""
    return ClientDrive(configured).say(*cut(data, *offsets)).transcript


class RecordingReceiver:
    """Hears a response as an exchange would."""

    def __init__(self) -> None:
        self.interims: list[bytes] = []
        self.head: ResponseHead | None = None
        self.body = b""
        self.trailers: list[bytes] = []
        self.complete = False
        self.failure: Failure | None = None
        self.reusable = False

    def interim(self, head: ResponseHead) -> None:
        self.interims.append(head.start + b"|" + head.fields)

    def switching(self, head: ResponseHead, connection: BackendConnection) -> bool:
        """Nobody here asks for another protocol."""
        assert head.status == 101
        assert connection is not None
        return False

    def answer(self, head: ResponseHead, data: bytes, *, complete: bool) -> None:
        assert self.head is None
        self.head = head
        self.answer_data(data, [], complete=complete)

    def answer_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        assert not self.complete
        assert self.failure is None
        self.body += data
        self.trailers += trailers
        self.complete = complete

    def failed(self, failure: Failure, *, reusable: bool) -> None:
        assert not self.complete
        self.failure = failure
        self.reusable = reusable

    def backend_paused(self) -> None:
        raise AssertionError("nothing here fills a buffer")

    def backend_resumed(self) -> None:
        raise AssertionError("nothing here fills a buffer")

    @property
    def transcript(self) -> tuple[object, ...]:
        head = self.head and (self.head.status, self.head.start, self.head.fields)
        return self.interims, head, self.body, self.trailers, self.complete, self.failure


class RecordingOwner:
    """Keeps a connection as an upstream would: `pool` holds it while it is unused."""

    response_idle_s = 60.0
    lane = Lane.SERVING

    def __init__(self, limits: Limits, clock: FakeClock) -> None:
        self.limits = limits
        self.turn = Turn(clock.call_soon)
        self.pool: list[BackendConnection] = []
        self.ended = 0

    def released(self, connection: BackendConnection, idle_s: float) -> None:
        assert idle_s > 0
        self.pool.append(connection)

    def lost(self, connection: BackendConnection) -> None:
        self.ended += 1
        if connection in self.pool:
            self.pool.remove(connection)


class BackendDrive:
    """A backend connection at the end of a memory transport; `ask` starts an exchange, `say` is the backend."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.owner = RecordingOwner(limits or Limits(), self.clock)
        self.wire = Wire()
        self.connection = BackendConnection(self.owner)
        memory_pair(self.wire, self.connection, self.clock)
        self.clock.run_ready()

    def ask(self, request: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") -> RecordingReceiver:
        receiver = RecordingReceiver()
        if self.connection in self.owner.pool:
            self.owner.pool.remove(self.connection)
        self.connection.send(receiver, request, to_head=request.startswith(b"HEAD "), deadline=inf)
        self.clock.run_ready()
        return receiver

    def say(self, *pieces: bytes) -> "BackendDrive":
        for piece in pieces:
            if piece:
                self.wire.transport.write(piece)
            self.clock.run_ready()
        return self

    def end(self) -> "BackendDrive":
        self.wire.close()
        self.clock.run_ready()
        return self

    @property
    def is_reusable(self) -> bool:
        return self.connection in self.owner.pool


def response_read(
    data: bytes, *offsets: int, limits: Limits | None = None, method: bytes = b"GET", ends: bool = True
) -> tuple[object, ...]:
    """What comes of these bytes from a backend, cut at these offsets, and whether the connection stays usable."""
    drive = BackendDrive(limits)
    receiver = drive.ask(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    drive.say(*cut(data, *offsets))
    usable = drive.is_reusable
    if ends:
        drive.end()
    return (*receiver.transcript, usable)


def every_split(data: bytes) -> Iterable[tuple[int, ...]]:
    """Cut once at every offset, and once into single bytes."""
    yield from ((offset,) for offset in range(1, len(data)))
    yield tuple(range(1, len(data)))
