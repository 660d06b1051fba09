"""The universe from the exchange: all its pairs, each with the date of its first candle.

The first asking costs a question a pair, so what is known is kept as it comes and a run that was
killed goes on from there. Later runs ask only for new pairs and for those that stopped trading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

from workbench.data.jobs import Stopped, run_jobs
from workbench.data.sources.binance_rest import BinanceRest
from workbench.data.universe import GONE, TRADING, Listing, Universe, in_order, read, write
from workbench.errors import ExchangeError, UsageError
from workbench.market.timeframes import TIMEFRAMES, Timeframe

_AT_ONCE = 100  # pairs between two writings
_DATES = (TIMEFRAMES["1m"], TIMEFRAMES["1d"])  # a replay may have nothing finer than its source


def refresh(
    rest: BinanceRest, datasets: Path, *, now_ms: int, jobs: int = 4, progress: bool = True
) -> Universe:
    """Ask the exchange for all its pairs and keep them, with those that it names no more.

    Raises what the REST source raises; the dates that came before are kept.
    """
    from tqdm.auto import tqdm

    named = {one.symbol: one for one in _named(rest, now_ms)}
    known = read(datasets, rest.venue)
    listings = _merged(known.symbols() if known else {}, named, now_ms)

    def work(listing: Listing, stop: Event) -> Listing:
        if stop.is_set():
            raise Stopped
        return _dated(rest, listing, now_ms)

    undated = [one for one in listings.values() if _wants_date(one)]
    with tqdm(total=len(undated), desc="listing dates", disable=not progress) as bar:
        for start in range(0, len(undated), _AT_ONCE):
            group = undated[start : start + _AT_ONCE]
            listings |= {one.symbol: one for one in run_jobs(work, group, jobs)}
            write(datasets, _universe(rest, now_ms, listings))
            bar.update(len(group))
    found = _universe(rest, now_ms, listings)
    write(datasets, found)
    return found


def _named(rest: BinanceRest, now_ms: int) -> Iterator[Listing]:
    answer = rest.http.get("/api/v3/exchangeInfo", {})
    symbols = answer.get("symbols") if isinstance(answer, dict) else None
    if not isinstance(symbols, list) or not symbols:
        raise ExchangeError(
            f"{rest.http.host}: exchangeInfo names no symbols; is it a Binance API?"
        )
    for one in symbols:
        try:
            texts = [one[name] for name in ("symbol", "baseAsset", "quoteAsset", "status")]
        except (TypeError, KeyError):
            texts = [None]
        if not all(isinstance(text, str) and text for text in texts):
            raise ExchangeError(f"{rest.http.host}: exchangeInfo holds {str(one)[:60]!r}, no pair")
        symbol, base, quote, status = texts
        yield Listing(symbol, base, quote, status, seen_ms=now_ms)


def _merged(
    known: Mapping[str, Listing], named: Mapping[str, Listing], now_ms: int
) -> dict[str, Listing]:
    """Return what is named now with the dates that are known, and what is named no more as gone."""
    merged = {}
    for symbol, now in named.items():
        before = known.get(symbol, now)
        ended_ms = None if now.status == TRADING else before.ended_ms
        merged[symbol] = replace(
            now, listed_ms=before.listed_ms, dated=before.dated, ended_ms=ended_ms
        )
    for symbol, before in known.items():
        if symbol not in named:
            merged[symbol] = replace(
                before, status=GONE, ended_ms=before.ended_ms or before.seen_ms
            )
    return merged


def _wants_date(listing: Listing) -> bool:
    if listing.status == GONE:
        return False
    return not listing.dated or (listing.status != TRADING and listing.ended_ms is None)


def _dated(rest: BinanceRest, listing: Listing, now_ms: int) -> Listing:
    for timeframe in _DATES:
        try:
            return _dated_by(rest, listing, timeframe, now_ms)
        except UsageError:
            if timeframe == _DATES[-1]:
                raise
    return listing


def _dated_by(rest: BinanceRest, listing: Listing, timeframe: Timeframe, now_ms: int) -> Listing:
    if not listing.dated:
        first = rest.first_candle(listing.symbol, timeframe)
        listed_ms = None if first.is_empty() else int(first["open_time"].to_physical()[0])
        listing = replace(listing, listed_ms=listed_ms, dated=listed_ms is not None)
    if listing.status != TRADING and listing.listed_ms is not None:
        last = rest.last_candle(listing.symbol, timeframe, now_ms)
        closed_ms = timeframe.next(int(last["open_time"].to_physical()[-1]))
        listing = replace(listing, ended_ms=closed_ms)
    return listing


def _universe(rest: BinanceRest, now_ms: int, listings: Mapping[str, Listing]) -> Universe:
    return Universe(rest.venue, now_ms, in_order(listings.values()), "exchangeInfo")
