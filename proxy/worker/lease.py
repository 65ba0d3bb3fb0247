"""How a retired service is known to be in use no more. Interpreted always: a compiled class has no weak references."""

import weakref
from collections.abc import Callable


class Lease:
    """Held by a service, and so by every exchange that refers to it: it is over when the last of them is gone."""

    def watch(self) -> Callable[[], bool]:
        """What tells, without holding it, whether somebody still does."""
        lease = weakref.ref(self)
        return lambda: lease() is not None
