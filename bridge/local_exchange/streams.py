"""Market streams: who listens to which, and the frames that a print makes.

kline_<interval>, trade and bookTicker. A kline frame is thrown away when one of the same stream
left less than two seconds ago (one for 1s) on the elapsed clock, as Binance does; frames that close
a candle always leave, and in step pace all do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from bridge.clock import Clock
from bridge.local_exchange.connections import Connection
from bridge.local_exchange.public import best_quote
from bridge.local_exchange.replay import Played, Replay
from bridge.local_exchange.settings import Pace
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.venue import Venue
from bridge.local_exchange.wire import encode
from workbench.errors import UsageError
from workbench.execution.matching.tape import Kline, refuse_finer
from workbench.market.instruments import from_e8
from workbench.market.timeframes import Timeframe, parse_timeframe

_NAME = re.compile(r"([a-z0-9]+)@(trade|bookTicker|kline_(\w+))")
KLINE_EVERY_S = 2.0
SECOND_KLINE_EVERY_S = 1.0


@dataclass(slots=True)
class Subscriber:
    """A connection's streams, and whether frames name theirs."""

    connection: Connection
    combined: bool
    streams: dict[str, None]


@dataclass(slots=True)
class KlineStream:
    """What a kline stream has published: the open candle's opening time, and when it last sent."""

    timeframe: Timeframe
    open_ms: int = -1
    closed: bool = True
    sent_at: float = -1e9


class Streams:
    """The hub between the venue and everybody who listens to market data."""

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._listeners: dict[str, dict[int, Subscriber]] = defaultdict(dict)
        self._klines: dict[str, dict[str, KlineStream]] = defaultdict(dict)

    def refuse(self, name: str) -> str | None:
        """Return why a stream cannot be served, None where it can."""
        match = _NAME.fullmatch(name)
        if match is None:
            return f"stream {name!r} is not served; there are <symbol>@trade, @bookTicker, @kline_"
        if match[1].upper() not in self._venue.replays:
            return f"stream {name!r}: no such symbol is replayed"
        if match[3]:
            source = self._venue.replays[match[1].upper()].tape.timeframe
            try:
                refuse_finer(parse_timeframe(match[3]), source)
            except UsageError as error:
                return str(error)
        return None

    def add(self, subscriber: Subscriber, name: str) -> None:
        """Let a subscriber hear a stream from now on."""
        subscriber.streams[name] = None
        self._listeners[name][id(subscriber)] = subscriber
        match = _NAME.fullmatch(name)
        if match and match[3]:
            stream = KlineStream(parse_timeframe(match[3]))
            self._klines[match[1].upper()].setdefault(name, stream)

    def remove(self, subscriber: Subscriber, name: str) -> None:
        """Stop a stream for a subscriber."""
        subscriber.streams.pop(name, None)
        self._listeners[name].pop(id(subscriber), None)
        if not self._listeners[name]:
            del self._listeners[name]
            self._klines[name.partition("@")[0].upper()].pop(name, None)

    def on_print(self, symbol: str, played: Played) -> None:
        """Send the frames that a print makes."""
        lower, now_ms = symbol.lower(), played.printed.time_ms
        if f"{lower}@trade" in self._listeners:
            self._publish(f"{lower}@trade", trade_frame(symbol, played))
        for name, stream in list(self._klines[symbol].items()):
            self._kline(name, stream, symbol, played)
        if f"{lower}@bookTicker" in self._listeners:
            self._publish(f"{lower}@bookTicker", self._book_ticker(symbol, now_ms))

    def _kline(self, name: str, stream: KlineStream, symbol: str, played: Played) -> None:
        replay, timeframe = self._venue.replays[symbol], stream.timeframe
        opened = timeframe.floor(played.printed.time_ms)
        if opened != stream.open_ms and not stream.closed:
            self._send_kline(name, stream, replay, stream.open_ms, closes=True)
        closes = played.closes and played.printed.time_ms + 1 >= timeframe.next(opened)
        if closes or self._due(stream):
            self._send_kline(name, stream, replay, opened, closes=closes)
        stream.open_ms, stream.closed = opened, closes

    def _due(self, stream: KlineStream) -> bool:
        if self._venue.settings.pace is Pace.STEP:
            return True
        every = SECOND_KLINE_EVERY_S if stream.timeframe.name == "1s" else KLINE_EVERY_S
        return self._clock.elapsed() - stream.sent_at >= every

    def _send_kline(
        self, name: str, stream: KlineStream, replay: Replay, open_ms: int, *, closes: bool
    ) -> None:
        kline = replay.tape.kline_at(stream.timeframe, replay.played, open_ms)
        if kline is None:
            return
        now_ms = kline.close_ms + 1 if closes else replay.now_ms
        frame = kline_frame(replay.tape.symbol, stream.timeframe, kline, closes, now_ms)
        self._publish(name, frame)
        stream.sent_at = self._clock.elapsed()

    def _book_ticker(self, symbol: str, now_ms: int) -> Object:
        bid, ask = best_quote(self._venue, symbol)
        return {
            "u": self._venue.replays[symbol].played,
            "s": symbol,
            "b": bid[0],
            "B": bid[1],
            "a": ask[0],
            "A": ask[1],
        }

    def _publish(self, name: str, frame: Object) -> None:
        raw = encode(frame)
        for subscriber in list(self._listeners.get(name, {}).values()):
            wrapped = f'{{"stream":"{name}","data":{raw}}}' if subscriber.combined else raw
            subscriber.connection.send(wrapped)


def trade_frame(symbol: str, played: Played) -> Object:
    """Return the trade event of a print."""
    one = played.printed
    return {
        "e": "trade",
        "E": one.time_ms,
        "s": symbol,
        "t": one.trade_id,
        "p": from_e8(one.price_e8),
        "q": from_e8(one.quantity_e8),
        "T": one.time_ms,
        "m": one.seller_takes,
        "M": True,
    }


def kline_frame(
    symbol: str, timeframe: Timeframe, kline: Kline, closes: bool, now_ms: int
) -> Object:
    """Return the kline event of a candle as far as it was played."""
    return {
        "e": "kline",
        "E": now_ms,
        "s": symbol,
        "k": {
            "t": kline.open_ms,
            "T": kline.close_ms,
            "s": symbol,
            "i": timeframe.name,
            "f": kline.first_trade_id,
            "L": kline.first_trade_id + kline.trades - 1,
            "o": from_e8(kline.open_e8),
            "c": from_e8(kline.close_e8),
            "h": from_e8(kline.high_e8),
            "l": from_e8(kline.low_e8),
            "v": from_e8(kline.volume_e8),
            "n": kline.trades,
            "x": closes,
            "q": from_e8(kline.quote_volume_e8),
            "V": from_e8(kline.taker_volume_e8),
            "Q": from_e8(kline.taker_quote_e8),
            "B": "0",
        },
    }
