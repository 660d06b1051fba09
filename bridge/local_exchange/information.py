"""exchangeInfo: the rules that clients read at start, and the limits that they must keep."""

from __future__ import annotations

from bridge.local_exchange.limits import LimitRules
from bridge.local_exchange.shapes import Json, Object
from workbench.market.instruments import Instrument, from_e8


def exchange_info(instruments: list[Instrument], limits: LimitRules, wall_ms: int) -> Object:
    """Return the answer to GET exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": wall_ms,
        "rateLimits": [*rate_limits(limits)],
        "exchangeFilters": [],
        "symbols": [symbol_info(one) for one in instruments],
    }


def rate_limits(limits: LimitRules) -> list[Object]:
    """Return the four limits of requests and orders."""
    return [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight),
        _limit("ORDERS", "SECOND", 10, limits.orders_10s),
        _limit("ORDERS", "DAY", 1, limits.orders_1d),
        _limit("RAW_REQUESTS", "MINUTE", 5, limits.requests_5m),
    ]


def symbol_info(one: Instrument) -> Object:
    """Return a symbol's entry: what the engine can do is allowed, nothing else."""
    return {
        "symbol": one.symbol,
        "status": "TRADING",
        "baseAsset": one.base,
        "baseAssetPrecision": 8,
        "quoteAsset": one.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(one),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(one: Instrument) -> list[Json]:
    lots: Object = {
        "minQty": from_e8(one.min_qty_e8),
        "maxQty": from_e8(one.max_qty_e8),
        "stepSize": from_e8(one.step_e8),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": from_e8(one.min_price_e8),
            "maxPrice": from_e8(one.max_price_e8),
            "tickSize": from_e8(one.tick_e8),
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {
            "filterType": "NOTIONAL",
            "minNotional": from_e8(one.min_notional_e8),
            "applyMinToMarket": True,
            "maxNotional": "9000000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 0,
        },
    ]


def _limit(kind: str, interval: str, number: int, limit: int) -> Object:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }
