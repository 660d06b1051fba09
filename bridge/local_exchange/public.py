"""Market data that anyone may ask for; every answer is read from the tape and the standing quote."""

from __future__ import annotations

from collections.abc import Callable

from bridge.local_exchange.information import exchange_info
from bridge.local_exchange.market_view import (
    AVERAGE_MINUTES,
    BOTH,
    average_price_e8,
    best_quote,
    levels,
    rendered,
    statistics,
)
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json, Object, aggregate_trade, kline_row, recent_trade
from bridge.local_exchange.venue import Venue
from workbench.errors import UsageError
from workbench.execution.orders import Rejected
from workbench.market.instruments import Instrument, from_e8

DAY_MS = 86_400_000


def ping(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Answer that the exchange is there."""
    return {}


def server_time(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the wall clock, against which timestamps of requests are checked."""
    return {"serverTime": wall_ms}


def information(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return exchangeInfo of all symbols, or of those asked for."""
    return exchange_info(_asked(venue, params), venue.settings.limits, wall_ms)


def klines(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return klines by opening time, the unfinished one included."""
    replay = venue.replay(params.symbol())
    timeframe = params.timeframe()
    if params.optional("timeZone") not in (None, "0", "0:00", "00:00", "+00:00"):
        raise Rejected(-1020, "This operation is not supported. (timeZone other than UTC)")
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, 1000)
    try:
        found = list(
            replay.tape.klines(
                timeframe, replay.played, start_ms=start_ms, end_ms=end_ms, limit=limit
            )
        )
    except UsageError as error:
        raise Rejected(-1120, f"Invalid interval. ({error})") from None
    return [kline_row(kline) for kline in found]


def depth(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the standing quote joined with users' resting orders, best first."""
    symbol, limit = params.symbol(), params.limit(100, 5000)
    venue.replay(symbol)
    bids, asks = (rendered(venue, symbol, levels(venue, symbol, side))[:limit] for side in BOTH)
    return {"lastUpdateId": venue.updates[symbol], "bids": [*bids], "asks": [*asks]}


def trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the newest prints of the tape, oldest first."""
    replay = venue.replay(params.symbol())
    first = max(0, replay.played - params.limit(500, 1000))
    return [recent_trade(replay.tape.print_at(i)) for i in range(first, replay.played)]


def aggregate_trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return aggregates of prints: from a number on, from a time on, or the newest; oldest first."""
    replay = venue.replay(params.symbol())
    tape, limit = replay.tape, params.limit(500, 1000)
    start_ms, end_ms, from_id = (params.integer(n) for n in ("startTime", "endTime", "fromId"))
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    played_ms = tape.time_ms[: replay.played]
    first, last = tape.aggregates_between(
        0 if start_ms is None else int(played_ms.searchsorted(start_ms)),
        replay.played if end_ms is None else int(played_ms.searchsorted(end_ms, side="right")),
    )
    first = first if from_id is None else max(first, from_id)
    oldest_first = from_id is not None or start_ms is not None
    chosen = range(first, last)[:limit] if oldest_first else range(first, last)[-limit:]
    return [aggregate_trade(tape, number) for number in chosen]


def average_price(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the volume-weighted price of the last five minutes, at least of the last candle."""
    symbol = params.symbol()
    return {
        "mins": AVERAGE_MINUTES,
        "price": from_e8(average_price_e8(venue, symbol)),
        "closeTime": venue.replay(symbol).now_ms,
    }


def price_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the last price of one symbol, or of several as a list."""
    return _each(venue, params, _last_price)


def book_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the best bid and ask of one symbol, or of several as a list."""
    return _each(venue, params, _best)


def day_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the statistics of the last 24 hours of market time."""
    return _each(venue, params, _day)


def _asked(venue: Venue, params: Parameters) -> list[Instrument]:
    names = params.symbols()
    if names is None:
        return list(venue.engine.instruments.values())
    return [venue.engine.instrument(name) for name in names]


def _each(venue: Venue, params: Parameters, one: Callable[[Venue, str], Object]) -> Json:
    answers: list[Json] = [one(venue, instrument.symbol) for instrument in _asked(venue, params)]
    return answers[0] if "symbol" in params else answers


def _last_price(venue: Venue, symbol: str) -> Object:
    return {"symbol": symbol, "price": from_e8(venue.replay(symbol).last.price_e8)}


def _best(venue: Venue, symbol: str) -> Object:
    bid, ask = best_quote(venue, symbol)
    return {
        "symbol": symbol,
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
    }


def _day(venue: Venue, symbol: str) -> Object:
    day = statistics(venue, symbol, DAY_MS)
    bid, ask = best_quote(venue, symbol)
    return {
        "symbol": symbol,
        "priceChange": from_e8(day.change_e8),
        "priceChangePercent": day.change_percent,
        "weightedAvgPrice": from_e8(day.average_e8),
        "prevClosePrice": from_e8(day.before_e8),
        "lastPrice": from_e8(day.last_e8),
        "lastQty": from_e8(day.last_quantity_e8),
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
        "openPrice": from_e8(day.open_e8),
        "highPrice": from_e8(day.high_e8),
        "lowPrice": from_e8(day.low_e8),
        "volume": from_e8(day.volume_e8),
        "quoteVolume": from_e8(day.quote_e8),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.count,
    }
