"""Frames of Binance's kline streams: what one tells, and nothing believed.

A combined stream wraps each frame as {"stream", "data"}. A kline frame tells one candle, over and
over while it is open (x false) and once when it has closed (x true). The fields are those of a REST
row under other names, so a closed candle passes the very checks of a REST page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from workbench.data.sources.klines import frame_of
from workbench.errors import ExchangeError
from workbench.market.timeframes import TIMEFRAMES, Timeframe

_REST_ROW = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")


@dataclass(frozen=True, slots=True)
class StreamedKline:
    """One kline frame; `row` is the same candle as a row of the REST API."""

    symbol: str
    timeframe: Timeframe
    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool
    event_ms: int
    row: tuple[object, ...]

    def candle(self) -> pl.DataFrame:
        """Return the candle as a frame of one row; DataError where it cannot be one."""
        return frame_of(
            [list(self.row)], self.symbol, self.timeframe, from_ms=self.open_ms, to_ms=self.open_ms
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to a request of ours; `error` is empty where it was granted."""

    id: object
    error: str


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server says that it goes away; a new connection is due at once."""


def told_by(message: str | bytes) -> StreamedKline | Answer | Shutdown | None:
    """Return what a message tells, None for what is not about klines.

    Raises ExchangeError where it is not JSON, or a kline frame whose fields are not what they should be.
    """
    try:
        value = json.loads(message)
    except ValueError:
        raise ExchangeError(f"the stream sent {str(message)[:60]!r}, which is not JSON") from None
    if not isinstance(value, dict):
        return None
    frame = value.get("data", value) if "stream" in value else value
    if not isinstance(frame, dict):
        return None
    if frame.get("e") == "kline":
        return _kline(frame)
    if frame.get("e") == "serverShutdown":
        return Shutdown()
    if "e" not in frame and ("result" in frame or "code" in frame or "error" in frame):
        return Answer(frame.get("id"), _error(frame))
    return None


def _kline(frame: dict[str, object]) -> StreamedKline:
    told, event_ms = frame.get("k"), frame.get("E")
    try:
        if not isinstance(told, dict) or [type(told[one]) for one in "tTx"] != [int, int, bool]:
            raise TypeError
        opened, high, low, close, volume = (float(told[name]) for name in "ohlcv")
        return StreamedKline(
            symbol=str(told["s"]),
            timeframe=TIMEFRAMES[told["i"]],
            open_ms=told["t"],
            close_ms=told["T"],
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=volume,
            closed=told["x"],
            event_ms=int(str(event_ms)),
            row=tuple(told[name] for name in _REST_ROW),
        )
    except (KeyError, TypeError, ValueError):
        raise ExchangeError(
            f"the stream sent a kline that is none: {json.dumps(frame)[:120]}"
        ) from None


def _error(answer: dict[str, object]) -> str:
    inner = answer.get("error")
    told = inner if isinstance(inner, dict) else answer
    return f"{told.get('msg')} ({told.get('code')})" if "code" in told else ""
