"""The front of a request's path, exchanged: `/api/items?q` is `/v2/items?q` for one backend."""


class PathPrefix:
    """Takes `strip` off the front of a path, where it stands there as whole segments, and puts `add` in front.

    Both are empty or begin with a slash and do not end with one. Bytes are compared as they are: nothing is
    decoded, no dot segment resolved, and the query is left alone.
    """

    __slots__ = ("_add", "_strip", "is_none")

    def __init__(self, strip: bytes, add: bytes) -> None:
        self._strip = strip
        self._add = add
        self.is_none = not (strip or add)

    def of(self, target: bytes) -> bytes:
        """The target in origin form for the backend; `*` stays."""
        if target == b"*":
            return target
        rest = target[len(self._strip) :]
        if not target.startswith(self._strip) or rest[:1] not in {b"/", b"?", b""}:
            rest = target
        if rest[:1] != b"/" and not self._add:
            rest = b"/" + rest
        return self._add + rest
