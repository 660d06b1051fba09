"""The frames of market streams: one feed for every stream that somebody listens to.

A real-time feed turns each print into its frame at once. A paced feed remembers that something
changed and makes one frame when its time has come, on the wall's clock; between two frames of
`depth` all changes are in the second, so that U is always the u before it plus one. Klines are
thrown away in between, as at Binance, but the frame that closes a candle always leaves.

A feed starts with what it finds; from then on it counts prints by itself, in integers, and so ends
every candle with exactly what REST reduces from the tape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from bridge.local_exchange.event_shapes import (
    agg_trade_event,
    average_event,
    book_ticker_event,
    depth_event,
    kline_event,
    mini_ticker_event,
    ticker_event,
    trade_event,
    window_event,
)
from bridge.local_exchange.market_view import (
    BOTH,
    Levels,
    average_price_e8,
    best_quote,
    levels,
    rendered,
    statistics,
)
from bridge.local_exchange.replay import Played
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.stream_names import Kind, StreamName
from bridge.local_exchange.venue import Venue
from workbench.execution.matching.tape import Kline, Print
from workbench.market.timeframes import DAY_MS, Timeframe

Event = Object | list[Json]


class Feed(Protocol):
    """What a stream makes of prints and of changes of the book."""

    def on_print(self, played: Played) -> Iterator[Event]:
        """Yield the frames that must leave now."""

    def on_book(self, symbol: str) -> Iterator[Event]:
        """Yield the frames that users' orders make now."""

    def flush(self) -> Iterator[Event]:
        """Yield the frame that waits for its time, if any."""


def open_feed(venue: Venue, name: StreamName) -> Feed:
    """Return a feed for a stream, standing where the market stands."""
    if name.kind is Kind.KLINE:
        assert name.timeframe is not None
        return KlineFeed(venue, name.symbol, name.timeframe, name.offset_ms)
    if name.kind is Kind.BOOK_TICKER:
        return BookTickerFeed(venue, name.symbol)
    if name.kind is Kind.DEPTH:
        return DepthFeed(venue, name.symbol)
    if name.kind in (Kind.TRADE, Kind.AGG_TRADE):
        return TradeFeed(venue, name.symbol, aggregate=name.kind is Kind.AGG_TRADE)
    if not name.symbol:
        return AllSymbolsFeed(venue, name)
    return SnapshotFeed(venue, name)


class TradeFeed:
    """Every print of the tape, alone or with those that one taker made at one price."""

    def __init__(self, venue: Venue, symbol: str, *, aggregate: bool) -> None:
        self._symbol = symbol
        self._tape = venue.replays[symbol].tape
        self._replay = venue.replays[symbol]
        self._aggregate = aggregate

    def on_print(self, played: Played) -> Iterator[Event]:
        if not self._aggregate:
            yield trade_event(self._symbol, played.printed)
        elif self._tape.ends_aggregate(self._replay.played - 1):
            yield agg_trade_event(
                self._symbol, self._tape.aggregate_at(self._replay.played - 1), played.printed
            )

    def on_book(self, symbol: str) -> Iterator[Event]:
        yield from ()

    def flush(self) -> Iterator[Event]:
        yield from ()


class BookTickerFeed:
    """The best bid and ask, whenever they change."""

    def __init__(self, venue: Venue, symbol: str) -> None:
        self._venue = venue
        self._symbol = symbol
        self._best: object = None

    def on_print(self, played: Played) -> Iterator[Event]:
        yield from self.on_book(self._symbol)

    def on_book(self, symbol: str) -> Iterator[Event]:
        best = best_quote(self._venue, self._symbol)
        if best != self._best:
            self._best = best
            yield book_ticker_event(self._symbol, self._venue.updates[self._symbol], *best)

    def flush(self) -> Iterator[Event]:
        yield from ()


class DepthFeed:
    """What changed in the book since the frame before.

    A price that came and went in between is in the frame too, with nothing left: whoever took a
    snapshot in between has it.
    """

    def __init__(self, venue: Venue, symbol: str) -> None:
        self._venue = venue
        self._symbol = symbol
        self._sent = self._now()
        self._update = venue.updates[symbol]
        self._passing: list[Levels] = [{}, {}]

    def on_print(self, played: Played) -> Iterator[Event]:
        yield from self.on_book(self._symbol)

    def on_book(self, symbol: str) -> Iterator[Event]:
        for passing, now in zip(self._passing, self._now(), strict=True):
            passing |= dict.fromkeys(now, 0)
        yield from ()

    def flush(self) -> Iterator[Event]:
        update, now = self._venue.updates[self._symbol], self._now()
        if update == self._update:
            return
        changed = [
            rendered(self._venue, self._symbol, _difference(passing, before, after))
            for passing, before, after in zip(self._passing, self._sent, now, strict=True)
        ]
        now_ms = self._venue.replays[self._symbol].now_ms
        yield depth_event(self._symbol, now_ms, (self._update + 1, update), *changed)
        self._sent, self._update, self._passing = now, update, [{}, {}]

    def _now(self) -> list[Levels]:
        return [levels(self._venue, self._symbol, side) for side in BOTH]


class SnapshotFeed:
    """A stream that shows where the market stands: tickers, the average price, partial depth."""

    def __init__(self, venue: Venue, name: StreamName) -> None:
        self._venue = venue
        self._name = name
        self._changed = False

    def on_print(self, played: Played) -> Iterator[Event]:
        self._changed = True
        yield from ()

    def on_book(self, symbol: str) -> Iterator[Event]:
        self._changed = self._changed or self._name.kind is Kind.PARTIAL_DEPTH
        yield from ()

    def flush(self) -> Iterator[Event]:
        if self._changed:
            self._changed = False
            yield snapshot(self._venue, self._name)


