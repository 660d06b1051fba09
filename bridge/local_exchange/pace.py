"""The clock's pace: prints leave when their market time comes, `speed` times as fast as life.

Between two candles the market rests at the new open for at least `hold`, so that an order decided
at the close finds the open. Holding, and gaps in the tape, shift what follows; nothing is caught up.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.clock import Clock
from bridge.local_exchange.replay import Replay
from bridge.local_exchange.venue import Venue

NAP_S = 0.25


@dataclass(slots=True)
class Schedule:
    """When a symbol's next print is due: elapsed seconds for a market time, and not before."""

    market_ms: int
    elapsed_s: float
    speed: float
    not_before_s: float = 0.0

    def due_s(self, time_ms: int) -> float:
        """Return the elapsed time at which a market time comes."""
        return max(
            self.elapsed_s + (time_ms - self.market_ms) / 1000 / self.speed, self.not_before_s
        )

    def rest(self, market_ms: int, now_s: float, hold_s: float) -> None:
        """Count from a candle's opening print that was just made."""
        self.market_ms, self.elapsed_s, self.not_before_s = market_ms, now_s, now_s + hold_s

    def next_print_s(self, replay: Replay) -> float | None:
        """Return when a replay's next print is due; a gap in the tape takes no time."""
        next_ms = replay.next_ms
        if next_ms is None:
            return None
        return self.due_s(replay.now_ms + 1 if replay.closed else next_ms)


async def run(venue: Venue, clock: Clock) -> None:
    """Play every symbol's tape until all have ended."""
    settings = venue.settings
    schedules = {
        name: Schedule(replay.now_ms, clock.elapsed(), settings.speed)
        for name, replay in venue.replays.items()
    }
    for name, schedule in schedules.items():
        schedule.rest(venue.replays[name].now_ms, clock.elapsed(), settings.hold_s)
    while not venue.ended:
        due = {
            name: at
            for name, schedule in schedules.items()
            if (at := schedule.next_print_s(venue.replays[name])) is not None
        }
        name = min(due, key=lambda symbol: due[symbol])
        wait_s = due[name] - clock.elapsed()
        if wait_s > 0:
            await clock.sleep(min(wait_s, NAP_S))
            continue
        played = venue.play(name)
        if played.opens:
            schedules[name].rest(played.printed.time_ms, clock.elapsed(), settings.hold_s)
        await clock.sleep(0)
