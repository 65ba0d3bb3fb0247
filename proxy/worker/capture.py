"""Bytes of an answer kept for its comparison: within the cap of a body, and within the byte budget."""

from proxy.worker.budget import ByteBudget


def grown(kept: bytes | bytearray, piece: bytes) -> bytearray:
    """`kept` with `piece` behind it, as one buffer: a list of small pieces takes many times the bytes that count."""
    buffer = kept if isinstance(kept, bytearray) else bytearray(kept)
    buffer += piece
    return buffer


class Capture:
    """What is kept of one answer. `held` bytes are taken from the budget until they are released or handed over."""

    held = 0
    size = 0
    is_cut = False
    _kept: bytes | bytearray = b""

    def __init__(self, budget: ByteBudget, cap: int) -> None:
        self._budget = budget
        self._cap = cap

    def take(self, data: bytes, extra: int) -> bool:
        """Keep body bytes up to the cap, and count `extra` kept elsewhere; False if the budget is exhausted."""
        if self.is_cut:  # a stream may go on for hours
            return True
        room = self._cap - self.size
        if len(data) > room:
            data = data[:room]
            self.is_cut = True
        size = len(data)
        if not self._budget.take(size + extra):
            return False
        self.held += size + extra
        self.size += size
        self._kept = grown(self._kept, data) if self._kept else data
        return True

    def body(self) -> bytes:
        """What was kept of the body."""
        body = self._kept = bytes(self._kept)  # of bytes no copy, of a buffer the only one that stays
        return body

    def release(self) -> None:
        """Let go of it."""
        self._budget.release(self.held)
        self.held = self.size = 0
        self._kept = b""
