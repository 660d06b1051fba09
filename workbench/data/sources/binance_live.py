"""Live klines: closed candles from one WebSocket connection, and from REST whatever it missed.

On every connection REST is asked first for all that closed since the last candle that went on, so a
lost connection, the daily rotation and the very start are the same case. After that the sequence of
each series (`workbench.market.sequence`) says which frame goes on and when REST has to fill a hole
before. A market that is replayed on this machine keeps its past times and may stand still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

import polars as pl

from workbench.data.schema import marked
from workbench.data.sources.address import refuse_address, stream_url_of
from workbench.data.sources.binance_http import Banned
from workbench.data.sources.binance_rest import BASE_URL, MAX_MS, BinanceRest
from workbench.data.sources.kline_frames import StreamedKline
from workbench.data.sources.kline_socket import ROTATE_S, Broken, KlineSocket, OpenStreams
from workbench.data.sources.patience import Patience
from workbench.errors import DataError, ExchangeError
from workbench.market.sequence import AskRest, CandleSequence, Pass, sound
from workbench.market.timeframes import Timeframe

Key: TypeAlias = tuple[str, Timeframe]
ATTEMPTS = 60  # with waits that grow to a minute: nearly an hour without a connection
_STEADY_S = 60.0  # a connection that lasted so long was a good one
_LAGS = 3  # REST may know a candle a moment later than the stream


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed candles of one series, in order; the first comes after the last one told."""

    symbol: str
    timeframe: Timeframe
    candles: pl.DataFrame


def _say_nothing(line: str) -> None:
    """Keep quiet about a connection that is opened again."""


@dataclass(slots=True)
class BinanceLive:
    """The kline streams that belong to a REST API, as a source that never ends by itself.

    `say` is told in a line whenever the connection was lost.
    """

    rest: BinanceRest = field(default_factory=lambda: BinanceRest(BASE_URL))
    stream_url: str | None = None
    patience: Patience = field(default_factory=lambda: Patience(attempts=ATTEMPTS))
    silent_s: float = 60.0
    rotate_s: float = ROTATE_S
    say: Callable[[str], None] = _say_nothing
    connections: int = field(default=0, init=False)
    _socket: KlineSocket = field(init=False, repr=False)

    def __post_init__(self) -> None:
        url = self.stream_url or stream_url_of(self.rest.base_url)
        refuse_address(url, option="--stream-url", example="wss://stream.binance.com:9443")
        silent_s = None if self.rest.replayed else self.silent_s
        self._socket = KlineSocket(url, self.patience, silent_s, self.rotate_s)

    @property
    def venue(self) -> str:
        """Return the venue of the REST API."""
        return self.rest.venue

    @property
    def description(self) -> str:
        """Return the host that was listened to, for the manifest."""
        return f"live klines of {urlsplit(self._socket.url).hostname}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the closed candles that open in [start, end): the past at once, the rest in time."""
        for told in self.follow({(symbol, timeframe): start_ms}, until_ms=end_ms):
            yield told.candles

    def follow(
        self, since_ms: Mapping[Key, int | None], *, until_ms: int | None
    ) -> Iterator[Closed]:
        """Yield every closed candle of many series, each once and each series in order.

        A series begins with the candle that opens at its time or after it; with None, at the one
        that is open when the stream is first heard. Ends when every series has told what opens
        before `until_ms`. Raises UsageError for what the exchange does not know, DataError for
        candles that cannot be right, ExchangeError after too many attempts to connect.
        """
        following = {key: _Following(key, at, until_ms) for key, at in since_ms.items()}
        names = [f"{symbol.lower()}@kline_{timeframe}" for symbol, timeframe in following]
        for (
            symbol,
            timeframe,
        ) in following:  # a stream of an unknown symbol would say nothing for ever
            self.rest.first_candle(symbol, timeframe)
        failures = 0
        while not all(one.over for one in following.values()):
            began_s, trouble = self.patience.elapsed(), "the server ended the connection"
            try:
                with self._socket.subscribed(names) as streams:
                    self.connections += 1
                    yield from self._heard(streams, following)
            except Banned:
                raise
            except (*Broken, ExchangeError) as error:
                trouble = str(error) or type(error).__name__
                self.say(f"{self._socket.url}: {trouble}; connecting again")
            failures = 0 if self.patience.elapsed() - began_s > _STEADY_S else failures + 1
            if failures >= self.patience.attempts:
                raise self._given_up(failures, trouble)
            if failures > 1:
                self.patience.back_off(failures - 1)

    def close(self) -> None:
        """Close the connections of the REST API; a stream is closed by whoever stops reading it."""
        self.rest.close()

    def _heard(self, streams: OpenStreams, following: Mapping[Key, _Following]) -> Iterator[Closed]:
        now_ms = self.rest.server_time_ms()
        for one in following.values():
            yield from self._filled(one, now_ms)
            if not self.rest.replayed:
                one.reached(now_ms)
        for kline in streams.frames():
            heard = following.get((kline.symbol, kline.timeframe))
            if heard is not None:
                yield from self._stepped(heard, kline)
            if all(one.over for one in following.values()):
                return

    def _stepped(self, heard: _Following, kline: StreamedKline) -> Iterator[Closed]:
        sequence = heard.begun_at(kline.open_ms)
        step = sequence.frame(kline)
        if isinstance(step, AskRest):
            known_ms = kline.open_ms if sound(kline) else kline.timeframe.next(kline.open_ms)
            yield from self._filled(heard, known_ms, lags=_LAGS)
            heard.reached(kline.open_ms)
            step = sequence.frame(kline)  # what REST lacks is not there: go on with this one
            if isinstance(step, AskRest) and kline.closed and sound(kline):
                step = Pass(kline)
        if isinstance(step, Pass):
            yield from self._passed(heard, kline)

    def _passed(self, heard: _Following, kline: StreamedKline) -> Iterator[Closed]:
        try:
            candles = kline.candle()
        except DataError:  # its numbers are no plain ones: REST has the same candle
            yield from self._filled(heard, kline.timeframe.next(kline.open_ms), lags=_LAGS)
            return
        yield from heard.told(marked(candles, self.description))

    def _filled(self, heard: _Following, end_ms: int, *, lags: int = 1) -> Iterator[Closed]:
        """Yield from REST what opens before `end_ms` and has not been told.

        A hole that REST leaves just before the end is asked for again, `lags` times in all.
        """
        symbol, timeframe = heard.key
        for lag in range(lags):
            sequence = heard.sequence
            if sequence is None or heard.over or sequence.expected_ms >= end_ms:
                return
            if lag:
                self.patience.back_off(lag)
            expected_ms = sequence.expected_ms
            if timeframe.next(expected_ms) > end_ms:
                return  # has not closed yet
            for page in self.rest.fetch(symbol, timeframe, expected_ms, heard.before(end_ms)):
                yield from heard.told(marked(page, self.rest.description))

    def _given_up(self, failures: int, trouble: str) -> ExchangeError:
        return ExchangeError(
            f"{self._socket.url}: gave up after {failures} attempts, the last: {trouble}; check the "
            "network and run the same command again, it goes on where it was"
        )


