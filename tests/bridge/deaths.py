"""Deaths of a gateway without a process, at a point that a test counts to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class Death(BaseException):
    """kill -9 of the gateway, without a process."""


class Deaths:
    """Dies at the point where `countdown` comes to 0; set to 0 or less it lets all live."""

    def __init__(self, reborn: Callable[[], Awaitable[object]]) -> None:
        self.countdown = 0
        self._reborn = reborn

    def crash(self, point: str) -> None:
        """Stand in for `bridge.crash_points.crash`."""
        self.countdown -= 1
        if self.countdown == 0:
            raise Death(point)

    async def survive(self, work: Awaitable[object]) -> None:
        """Do it; after a death let processes follow until one lives on."""
        while True:
            try:
                await work
                return
            except Death:
                work = self._reborn()
