"""The operations that anyone may ask for."""

from __future__ import annotations

from bridge.local_exchange import public, tickers
from bridge.local_exchange.endpoint import reading
from bridge.local_exchange.parameters import Parameters

SYMBOLS = ("symbol", "symbols", "symbolStatus")


def _by_symbol(params: Parameters) -> int:
    return 2 if "symbol" in params else 4


def _by_depth(params: Parameters) -> int:
    limit = params.integer("limit") or 100
    return next((cost for most, cost in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


_KLINES = "startTime endTime timeZone limit"
_SYMBOLS = " ".join(SYMBOLS)

MARKET_ENDPOINTS = (
    reading("ping", "ping", 1, public=public.ping),
    reading("time", "time", 1, public=public.server_time),
    reading(
        "exchangeInfo",
        "exchangeInfo",
        20,
        public=public.information,
        optional=f"{_SYMBOLS} permissions showPermissionSets",
    ),
    reading(
        "klines", "klines", 2, public=public.klines, mandatory="symbol interval", optional=_KLINES
    ),
    reading(
        "uiKlines",
        "uiKlines",
        2,
        public=public.klines,
        mandatory="symbol interval",
        optional=_KLINES,
    ),
    reading(
        "depth",
        "depth",
        _by_depth,
        public=public.depth,
        mandatory="symbol",
        optional="limit symbolStatus",
    ),
    reading(
        "trades", "trades.recent", 25, public=public.trades, mandatory="symbol", optional="limit"
    ),
    reading(
        "historicalTrades",
        "trades.historical",
        25,
        public=public.old_trades,
        mandatory="symbol",
        optional="limit fromId",
    ),
    reading(
        "aggTrades",
        "trades.aggregate",
        4,
        public=public.aggregate_trades,
        mandatory="symbol",
        optional="fromId startTime endTime limit",
    ),
    reading(
        "historicalBlockTrades",
        "blockTrades.historical",
        25,
        public=public.block_trades,
        mandatory="symbol fromId",
        optional="limit",
    ),
    reading(
        "referencePrice", "referencePrice", 2, public=public.reference_price, mandatory="symbol"
    ),
    reading(
        "referencePrice/calculation",
        "referencePrice.calculation",
        2,
        public=public.reference_price,
        mandatory="symbol",
        optional="symbolStatus",
    ),
    reading("avgPrice", "avgPrice", 2, public=public.average_price, mandatory="symbol"),
    reading(
        "ticker/price", "ticker.price", _by_symbol, public=public.price_ticker, optional=_SYMBOLS
    ),
    reading(
        "ticker/bookTicker", "ticker.book", _by_symbol, public=public.book_ticker, optional=_SYMBOLS
    ),
    reading(
        "ticker/24hr",
        "ticker.24hr",
        tickers.weight_of_day,
        public=tickers.day_ticker,
        optional=f"{_SYMBOLS} type",
    ),
    reading(
        "ticker/tradingDay",
        "ticker.tradingDay",
        tickers.weight_of_symbols,
        public=tickers.trading_day_ticker,
        optional=f"{_SYMBOLS} type timeZone",
    ),
    reading(
        "ticker",
        "ticker",
        tickers.weight_of_symbols,
        public=tickers.rolling_ticker,
        optional=f"{_SYMBOLS} type windowSize",
    ),
)
