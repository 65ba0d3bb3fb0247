"""What a client connection serves, and what serves one of its requests: the two sides it talks to."""

from typing import TYPE_CHECKING, Protocol

from proxy.config.models import Settings
from proxy.http.refusal import Refusal
from proxy.http.request_head import RequestHead
from proxy.http.reset_watch import ResetWatch
from proxy.http.turn import Turn

if TYPE_CHECKING:
    from proxy.http.connection import ClientConnection


class Served(Protocol):
    """An exchange, as the client connection sees it."""

    total_s: float
    """How many seconds it may take from its first byte; 0 is any."""

    def request_data(self, data: bytes, trailers: list[bytes], *, complete: bool) -> None:
        """Body bytes; trailers come with the last ones."""

    def request_refused(self, refusal: Refusal) -> None:
        """The body broke the rules: answer if that is still possible, and end."""

    def timed_out(self) -> None:
        """The whole exchange took longer than `total_s`."""

    def client_gone(self) -> None:
        """The client left; nothing can be answered."""

    def client_paused(self) -> None:
        """The client does not read: send it no more."""

    def client_resumed(self) -> None:
        """It reads again."""


class Application(Protocol):
    """What a connection serves."""

    settings: Settings
    turn: Turn
    resets: ResetWatch
    connections: "set[ClientConnection]"
    is_draining: bool

    def begin(self, connection: "ClientConnection", head: RequestHead, body: bytes, *, complete: bool) -> Served | None:
        """Serve a request; None if it was answered at once."""

    def refuse(self, connection: "ClientConnection", refusal: Refusal, *, to_head: bool) -> None:
        """Write the answer to a request that goes to no backend, and count it."""
