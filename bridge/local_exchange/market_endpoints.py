"""The operations that anyone may ask for."""

from __future__ import annotations

from bridge.local_exchange import public, tickers
from bridge.local_exchange.endpoint import Endpoint, Public, Weight
from bridge.local_exchange.parameters import Parameters

SYMBOLS = ("symbol", "symbols", "symbolStatus")


def _get(
    path: str,
    ws_method: str,
    weight: Weight,
    handler: Public,
    *,
    mandatory: str = "",
    optional: str = "",
) -> Endpoint:
    """Return a row; parameter names are given as words."""
    return Endpoint(
        "GET",
        f"/api/v3/{path}",
        ws_method,
        weight,
        tuple(mandatory.split()),
        tuple(optional.split()),
        public=handler,
    )


def _by_symbol(params: Parameters) -> int:
    return 2 if "symbol" in params else 4


def _by_depth(params: Parameters) -> int:
    limit = params.integer("limit") or 100
    return next((cost for most, cost in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


_KLINES = "startTime endTime timeZone limit"
_SYMBOLS = " ".join(SYMBOLS)

MARKET_ENDPOINTS = (
    _get("ping", "ping", 1, public.ping),
    _get("time", "time", 1, public.server_time),
    _get(
        "exchangeInfo",
        "exchangeInfo",
        20,
        public.information,
        optional=f"{_SYMBOLS} permissions showPermissionSets",
    ),
    _get("klines", "klines", 2, public.klines, mandatory="symbol interval", optional=_KLINES),
    _get("uiKlines", "uiKlines", 2, public.klines, mandatory="symbol interval", optional=_KLINES),
    _get(
        "depth",
        "depth",
        _by_depth,
        public.depth,
        mandatory="symbol",
        optional="limit symbolStatus",
    ),
    _get("trades", "trades.recent", 25, public.trades, mandatory="symbol", optional="limit"),
    _get(
        "historicalTrades",
        "trades.historical",
        25,
        public.old_trades,
        mandatory="symbol",
        optional="limit fromId",
    ),
    _get(
        "aggTrades",
        "trades.aggregate",
        4,
        public.aggregate_trades,
        mandatory="symbol",
        optional="fromId startTime endTime limit",
    ),
    _get(
        "historicalBlockTrades",
        "blockTrades.historical",
        25,
        public.block_trades,
        mandatory="symbol fromId",
        optional="limit",
    ),
    _get("referencePrice", "referencePrice", 2, public.reference_price, mandatory="symbol"),
    _get(
        "referencePrice/calculation",
        "referencePrice.calculation",
        2,
        public.reference_price,
        mandatory="symbol",
        optional="symbolStatus",
    ),
    _get("avgPrice", "avgPrice", 2, public.average_price, mandatory="symbol"),
    _get("ticker/price", "ticker.price", _by_symbol, public.price_ticker, optional=_SYMBOLS),
    _get("ticker/bookTicker", "ticker.book", _by_symbol, public.book_ticker, optional=_SYMBOLS),
    _get(
        "ticker/24hr",
        "ticker.24hr",
        tickers.weight_of_day,
        tickers.day_ticker,
        optional=f"{_SYMBOLS} type",
    ),
    _get(
        "ticker/tradingDay",
        "ticker.tradingDay",
        tickers.weight_of_symbols,
        tickers.trading_day_ticker,
        optional=f"{_SYMBOLS} type timeZone",
    ),
    _get(
        "ticker",
        "ticker",
        tickers.weight_of_symbols,
        tickers.rolling_ticker,
        optional=f"{_SYMBOLS} type windowSize",
    ),
)
