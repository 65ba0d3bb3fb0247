"""Bodies in chunks, cut and decorated as a test wants them."""

from collections.abc import Sequence

CHUNKED = b"Transfer-Encoding: chunked"
TAKES_TRAILERS = b"TE: trailers"


def chunks(body: bytes, size: int, *trailers: bytes) -> bytes:
    """The body in chunks of `size` bytes, to its end."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + last_chunk(trailers)


def last_chunk(trailers: Sequence[bytes] = ()) -> bytes:
    return b"\r\n".join([b"0", *trailers, b"", b""])


def cut_payload(body: bytes) -> bytes:
    """The payload of a chunked body that was cut: whole chunks, and not the last one."""
    payload = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        assert length > 0, f"the last chunk: it looks complete, {body!r}"
        assert rest[length : length + 2] == b"\r\n", f"a chunk without its end: {body!r}"
        payload, body = payload + rest[:length], rest[length + 2 :]
    return payload
