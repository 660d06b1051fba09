"""The request budget of one egress address: what the exchange's own headers say was used, never exceeded by us.

Binance counts weight in fixed minutes and tells the sum in every answer. Questions wait when
`share` of the limit is used; orders do not wait for weight (a placed order costs none), but 429
and 418 stop everything until Retry-After. Later this budget is shared through a file by all
gateways of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.clock import Clock

GATEWAY_SHARE = 0.6


@dataclass(slots=True)
class WeightBudget:
    """How much of this minute's weight is gone."""

    clock: Clock
    limit: int = 6_000
    share: float = GATEWAY_SHARE
    used: int = 0
    _minute: int = 0
    _blocked_until: float = 0.0

    def seconds_to_wait(self, weight: int) -> float:
        """Return how long a request of that weight must wait; 0 for now. Orders ask with weight 0."""
        blocked = self._blocked_until - self.clock.elapsed()
        if blocked > 0:
            return blocked
        now_ms = self.clock.wall_ms()
        if now_ms // 60_000 != self._minute:
            self._minute, self.used = now_ms // 60_000, 0
        if weight and self.used + weight > self.limit * self.share:
            return (60_000 - now_ms % 60_000) / 1000
        return 0.0

    async def wait_for(self, weight: int) -> None:
        """Wait until a request of that weight may go."""
        while (seconds := self.seconds_to_wait(weight)) > 0:
            await self.clock.sleep(seconds)

    def saw_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers."""
        used = headers.get("x-mbx-used-weight-1m") or headers.get("X-MBX-USED-WEIGHT-1M")
        if used and used.isdigit():
            self._minute, self.used = self.clock.wall_ms() // 60_000, int(used)
        if status in (418, 429):
            wait = headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdigit() else 60.0
            self._blocked_until = max(self._blocked_until, self.clock.elapsed() + seconds)
