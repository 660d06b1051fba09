"""Loading what is replayed: candles, their trading rules, and where the replay begins."""

from __future__ import annotations

from pathlib import Path

from bridge.local_exchange.settings import BACKLOG, Settings
from workbench.data import Places, load
from workbench.errors import DataError, UsageError
from workbench.execution.matching.tape import Tape
from workbench.market.candles import Candles
from workbench.market.instruments import KNOWN, Instrument, infer_instrument, instrument

Loaded = tuple[Candles, Instrument, Tape, int]


def load_market(symbol: str, settings: Settings) -> Loaded:
    """Return a symbol's candles, rules, tape and the index of the first candle to replay."""
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
    return candles, rules_for(candles, first), Tape(candles), first


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
