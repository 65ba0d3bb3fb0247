"""The byte budget: one number over everything a worker holds for mirrors and pairs."""

from dataclasses import dataclass


@dataclass(slots=True)
class ByteBudget:
    """Bytes taken against a limit; whoever takes must release."""

    limit: int
    used: int = 0

    def take(self, size: int) -> bool:
        """Whether `size` more bytes fit; if so they are taken."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def release(self, size: int) -> None:
        """Give bytes back."""
        self.used -= size
