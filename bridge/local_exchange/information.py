"""exchangeInfo: the rules that clients read at start, and the limits that they must keep."""

from __future__ import annotations

from bridge.local_exchange.limits import LimitRules
from bridge.local_exchange.shapes import Json, Object
from workbench.execution.filters import BIPS, ExchangeRules, FilterRules
from workbench.execution.orders import OrderType, SelfTrade
from workbench.market.instruments import MAX_E8, Instrument, from_e8

ORDER_TYPES = (
    OrderType.LIMIT,
    OrderType.LIMIT_MAKER,
    OrderType.MARKET,
    OrderType.STOP_LOSS,
    OrderType.STOP_LOSS_LIMIT,
    OrderType.TAKE_PROFIT,
    OrderType.TAKE_PROFIT_LIMIT,
)


def exchange_info(
    symbols: list[Object], rules: ExchangeRules, limits: LimitRules, wall_ms: int
) -> Object:
    """Return the answer to GET exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": wall_ms,
        "rateLimits": [*rate_limits(limits)],
        "exchangeFilters": exchange_filters(rules),
        "symbols": [*symbols],
    }


def rate_limits(limits: LimitRules) -> list[Object]:
    """Return the four limits of requests and orders."""
    return [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight),
        _limit("ORDERS", "SECOND", 10, limits.orders_10s),
        _limit("ORDERS", "DAY", 1, limits.orders_1d),
        _limit("RAW_REQUESTS", "MINUTE", 5, limits.requests_5m),
    ]


def symbol_info(one: Instrument, rules: FilterRules) -> Object:
    """Return a symbol's entry: what the engine can do is allowed, nothing else."""
    return {
        "symbol": one.symbol,
        "status": rules.status,
        "baseAsset": one.base,
        "baseAssetPrecision": 8,
        "quoteAsset": one.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [*ORDER_TYPES],
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": symbol_filters(one, rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": [*SelfTrade],
    }


def symbol_filters(one: Instrument, rules: FilterRules) -> list[Json]:
    """Return the filters of a symbol that are in force."""
    found: list[Json] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": from_e8(one.min_price_e8),
            "maxPrice": from_e8(one.max_price_e8),
            "tickSize": from_e8(one.tick_e8),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": from_e8(one.min_qty_e8),
            "maxQty": from_e8(one.max_qty_e8),
            "stepSize": from_e8(one.step_e8),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": from_e8(rules.market_min_qty_e8),
            "maxQty": from_e8(rules.market_max_qty_e8 or one.max_qty_e8),
            "stepSize": from_e8(rules.market_step_e8),
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": from_e8(one.min_notional_e8),
            "applyMinToMarket": True,
            "maxNotional": from_e8(rules.max_notional_e8 or MAX_E8),
            "applyMaxToMarket": False,
            "avgPriceMins": 0,
        },
    ]
    return found + _price_filters(rules) + _counting_filters(rules)


def exchange_filters(rules: ExchangeRules) -> list[Json]:
    """Return the filters over all symbols that are in force."""
    counts = {
        "MAX_NUM_ORDERS": ("maxNumOrders", rules.max_num_orders),
        "MAX_NUM_ALGO_ORDERS": ("maxNumAlgoOrders", rules.max_num_algo_orders),
        "MAX_NUM_ORDER_LISTS": ("maxNumOrderLists", rules.max_num_order_lists),
    }
    return [
        {"filterType": f"EXCHANGE_{name}", field: most}
        for name, (field, most) in counts.items()
        if most
    ]


def _price_filters(rules: FilterRules) -> list[Json]:
    found: list[Json] = []
    if rules.min_notional_e8:
        least = from_e8(rules.min_notional_e8)
        found.append(
            {
                "filterType": "MIN_NOTIONAL",
                "minNotional": least,
                "applyToMarket": True,
                "avgPriceMins": 0,
            }
        )
    if rules.price_up:
        found.append(
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": _times(rules.price_up),
                "multiplierDown": _times(rules.price_down),
                "avgPriceMins": 0,
            }
        )
    if rules.bid_up:
        found.append(
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": _times(rules.bid_up),
                "bidMultiplierDown": _times(rules.bid_down),
                "askMultiplierUp": _times(rules.ask_up),
                "askMultiplierDown": _times(rules.ask_down),
                "avgPriceMins": 0,
            }
        )
    if rules.max_trailing:
        found.append(
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": rules.min_trailing,
                "maxTrailingAboveDelta": rules.max_trailing,
                "minTrailingBelowDelta": rules.min_trailing,
                "maxTrailingBelowDelta": rules.max_trailing,
            }
        )
    return found


def _counting_filters(rules: FilterRules) -> list[Json]:
    counts = {
        "MAX_NUM_ORDERS": ("maxNumOrders", rules.max_num_orders),
        "MAX_NUM_ORDER_LISTS": ("maxNumOrderLists", rules.max_num_order_lists),
        "MAX_NUM_ALGO_ORDERS": ("maxNumAlgoOrders", rules.max_num_algo_orders),
        "MAX_NUM_ORDER_AMENDS": ("maxNumOrderAmends", rules.max_num_order_amends),
    }
    found: list[Json] = [
        {"filterType": name, field: most} for name, (field, most) in counts.items() if most
    ]
    if rules.max_position_e8:
        most = from_e8(rules.max_position_e8)
        found.append({"filterType": "MAX_POSITION", "maxPosition": most})
    return found


def _times(multiplier: int) -> str:
    return f"{multiplier / BIPS:g}"


def _limit(kind: str, interval: str, number: int, limit: int) -> Object:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }
