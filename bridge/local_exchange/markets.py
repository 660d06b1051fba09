"""Loading what is replayed: candles, their trading rules, and where the replay begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bridge.local_exchange.fine_path import refined
from bridge.local_exchange.recorded_trades import load_trades
from bridge.local_exchange.settings import BACKLOG, Settings
from workbench.data import Places, load
from workbench.errors import DataError, UsageError
from workbench.execution.matching.tape import Tape
from workbench.market.candles import Candles
from workbench.market.instruments import KNOWN, Instrument, infer_instrument, instrument
from workbench.market.timeframes import WEEK_MS

Loaded = tuple[Candles, Instrument, Tape, int]


def load_market(symbol: str, settings: Settings, wall_ms: int) -> Loaded:
    """Return a symbol's candles, rules, tape and the index of the first candle to replay."""
    if settings.trades:
        path = settings.trades[settings.symbols.index(symbol)]
        candles, tape = load_trades(symbol, settings.interval, path)
        return candles, rules_for(candles, 0), tape, 0
    candles = load(
        symbol,
        settings.interval,
        start=settings.start,
        end=settings.end,
        places=places_for(settings.data),
    )
    first = candles.first
    if settings.start is None:
        first = min(BACKLOG, len(candles.records) // 2)
    if first >= len(candles.records):
        raise DataError(
            f"{symbol} {settings.interval}: no candle opens at or after {settings.start}; "
            "start earlier or load newer candles with `workbench collect`"
        )
    rules = rules_for(candles, first)
    if settings.fine:
        history = max(0, first - BACKLOG)
        candles = replace(candles, records=candles.records[history:], first=first - history)
        candles = refined(candles, settings.fine, settings.seed)
        first = candles.first
    if settings.of_now:
        candles, first = moved_to_now(candles, first, wall_ms)
    return candles, rules, Tape(candles), first


def moved_to_now(candles: Candles, first: int, wall_ms: int) -> tuple[Candles, int]:
    """Return candles moved by whole weeks so that now lies in the week after the first one.

    Weekdays and hours stay what they were; so the index that is returned is of the candle of now.
    Raises UsageError for months, which weeks do not move onto months, DataError where the tape ends
    before.
    """
    timeframe = candles.timeframe
    if timeframe.fixed_ms is None:
        raise UsageError(f"--time now moves by weeks, which {timeframe} candles do not fit; use 1w")
    opened = candles.records["open_time"]
    weeks = (wall_ms - int(opened[first])) // WEEK_MS
    records = candles.records.copy()
    records["open_time"] += weeks * WEEK_MS
    at = int(np.searchsorted(records["open_time"], wall_ms, "right")) - 1
    if at < 0 or timeframe.next(int(records["open_time"][at])) <= wall_ms:
        raise DataError(
            f"{candles.symbol} {timeframe}: moved by {weeks} weeks there is no candle for this hour; "
            "begin with an earlier --start, or load newer candles"
        )
    source = f"{candles.source}; times moved by {weeks} weeks to now"
    return replace(candles, records=records, first=at, source=source), at


def places_for(data: str) -> Places | None:
    """Return where candles are looked for: None for the usual rule, else one folder or nowhere."""
    if data == "auto":
        return None
    if data == "synthetic":
        return Places(workbench_data=None, datasets=None, shared=None)
    folder = Path(data)
    if not folder.is_dir():
        raise UsageError(f"data {data!r}: no such folder; pass auto, synthetic or a folder")
    return Places(workbench_data=folder, datasets=None, shared=None)


def rules_for(candles: Candles, first: int) -> Instrument:
    """Return today's rules where they hold for the whole replay, else rules inferred from it."""
    begins_ms = int(candles.records["open_time"][first])
    if candles.symbol in KNOWN:
        known = instrument(candles.symbol)
        if begins_ms >= known.valid_from_ms:
            return known
    return infer_instrument(candles.symbol, candles.records[first:])


def rules_note(candles: Candles, rules: Instrument) -> str:
    """Return what a user should be told about the rules in force; empty for today's own."""
    if candles.symbol in KNOWN and rules == instrument(candles.symbol):
        return ""
    return "tick and step inferred from the candles: they are older than the known rules"
