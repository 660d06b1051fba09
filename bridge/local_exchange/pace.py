"""The clock's pace: prints leave when their market time comes, `speed` times as fast as life.

All symbols share one market clock. It is set anew at every opening print, and then rests there for
at least `hold`, so that an order decided at the close finds the open. Rests and lateness shift what
follows, nothing is caught up; a gap that all symbols have in common takes no time.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.clock import Clock
from bridge.local_exchange.replay import Replay
from bridge.local_exchange.venue import Venue

NAP_S = 0.25


@dataclass(slots=True)
class MarketClock:
    """Market time as a function of elapsed time, and until when it rests."""

    market_ms: int
    elapsed_s: float
    speed: float
    rest_until_s: float = 0.0

    def set(self, market_ms: int, now_s: float, rest_s: float) -> None:
        """Let it be that market time now, for `rest_s` at least."""
        self.market_ms, self.elapsed_s, self.rest_until_s = market_ms, now_s, now_s + rest_s

    def due_s(self, market_ms: int) -> float:
        """Return the elapsed time at which a market time comes."""
        if market_ms <= self.market_ms:
            return self.elapsed_s
        ahead_s = (market_ms - self.market_ms) / 1000 / self.speed
        return max(self.elapsed_s + ahead_s, self.rest_until_s)


async def run(venue: Venue, clock: Clock) -> None:
    """Play every symbol's tape until all have ended."""
    settings = venue.settings
    market = MarketClock(venue.now_ms, clock.elapsed(), settings.speed)
    market.set(venue.now_ms, clock.elapsed(), settings.hold_s)
    while not venue.ended:
        name, next_ms = _next(venue.replays)
        between = all(replay.closed for replay in venue.replays.values())
        wait_s = 0.0 if between else market.due_s(next_ms) - clock.elapsed()
        if wait_s > 0:
            await clock.sleep(min(wait_s, NAP_S))
            continue
        if venue.play(name).opens:
            market.set(next_ms, clock.elapsed(), settings.hold_s)
        await clock.sleep(0)


def _next(replays: dict[str, Replay]) -> tuple[str, int]:
    """Return whose print comes next in market time, and when."""
    due = [(at, name) for name, replay in replays.items() if (at := replay.next_ms) is not None]
    next_ms, name = min(due)
    return name, next_ms
