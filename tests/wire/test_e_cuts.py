"""An upgrade and the first bytes of its tunnel, cut at every offset on both sides: the same bytes come out."""

from tests.kit.memory_plane import MemoryBackend, MemoryPlane
from tests.kit.wire import Wire, cut
from tests.wire.upgrades import SWITCHED, forwarded, upgrade

SENT = upgrade() + b"\x81\x05hello"
ANSWERED = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCHED + b"\x81\x02hi"


class Agreeing(MemoryBackend):
    """Agrees to every upgrade, with bytes of the tunnel behind it, in the pieces the test asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = False

    def heard(self, wire: Wire) -> None:
        self.answered |= b"\r\n\r\n" in wire.received


def conversation(sent: list[bytes], answered: list[bytes]) -> tuple[bytes, bytes, bool, bool]:
    """What each end of it received, and whether each saw the other end."""
    backend = Agreeing()
    with MemoryPlane(primary=backend) as plane:
        client = plane.client()
        plane.say(client, *sent)
        assert backend.answered
        (wire,) = backend.connections
        for piece in answered:
            wire.transport.write(piece)
            plane.loop.run_ready()
        client.half_close()
        plane.loop.run_ready()
        assert wire.eof
        wire.half_close()
        plane.loop.run_ready()
        assert not plane.plane.tunnels
        return bytes(wire.received), bytes(client.received), wire.eof, client.eof


EXPECTED = (forwarded() + b"\x81\x05hello", ANSWERED, True, True)


def test_e3_the_request_may_be_cut_anywhere() -> None:
    for offset in range(1, len(SENT)):
        assert conversation(cut(SENT, offset), [ANSWERED]) == EXPECTED


def test_e3_the_answer_may_be_cut_anywhere() -> None:
    for offset in range(1, len(ANSWERED)):
        assert conversation([SENT], cut(ANSWERED, offset)) == EXPECTED


def test_e3_both_may_come_in_single_bytes() -> None:
    every_byte = cut(SENT, *range(1, len(SENT))), cut(ANSWERED, *range(1, len(ANSWERED)))
    assert conversation(*every_byte) == EXPECTED
