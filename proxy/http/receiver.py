"""What a backend connection talks to: who a response is for, and who keeps the connections of a backend."""

from typing import TYPE_CHECKING, Protocol

from proxy.config.models import Limits
from proxy.core.message import Failure
from proxy.http.response_head import ResponseHead
from proxy.http.turn import Lane, Turn

if TYPE_CHECKING:
    from proxy.http.backend_connection import BackendConnection


class Receiver(Protocol):
    """Who a response is for."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx before the answer."""

    def switching(self, head: ResponseHead, connection: "BackendConnection") -> bool:
        """A 101: take the connection over by its `hand_over`, or end it; False if nobody asked for what it says."""

    def answer(self, head: ResponseHead, data: bytes, *, complete: bool) -> None:
        """The head of the answer and the body bytes that came with it."""

    def answer_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        """More body bytes; trailers come with the last ones."""

    def failed(self, failure: Failure, *, reusable: bool) -> None:
        """No answer, or no more of it. `reusable`: the connection was reused and no byte of a response came."""

    def backend_paused(self) -> None:
        """The backend does not read: send it no more of the request."""

    def backend_resumed(self) -> None:
        """It reads again."""


class Owner(Protocol):
    """Who keeps the connections of a backend."""

    limits: Limits
    response_idle_s: float
    turn: Turn
    lane: Lane

    def released(self, connection: "BackendConnection", idle_s: float) -> None:
        """The exchange is over and the connection can take another."""

    def lost(self, connection: "BackendConnection") -> None:
        """The connection has ended, or is about to and must not be used; may be told twice."""
