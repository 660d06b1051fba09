"""The JSON shapes of market events, field for field as Binance streams them."""

from __future__ import annotations

from bridge.local_exchange.market_view import AVERAGE_MINUTES, Statistics
from bridge.local_exchange.shapes import Json, Object
from workbench.execution.matching.tape import Aggregate, Kline, Print
from workbench.market.instruments import from_e8
from workbench.market.timeframes import Timeframe


def trade_event(symbol: str, one: Print) -> Object:
    """Return the trade event of a print."""
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


def agg_trade_event(symbol: str, together: Aggregate, last: Print) -> Object:
    """Return the event of the prints that one taker made at one price, `last` the last of them."""
    return {
        "e": "aggTrade",
        "E": last.time_ms,
        "s": symbol,
        "a": together.number,
        "p": from_e8(last.price_e8),
        "q": from_e8(together.quantity_e8),
        "f": together.first_id,
        "l": together.last_id,
        "T": last.time_ms,
        "m": last.seller_takes,
        "M": True,
    }


def kline_event(
    symbol: str, timeframe: Timeframe, kline: Kline, *, closes: bool, now_ms: int
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


def book_ticker_event(symbol: str, update: int, bid: list[Json], ask: list[Json]) -> Object:
    """Return the best bid and ask."""
    return {"u": update, "s": symbol, "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}


def depth_event(
    symbol: str,
    now_ms: int,
    updates: tuple[int, int],
    bids: list[list[Json]],
    asks: list[list[Json]],
) -> Object:
    """Return the levels that changed in the updates from the first to the last."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": symbol,
        "U": updates[0],
        "u": updates[1],
        "b": [*bids],
        "a": [*asks],
    }


def average_event(symbol: str, average_e8: int, now_ms: int) -> Object:
    """Return the average price of the last minutes."""
    return {
        "e": "avgPrice",
        "E": now_ms,
        "s": symbol,
        "i": f"{AVERAGE_MINUTES}m",
        "w": from_e8(average_e8),
        "T": now_ms,
    }


def mini_ticker_event(symbol: str, day: Statistics) -> Object:
    """Return a day's candle and volume."""
    return {
        "e": "24hrMiniTicker",
        "E": day.close_ms,
        "s": symbol,
        "c": from_e8(day.last_e8),
        "o": from_e8(day.open_e8),
        "h": from_e8(day.high_e8),
        "l": from_e8(day.low_e8),
        "v": from_e8(day.volume_e8),
        "q": from_e8(day.quote_e8),
    }


def ticker_event(symbol: str, day: Statistics, bid: list[Json], ask: list[Json]) -> Object:
    """Return a day's statistics with the best bid and ask."""
    quotes: Object = {
        "x": from_e8(day.before_e8),
        "Q": from_e8(day.last_quantity_e8),
        "b": bid[0],
        "B": bid[1],
        "a": ask[0],
        "A": ask[1],
    }
    return {"e": "24hrTicker", **_window(symbol, day), **quotes}


def window_event(symbol: str, timeframe: Timeframe, window: Statistics) -> Object:
    """Return the statistics of a rolling window."""
    return {"e": f"{timeframe.name}Ticker", **_window(symbol, window)}


def _window(symbol: str, window: Statistics) -> Object:
    return {
        "E": window.close_ms,
        "s": symbol,
        "p": from_e8(window.change_e8),
        "P": window.change_percent,
        "o": from_e8(window.open_e8),
        "h": from_e8(window.high_e8),
        "l": from_e8(window.low_e8),
        "c": from_e8(window.last_e8),
        "w": from_e8(window.average_e8),
        "v": from_e8(window.volume_e8),
        "q": from_e8(window.quote_e8),
        "O": window.open_ms,
        "C": window.close_ms,
        "F": window.first_id,
        "L": window.last_id,
        "n": window.count,
    }
