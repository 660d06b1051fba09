"""Market data that anyone may ask for; every answer is read from the tape and the standing quote."""

from __future__ import annotations

import json
from functools import partial

from bridge.local_exchange.information import exchange_info, symbol_info
from bridge.local_exchange.market_view import (
    AVERAGE_MINUTES,
    BOTH,
    average_price_e8,
    best_quote,
    levels,
    rendered,
)
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import (
    Json,
    Object,
    aggregate_trade,
    kline_row,
    recent_trade,
)
from bridge.local_exchange.tickers import OTHER_STATUS, each
from bridge.local_exchange.venue import Venue
from workbench.errors import UsageError
from workbench.execution.orders import Rejected
from workbench.market.instruments import from_e8


def ping(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Answer that the exchange is there."""
    return {}


def server_time(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the wall clock, against which timestamps of requests are checked."""
    return {"serverTime": wall_ms}


def information(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return exchangeInfo of all symbols, or of those asked for."""
    floor, status = venue.engine.floor, params.symbol_status()
    names = params.symbols()
    if names is not None and (status or "permissions" in params):
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    listed = [venue.engine.instrument(name) for name in names or venue.engine.instruments]
    infos = [symbol_info(one, floor.rule(one.symbol)) for one in listed]
    infos = [info for info in infos if status in (None, info["status"])]
    if not _permits_spot(params):
        infos = []
    if not params.flag("showPermissionSets", default=True):
        infos = [info | {"permissionSets": []} for info in infos]
    return exchange_info(infos, floor.exchange_rules, venue.settings.limits, wall_ms)


def klines(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return klines by opening time, the unfinished one included."""
    replay = venue.replay(params.symbol())
    timeframe = params.timeframe()
    offset_ms, window = params.zone_offset_ms(), params.window()
    limit = params.limit(500, 1000)
    try:
        found = list(
            replay.tape.klines(
                timeframe,
                replay.played,
                start_ms=window.start_ms,
                end_ms=window.end_ms,
                limit=limit,
                offset_ms=offset_ms,
            )
        )
    except UsageError as error:
        raise Rejected(-1120, f"Invalid interval. ({error})") from None
    return [kline_row(kline) for kline in found]


def depth(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the standing quote joined with users' resting orders, best first."""
    symbol, limit = params.symbol(), params.limit(100, 5000)
    venue.replay(symbol)
    if params.symbol_status() not in (None, venue.status(symbol)):
        raise OTHER_STATUS
    bids, asks = (rendered(venue, symbol, levels(venue, symbol, side))[:limit] for side in BOTH)
    return {"lastUpdateId": venue.updates[symbol], "bids": [*bids], "asks": [*asks]}


def trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the newest prints of the tape, oldest first."""
    replay = venue.replay(params.symbol())
    first = max(0, replay.played - params.limit(500, 1000))
    return [recent_trade(replay.tape.print_at(i)) for i in range(first, replay.played)]


def old_trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return prints of the tape from a number on, or the newest; oldest first."""
    replay = venue.replay(params.symbol())
    from_id, limit = params.integer("fromId"), params.limit(500, 1000)
    first = max(0, replay.played - limit)
    if from_id is not None:
        first = int(replay.tape.ids.searchsorted(from_id))
    last = min(first + limit, replay.played)
    return [recent_trade(replay.tape.print_at(i)) for i in range(first, last)]


def aggregate_trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return aggregates of prints: from a number on, in a window, or the newest; oldest first."""
    replay = venue.replay(params.symbol())
    tape = replay.tape
    from_id, window, limit = params.integer("fromId"), params.window(), params.limit(500, 1000)
    if from_id is not None and window.asked:
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    start_ms, end_ms = window.start_ms, window.end_ms
    played_ms = tape.time_ms[: replay.played]
    first, last = tape.aggregates_between(
        0 if start_ms is None else int(played_ms.searchsorted(start_ms)),
        replay.played if end_ms is None else int(played_ms.searchsorted(end_ms, side="right")),
    )
    first = first if from_id is None else max(first, from_id)
    oldest_first = from_id is not None or window.from_start
    chosen = range(first, last)[:limit] if oldest_first else range(first, last)[-limit:]
    return [aggregate_trade(tape, number) for number in chosen]


def block_trades(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return that nobody trades in blocks here."""
    venue.replay(params.symbol())
    params.integer("fromId")
    params.limit(500, 1000)
    return []


def reference_price(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Refuse, as Binance does for a symbol that never had a reference price."""
    venue.replay(params.symbol())
    params.symbol_status()
    raise Rejected(-2043, "This symbol doesn't have a reference price.")


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
    return each(venue, params, partial(_last_price, venue))


def book_ticker(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    """Return the best bid and ask of one symbol, or of several as a list."""
    return each(venue, params, partial(_best, venue))


def _permits_spot(params: Parameters) -> bool:
    """Whether the permissions asked for, one or a JSON list of them, hold SPOT."""
    sent = params.optional("permissions")
    if sent is None or not sent.startswith("["):
        return sent in (None, "SPOT")
    try:
        names = json.loads(sent)
    except ValueError:
        raise Rejected(-1135, "JSON sent for parameter 'permissions' is not valid") from None
    return "SPOT" in names


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
