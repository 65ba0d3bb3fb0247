"""A refusal: what is wrong with a client's bytes, and the status that says so."""

from dataclasses import dataclass

from proxy.core.reasons import Refused


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that goes to no backend. `close` ends the client connection after the answer."""

    status: int
    reason: Refused
    close: bool = True
