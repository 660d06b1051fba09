"""Statistics of windows of market time: the last 24 hours, a day so far, any number of minutes."""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.local_exchange.market_view import Statistics, best_quote, statistics
from bridge.local_exchange.order_forms import both_empty
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.venue import Venue
from workbench.execution.orders import Rejected
from workbench.market.instruments import from_e8

MINUTE_MS = 60_000
DAY_MS = 86_400_000
MOST_SYMBOLS = 100
OTHER_STATUS = Rejected(-1220, "The symbol's status does not match the requested symbolStatus.")
_UNITS = {"m": (MINUTE_MS, 59), "h": (60 * MINUTE_MS, 23), "d": (DAY_MS, 7)}
_WINDOW = re.compile(r"([1-9][0-9]?)([mhd])", re.ASCII)


def day_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the statistics of the last 24 hours, of one symbol, several or all."""
    mini = _is_mini(params)

    def one(symbol: str) -> Object:
        day = statistics(venue, symbol, DAY_MS)
        return _mini(symbol, day) if mini else _day(venue, symbol, day)

    return each(venue, params, one)


def trading_day_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the statistics of the day so far, in a time zone."""
    mini, offset_ms = _is_mini(params), params.zone_offset_ms()
    _need_symbols(params)

    def one(symbol: str) -> Object:
        now_ms = venue.replay(symbol).now_ms
        opened = (now_ms + offset_ms) // DAY_MS * DAY_MS - offset_ms
        day = statistics(venue, symbol, now_ms - opened + 1)
        answer = _mini(symbol, day) if mini else _window(symbol, day)
        return answer | {"openTime": opened, "closeTime": opened + DAY_MS - 1}

    return each(venue, params, one)


def rolling_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the statistics of the last minutes, hours or days that were asked for."""
    mini, length_ms = _is_mini(params), _length_ms(params.optional("windowSize") or "1d")
    _need_symbols(params)

    def one(symbol: str) -> Object:
        now_ms = venue.replay(symbol).now_ms
        opened = (now_ms - length_ms) // MINUTE_MS * MINUTE_MS
        window = statistics(venue, symbol, now_ms - opened + 1)
        answer = _mini(symbol, window) if mini else _window(symbol, window)
        return answer | {"openTime": opened, "closeTime": now_ms}

    return each(venue, params, one)


def weight_of_symbols(params: Parameters) -> int:
    """Return 4 a symbol, 200 at most."""
    return min(200, 4 * len(params.symbols() or [""]))


def weight_of_day(params: Parameters) -> int:
    """Return what a 24-hour ticker costs."""
    if "symbol" in params:
        return 2
    count = len(params.symbols() or [])
    return next((cost for most, cost in ((0, 80), (20, 2), (100, 40)) if count <= most), 80)


def each(venue: Venue, params: Parameters, one: Callable[[str], Object]) -> Json:
    """Return an answer a symbol, as a list unless one `symbol` was asked for."""
    names = params.symbols()
    if names is None:
        names = [*venue.engine.instruments]
    status = params.symbol_status()
    found = [venue.engine.instrument(name).symbol for name in names]
    if status is not None:
        matching = [name for name in found if venue.status(name) == status]
        if "symbol" in params and not matching:
            raise OTHER_STATUS
        found = matching
    answers: list[Json] = [one(name) for name in found]
    return answers[0] if "symbol" in params else answers


def _need_symbols(params: Parameters) -> None:
    names = params.symbols()
    if names is None:
        raise both_empty("symbol", "symbols")
    if len(names) > MOST_SYMBOLS:
        raise Rejected(-1101, "Too many parameters sent for this endpoint.")


def _is_mini(params: Parameters) -> bool:
    kind = params.optional("type") or "FULL"
    if kind not in ("FULL", "MINI"):
        raise Rejected(-1139, "Invalid ticker type.")
    return kind == "MINI"


def _length_ms(size: str) -> int:
    match = _WINDOW.fullmatch(size)
    unit_ms, most = _UNITS[match[2]] if match else (0, 0)
    if match is None or int(match[1]) > most:
        raise Rejected(-1130, "Data sent for parameter 'windowSize' is not valid.")
    return int(match[1]) * unit_ms


def _mini(symbol: str, window: Statistics) -> Object:
    return {
        "symbol": symbol,
        "openPrice": from_e8(window.open_e8),
        "highPrice": from_e8(window.high_e8),
        "lowPrice": from_e8(window.low_e8),
        "lastPrice": from_e8(window.last_e8),
        "volume": from_e8(window.volume_e8),
        "quoteVolume": from_e8(window.quote_e8),
        "openTime": window.open_ms,
        "closeTime": window.close_ms,
        "firstId": window.first_id,
        "lastId": window.last_id,
        "count": window.count,
    }


def _window(symbol: str, window: Statistics) -> Object:
    change: Object = {
        "priceChange": from_e8(window.change_e8),
        "priceChangePercent": window.change_percent,
        "weightedAvgPrice": from_e8(window.average_e8),
    }
    return _mini(symbol, window) | change


def _day(venue: Venue, symbol: str, day: Statistics) -> Object:
    bid, ask = best_quote(venue, symbol)
    more: Object = {
        "prevClosePrice": from_e8(day.before_e8),
        "lastQty": from_e8(day.last_quantity_e8),
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
    }
    return _window(symbol, day) | more
