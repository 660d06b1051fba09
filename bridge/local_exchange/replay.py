"""One symbol's tape being played into the engine; who calls `play` sets the pace.

    candle:  O (stand here) -- L -- H -- C     O (stand here) -- ...

`play` makes the next print: resting orders that it trades through fill, then the market stands
around its price, worsened by the slippage and rounded to the tick against the taker. The opening
print of a candle is where the market waits in step pace, so that an order decided at the close of
a candle fills at the next open. At the end of the tape it stands at the last close for ever.

Between the prints of one candle the price passes everything that lies between, as in every backtest:
the market stands at each stop on the way, so that a stop sells at its own price and not at the low.
Over a gap between two candles, and between recorded trades, nothing was passed.

An owner of resting orders may have to act between two prints, before anybody hears of a closed candle.
So a candle can be played in two halves: `lead` goes on to the first price on the way at which something
that rests trades, the nearest order first, and the market stands there, untold; when the close was met,
`tell` publishes the candle and quotes the next open. What rests meets that open with the next `lead` or
`play`, after the decision that the closed candle has led to. Over a gap orders still trade at their own
prices, the nearest first, and a stop at the open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.core.money import ticks_above, ticks_below, worsened_buy, worsened_sell
from workbench.execution.matching.engine import MatchingEngine
from workbench.execution.matching.tape import Print, Tape
from workbench.execution.orders import Report
from workbench.market.instruments import SCALE

DEEP_QUOTE_E8 = 1_000_000 * SCALE  # the least that stands on each side, in quote


@dataclass(frozen=True, slots=True)
class Played:
    """What one print did: the print, whether it closed its candle, and whose orders it filled."""

    symbol: str
    printed: Print
    opens: bool
    closes: bool
    reports: tuple[Report, ...]


class Replay:
    """A tape, how far it has been played, and the market time that this makes."""

    def __init__(
        self, tape: Tape, engine: MatchingEngine, *, first_candle: int, slippage_bps: float
    ) -> None:
        self.tape = tape
        self.played = int(tape.first[first_candle])
        self.candle = first_candle  # the candle that the last print belongs to
        self.halted = False
        self.met = self.played  # prints that resting orders have met: told ones, or ahead of them
        self._way_e8: int | None = None  # how far the price has come to the print that is met next
        self._engine = engine
        self._slippage_bps = slippage_bps
        self.last: Print  # the print, or the price on the way to it, that the market stands at
        self.now_ms: int  # market time: that of the last print
        self.play()

    @property
    def closed(self) -> bool:
        """Whether the last print closed its candle."""
        return self.played == self.tape.first[self.candle + 1]

    @property
    def ended(self) -> bool:
        """Whether every print was played."""
        return self.played >= len(self.tape)

    @property
    def next_ms(self) -> int | None:
        """Market time of the next print, None at the end."""
        return None if self.ended else int(self.tape.time_ms[self.played])

    def play(self) -> Played:
        """Make the next print; LookupError at the end of the tape."""
        reports: tuple[Report, ...] = ()  # of an open that was only quoted, or a print being led to
        if self.met < self.played or self._way_e8 is not None:
            reports = self._meet(self.tape.print_at(self.met))
        told = self._told()
        if self.met < self.played:
            reports += self._meet(told.printed)
        return replace(told, reports=reports)

    @property
    def leads(self) -> bool:
        """Whether resting orders have not met every print of the candle that the market stands in."""
        return self.met < self.tape.first[self.candle + 1]

    def lead(self) -> tuple[Report, ...]:
        """Go on to the next price of this candle at which something trades, or to the next print."""
        printed = self.tape.print_at(self.met)
        while self.tape.is_path:
            reports = self._halt(printed)
            if reports is None:
                break
            if reports:
                return reports
        return self._meet(printed)

    def tell(self) -> list[Played]:
        """Make the prints that were met ahead, and quote the next open, which nothing meets yet."""
        told = []
        while self.played < self.met:
            told.append(self._told())
        if not self.ended:
            told.append(self._told())
        price_e8 = self.last.price_e8
        self._engine.quote_at(self.tape.symbol, price_e8, *self._quote(price_e8))
        return told

    def _halt(self, printed: Print) -> tuple[Report, ...] | None:
        """Come past the first order or stop on the way to a print, and stand there; None for none."""
        symbol, now_ms = self.tape.symbol, printed.time_ms
        after_e8, last_e8 = printed.price_e8, int(self.tape.price_e8[self.met - 1])
        falls = after_e8 < last_e8
        before_e8 = last_e8 if self._way_e8 is None else self._way_e8
        order_e8 = self._engine.first_passed(symbol, before_e8, after_e8, falls=falls)
        stops = []
        if (before_e8 > after_e8) is falls:
            stops = self._engine.stops_between(symbol, before_e8, after_e8)
        stops_first = stops and (not order_e8 or (stops[0] - order_e8) * (1 if falls else -1) >= 0)
        if not stops_first and not order_e8:
            return None
        opens = self.met == self.tape.first[self.candle]
        at_e8 = order_e8 if not stops_first else after_e8 if opens else stops[0]
        self.last, self.now_ms = replace(printed, price_e8=at_e8), now_ms
        if stops_first:
            self._way_e8 = at_e8
            reports = self._engine.meet_stops(symbol, at_e8, now_ms)
        else:
            self._way_e8 = at_e8 - 1 if falls else at_e8 + 1
            volume_e8 = printed.quantity_e8
            reports = self._engine.pass_order(symbol, at_e8, volume_e8, now_ms, falls=falls)
        return reports + self.stand()

    def _meet(self, printed: Print) -> tuple[Report, ...]:
        symbol, now_ms = self.tape.symbol, printed.time_ms
        self.last, self.now_ms = printed, now_ms
        opens = self.met == self.tape.first[self.candle]
        on_the_way = () if opens or not self.tape.is_path else self._pass_stops(printed)
        self.met += 1
        self._way_e8 = None
        filled = self._engine.walk(symbol, [printed.price_e8], printed.quantity_e8, now_ms)
        return on_the_way + filled + self.stand()

    def _pass_stops(self, printed: Print) -> tuple[Report, ...]:
        """Let the price come past the stops between the last print and this one, one after the other."""
        symbol, now_ms = self.tape.symbol, printed.time_ms
        before_e8 = int(self.tape.price_e8[self.met - 1]) if self._way_e8 is None else self._way_e8
        reports: tuple[Report, ...] = ()
        for stop_e8 in self._engine.stops_between(symbol, before_e8, printed.price_e8):
            reports += self._engine.walk(symbol, [stop_e8], printed.quantity_e8, now_ms)
            reports += self._engine.stand_at(symbol, *self._quote(stop_e8), now_ms)
        return reports

    def _told(self) -> Played:
        """Go on by one print, without any order."""
        if self.ended:
            raise LookupError(f"{self.tape.symbol}: the tape ended")
        if self.played == self.tape.first[self.candle + 1]:
            self.candle += 1
        self.played += 1
        printed = self.tape.print_at(self.played - 1)
        self.last, self.now_ms = printed, printed.time_ms
        opens = self.played == self.tape.first[self.candle] + 1
        closes = self.closed and printed.time_ms >= self.tape.close_ms(self.candle)
        return Played(self.tape.symbol, printed, bool(opens), bool(closes), ())

    def skip(self, count: int) -> None:
        """Make prints at once that no order waits for."""
        self.played += count
        self.met, self._way_e8 = self.played, None
        self.candle = self.tape.candle_of(self.played - 1)
        self.last = self.tape.print_at(self.played - 1)
        self.now_ms = self.last.time_ms
        self.move_to(self._engine)

    def move_to(self, engine: MatchingEngine) -> None:
        """Go on printing into another engine, at the same point of the tape."""
        self._engine = engine
        self._engine.walk(self.tape.symbol, [self.last.price_e8], 0, self.now_ms)
        self.stand()

    def stand(self) -> tuple[Report, ...]:
        """Let the market stand around the last print."""
        quote = self._quote(self.last.price_e8)
        return self._engine.stand_at(self.tape.symbol, *quote, self.now_ms)

    def _quote(self, price_e8: int) -> tuple[int, int, int]:
        """Return bid and ask around a price, in ticks, and the lots that stand there."""
        instrument = self._engine.instrument(self.tape.symbol)
        price, tick = price_e8 / SCALE, instrument.tick_e8
        bid = max(1, ticks_below(worsened_sell(price, self._slippage_bps), tick))
        ask = max(bid, ticks_above(worsened_buy(price, self._slippage_bps), tick))
        volume_lots = int(self.tape.candle_volume_e8[self.candle]) // instrument.step_e8
        return bid, ask, max(volume_lots, DEEP_QUOTE_E8 // (ask * instrument.unit_e8), 1)
