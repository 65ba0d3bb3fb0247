"""Deadlines are in monotonic seconds; this one stands for there being none."""

from typing import Final

NEVER: Final = float("inf")