class AllSymbolsFeed:
    """The tickers of all symbols that changed, in one frame."""

    def __init__(self, venue: Venue, name: StreamName) -> None:
        self._venue = venue
        self._name = name
        self._changed: dict[str, None] = {}

    def on_print(self, played: Played) -> Iterator[Event]:
        self._changed[played.symbol] = None
        yield from ()

    def on_book(self, symbol: str) -> Iterator[Event]:
        yield from ()

    def flush(self) -> Iterator[Event]:
        if self._changed:
            names = [replace(self._name, symbol=symbol) for symbol in self._changed]
            self._changed = {}
            yield [snapshot(self._venue, name) for name in names]


class KlineFeed:
    """A candle as it grows, and its last word when it closes."""

    def __init__(self, venue: Venue, symbol: str, timeframe: Timeframe, offset_ms: int) -> None:
        self._replay = venue.replays[symbol]
        self._symbol = symbol
        self._timeframe = timeframe
        self._offset_ms = offset_ms
        self._kline = self._found()
        self._closed = self._kline is None or self._replay.now_ms >= self._kline.close_ms
        self._changed = False

    def on_print(self, played: Played) -> Iterator[Event]:
        printed, before = played.printed, self._kline
        if before is None or printed.time_ms > before.close_ms:
            if before is not None and not self._closed:  # a gap in the tape ended it
                yield self._event(before, closes=True)
            self._kline = kline = self._opened(printed)
        else:
            self._kline = kline = _grown(before, printed)
        self._closed = played.closes and self._ends(kline)
        self._changed = not self._closed
        if self._closed:
            yield self._event(kline, closes=True)

    def on_book(self, symbol: str) -> Iterator[Event]:
        yield from ()

    def flush(self) -> Iterator[Event]:
        if self._changed and self._kline is not None:
            yield self._event(self._kline, closes=False)
        self._changed = False

    def _found(self) -> Kline | None:
        replay = self._replay
        return replay.tape.kline_at(
            self._timeframe, replay.played, replay.now_ms, offset_ms=self._offset_ms
        )

    def _opened(self, printed: Print) -> Kline:
        opened = self._timeframe.floor(printed.time_ms + self._offset_ms)
        close_ms = self._timeframe.next(opened) - 1 - self._offset_ms
        price = printed.price_e8
        taken = not printed.seller_takes
        return Kline(
            open_ms=opened - self._offset_ms,
            close_ms=close_ms,
            open_e8=price,
            high_e8=price,
            low_e8=price,
            close_e8=price,
            volume_e8=printed.quantity_e8,
            quote_volume_e8=printed.quote_e8,
            trades=1,
            taker_volume_e8=taken * printed.quantity_e8,
            taker_quote_e8=taken * printed.quote_e8,
            first_trade_id=printed.trade_id,
        )

    def _ends(self, kline: Kline) -> bool:
        """Whether the candle of the tape that just closed is the last of this one."""
        tape = self._replay.tape
        return tape.close_ms(self._replay.candle) >= kline.close_ms

    def _event(self, kline: Kline, *, closes: bool) -> Object:
        now_ms = kline.close_ms + 1 if closes else self._replay.now_ms
        return kline_event(self._symbol, self._timeframe, kline, closes=closes, now_ms=now_ms)


def snapshot(venue: Venue, name: StreamName) -> Object:
    """Return what a snapshot stream shows of its symbol now."""
    symbol, now_ms = name.symbol, venue.replays[name.symbol].now_ms
    if name.kind is Kind.PARTIAL_DEPTH:
        rows = [rendered(venue, symbol, levels(venue, symbol, side)) for side in BOTH]
        bids, asks = (part[: name.levels] for part in rows)
        return {"lastUpdateId": venue.updates[symbol], "bids": [*bids], "asks": [*asks]}
    if name.kind is Kind.AVERAGE_PRICE:
        return average_event(symbol, average_price_e8(venue, symbol), now_ms)
    if name.kind is Kind.WINDOW_TICKER:
        assert name.timeframe is not None
        window = statistics(venue, symbol, name.timeframe.mean_ms)
        return window_event(symbol, name.timeframe, window)
    day = statistics(venue, symbol, DAY_MS)
    if name.kind is Kind.MINI_TICKER:
        return mini_ticker_event(symbol, day)
    return ticker_event(symbol, day, *best_quote(venue, symbol))


def _difference(passing: Levels, before: Levels, after: Levels) -> Levels:
    """Return the levels that changed, those that are gone or only passed with nothing left."""
    gone = dict.fromkeys((before.keys() | passing.keys()) - after.keys(), 0)
    return gone | {price: lots for price, lots in after.items() if before.get(price) != lots}


def _grown(kline: Kline, printed: Print) -> Kline:
    price, taken = printed.price_e8, not printed.seller_takes
    return Kline(
        open_ms=kline.open_ms,
        close_ms=kline.close_ms,
        open_e8=kline.open_e8,
        high_e8=max(kline.high_e8, price),
        low_e8=min(kline.low_e8, price),
        close_e8=price,
        volume_e8=kline.volume_e8 + printed.quantity_e8,
        quote_volume_e8=kline.quote_volume_e8 + printed.quote_e8,
        trades=kline.trades + 1,
        taker_volume_e8=kline.taker_volume_e8 + taken * printed.quantity_e8,
        taker_quote_e8=kline.taker_quote_e8 + taken * printed.quote_e8,
        first_trade_id=kline.first_trade_id,
    )
