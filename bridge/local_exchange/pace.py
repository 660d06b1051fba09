"""The clock's pace: prints leave when their market time comes, `speed` times as fast as life.

All symbols share one market clock. It is set anew at every opening print, and then rests there for
at least `hold`, so that an order decided at the close finds the open. Rests, and lateness above a
quarter of a second, shift what follows; a gap that all symbols have in common takes no time. A
market of now (`--time now`) runs with the wall's clock instead: nothing shifts it, no gap is cut.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.local_exchange.replay import Replay
from bridge.local_exchange.venue import Venue

NAP_S = 0.25
LATE_S = 0.25  # so much lateness is caught up, so that N times life stays N times life
EARLY_S = 0.005
SHIFTS = 100  # how many of them are remembered
TURN_S = 0.01  # prints that are due are made for so long before others get their turn


@dataclass(slots=True)
class MarketClock:
    """Market time as a function of elapsed time, and until when it rests."""

    market_ms: int
    elapsed_s: float
    speed: float
    rest_until_s: float = 0.0
    shifts: list[tuple[int, float]] = field(default_factory=list)  # the newest: market ms, by s

    def open_at(self, market_ms: int, now_s: float, rest_s: float) -> None:
        """Let a candle open now, and the market rest there for `rest_s` at least."""
        if market_ms > self.market_ms:
            due_s = self.due_s(market_ms)
            if now_s - due_s > LATE_S:
                self.shifts = [*self.shifts[1 - SHIFTS :], (market_ms, now_s - due_s)]
                due_s = now_s
            if due_s - now_s > EARLY_S:  # a gap was cut
                due_s = now_s
            self.market_ms, self.elapsed_s = market_ms, due_s
        self.rest_until_s = now_s + rest_s

    def due_s(self, market_ms: int) -> float:
        """Return the elapsed time at which a market time comes."""
        if market_ms <= self.market_ms:
            return self.elapsed_s
        ahead_s = (market_ms - self.market_ms) / 1000 / self.speed
        return max(self.elapsed_s + ahead_s, self.rest_until_s)


class Agenda:
    """Whose print comes next in market time; halted symbols wait until they trade again."""

    def __init__(self, replays: dict[str, Replay]) -> None:
        self._replays = replays
        self._places = {name: place for place, name in enumerate(replays)}
        self._due: list[tuple[int, int, str]] = []
        self._halted: dict[str, None] = {}
        self._open = sum(not replay.closed for replay in replays.values())
        for name in replays:
            self.add(name)

    @property
    def between(self) -> bool:
        """Whether every symbol stands between two candles."""
        return not self._open

    def add(self, name: str) -> None:
        """Put a symbol's next print on the agenda, if it has one."""
        next_ms = self._replays[name].next_ms
        if next_ms is not None:
            heapq.heappush(self._due, (next_ms, self._places[name], name))

    def next(self) -> tuple[int, str] | None:
        """Return when the next print is due and whose it is; None where nobody prints now."""
        for name in [name for name in self._halted if not self._replays[name].halted]:
            del self._halted[name]
            self.add(name)
        while self._due and self._replays[self._due[0][2]].halted:
            self._halted[heapq.heappop(self._due)[2]] = None
        return (self._due[0][0], self._due[0][2]) if self._due else None

    def done(self, *, opens: bool, closes: bool) -> None:
        """Take the print off that was next; whether it opened and closed a candle."""
        name = heapq.heappop(self._due)[2]
        self._open += opens - closes
        self.add(name)


def market_clock(venue: Venue, clock: Clock) -> MarketClock:
    """Return the clock of a market that begins to run now."""
    now_s, settings = clock.elapsed(), venue.settings
    if settings.of_now:
        return MarketClock(clock.wall_ms(), now_s, 1.0)
    return MarketClock(venue.now_ms, now_s, settings.speed, now_s + settings.hold_s)


async def run(venue: Venue, clock: Clock, market: MarketClock) -> None:
    """Play every symbol's tape until all have ended."""
    settings, agenda = venue.settings, Agenda(venue.replays)
    turn_s = clock.elapsed()
    while not venue.ended:
        upcoming = agenda.next()
        now_s = clock.elapsed()
        wait_s = NAP_S
        if upcoming is not None:
            cut = agenda.between and settings.cuts_gaps
            wait_s = 0.0 if cut else market.due_s(upcoming[0]) - now_s
        if upcoming is None or wait_s > 0:
            await clock.sleep(min(wait_s, NAP_S))
            turn_s = clock.elapsed()
            continue
        played = venue.play(upcoming[1])
        agenda.done(opens=played.opens, closes=played.closes)
        if played.opens and not settings.of_now:
            market.open_at(upcoming[0], clock.elapsed(), settings.hold_s)
        if now_s - turn_s > TURN_S:
            await clock.sleep(0)
            turn_s = clock.elapsed()