class _Following:
    """How far one series was told."""

    def __init__(self, key: Key, since_ms: int | None, until_ms: int | None) -> None:
        self.key = key
        self.sequence: CandleSequence[StreamedKline] | None = None
        self._until_ms = MAX_MS if until_ms is None else until_ms
        self._at_end = False
        if since_ms is not None:
            self._begin(since_ms)

    @property
    def over(self) -> bool:
        """Tell whether nothing that was asked for can come any more."""
        told_all = self.sequence is not None and self.sequence.expected_ms >= self._until_ms
        return told_all or self._at_end

    def begun_at(self, open_ms: int) -> CandleSequence[StreamedKline]:
        """Return the sequence; one without a beginning begins with this candle."""
        return self.sequence or self._begin(open_ms)

    def before(self, end_ms: int) -> int:
        """Return the earlier of a time and the end of what was asked for."""
        return min(end_ms, self._until_ms)

    def reached(self, market_ms: int) -> None:
        """Note that everything before a time has been asked for."""
        self._at_end = self._at_end or market_ms >= self._until_ms

    def told(self, candles: pl.DataFrame) -> Iterator[Closed]:
        """Note that candles go on, and yield them without those after the end."""
        candles = candles.filter(candles["open_time"].to_physical() < self._until_ms)
        if not candles.is_empty() and self.sequence is not None:
            self.sequence.passed_at(int(candles["open_time"].to_physical()[-1]))
            yield Closed(*self.key, candles)

    def _begin(self, since_ms: int) -> CandleSequence[StreamedKline]:
        timeframe = self.key[1]
        self.sequence = CandleSequence(timeframe, last_ms=timeframe.floor(since_ms - 1))
        return self.sequence
