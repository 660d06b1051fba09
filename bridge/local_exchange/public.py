"""Market data that anyone may ask for; every answer is read from the tape and the standing quote."""

from __future__ import annotations

from collections.abc import Callable

from bridge.local_exchange.information import exchange_info
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json, Object, kline_row, recent_trade
from bridge.local_exchange.venue import Venue
from workbench.errors import UsageError
from workbench.execution.matching.tape import total
from workbench.execution.orders import Rejected, Side
from workbench.market.instruments import SCALE, Instrument, from_e8

DAY_MS = 86_400_000
AVERAGE_MINUTES = 5


def ping(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Answer that the exchange is there."""
    return {}


def server_time(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the wall clock, against which timestamps of requests are checked."""
    return {"serverTime": wall_ms}


def information(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return exchangeInfo of all symbols, or of those asked for."""
    return exchange_info(_asked(venue, params), venue.settings.weight_limit, wall_ms)


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
    symbol = params.symbol()
    instrument, limit = venue.engine.instrument(symbol), params.limit(100, 5000)
    return {
        "lastUpdateId": venue.replay(symbol).played,
        "bids": [*_levels(venue, instrument, Side.BUY)[:limit]],
        "asks": [*_levels(venue, instrument, Side.SELL)[:limit]],
    }


def trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the newest prints of the tape, oldest first."""
    replay = venue.replay(params.symbol())
    first = max(0, replay.played - params.limit(500, 1000))
    return [recent_trade(replay.tape.print_at(i)) for i in range(first, replay.played)]


def average_price(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the volume-weighted price of the last five minutes, at least of the last candle."""
    replay = venue.replay(params.symbol())
    candles = max(1, AVERAGE_MINUTES * 60_000 // replay.tape.timeframe.mean_ms)
    part = slice(int(replay.tape.first[max(0, replay.candle - candles + 1)]), replay.played)
    volume = total(replay.tape.quantity_e8[part])
    quote = total(replay.tape.quote_e8[part])
    price = quote * SCALE // volume if volume else replay.last.price_e8
    return {"mins": AVERAGE_MINUTES, "price": from_e8(price), "closeTime": replay.now_ms}


def price_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the last price of one symbol, or of several as a list."""
    return _each(venue, params, _last_price)


def book_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the best bid and ask of one symbol, or of several as a list."""
    return _each(venue, params, _best)


def day_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the statistics of the last 24 hours of market time."""
    return _each(venue, params, _day)


def best_quote(venue: Venue, symbol: str) -> tuple[list[Json], list[Json]]:
    """Return the best bid and ask as [price, quantity]; zeros where a side is empty."""
    instrument = venue.engine.instrument(symbol)
    empty: list[list[Json]] = [[from_e8(0), from_e8(0)]]
    bids = _levels(venue, instrument, Side.BUY) or empty
    asks = _levels(venue, instrument, Side.SELL) or empty
    return bids[0], asks[0]


def _asked(venue: Venue, params: Parameters) -> list[Instrument]:
    names = params.symbols()
    if names is None:
        return list(venue.engine.instruments.values())
    return [venue.engine.instrument(name) for name in names]


def _each(venue: Venue, params: Parameters, one: Callable[[Venue, str], Object]) -> Json:
    answers: list[Json] = [one(venue, instrument.symbol) for instrument in _asked(venue, params)]
    return answers[0] if "symbol" in params else answers


def _levels(venue: Venue, instrument: Instrument, side: Side) -> list[list[Json]]:
    levels = dict(venue.engine.book(instrument.symbol).levels(side))
    quote = venue.engine.quote(instrument.symbol)
    if quote is not None:
        price, lots = quote.against(Side.SELL if side is Side.BUY else Side.BUY)
        if lots:
            levels[price] = levels.get(price, 0) + lots
    return [
        [from_e8(price * instrument.tick_e8), from_e8(levels[price] * instrument.step_e8)]
        for price in sorted(levels, reverse=side is Side.BUY)
    ]


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
    replay = venue.replay(symbol)
    tape, now_ms = replay.tape, replay.now_ms
    first = int(tape.open_ms.searchsorted(now_ms - DAY_MS, side="right"))
    opening = min(first, replay.candle)
    first = int(tape.first[opening])
    part = slice(first, replay.played)
    prices, volume = tape.price_e8[part], total(tape.quantity_e8[part])
    quote = total(tape.quote_e8[part])
    opened, last = int(prices[0]), int(prices[-1])
    before = int(tape.price_e8[first - 1]) if first else opened
    bid, ask = best_quote(venue, symbol)
    return {
        "symbol": symbol,
        "priceChange": from_e8(last - opened),
        "priceChangePercent": f"{(last - opened) / opened * 100:.3f}",
        "weightedAvgPrice": from_e8(quote * SCALE // volume if volume else 0),
        "prevClosePrice": from_e8(before),
        "lastPrice": from_e8(last),
        "lastQty": from_e8(replay.last.quantity_e8),
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
        "openPrice": from_e8(opened),
        "highPrice": from_e8(int(prices.max())),
        "lowPrice": from_e8(int(prices.min())),
        "volume": from_e8(volume),
        "quoteVolume": from_e8(quote),
        "openTime": int(tape.open_ms[opening]),
        "closeTime": now_ms,
        "firstId": tape.print_at(first).trade_id,
        "lastId": replay.last.trade_id,
        "count": replay.played - first,
    }
