"""The only file of the bridge that reads a clock: wall time for signing, elapsed time for waiting.

Market time is not here. It comes from the tape (candle and event times), because a replay runs in
the past. Elapsed time counts through the machine's sleep (CLOCK_BOOTTIME where the kernel has
it).
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time as the bridge may see it."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""

    def elapsed(self) -> float:
        """Return seconds since some fixed moment, never stepping back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def elapsed(self) -> float:
        """Return seconds since boot, sleep included."""
        return time.clock_gettime(_ELAPSED)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(seconds)


def back_off(failures: int, *, first: float = 0.1, most: float = 10.0) -> float:
    """Return the pause before the next try after `failures` failures in a row: doubling, bounded."""
    return min(most, first * 2.0 ** max(0, failures - 1)) if failures else 0.0


_ELAPSED: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
