"""What exits and guards read beside the candles: ranges, volatility and the finer candles' places.

Everything here depends on the candles alone, so it is worked out once a sweep and shared by all
combinations. Average true ranges are fed from as many candles before the window as make them
independent of where the data begins, whatever the strategy is fed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workbench.core.exits import average_true_range
from workbench.core.guards import realised_volatility
from workbench.errors import DataError
from workbench.execution.exits import ranged
from workbench.execution.guards import Guards
from workbench.market.candles import CANDLE, Candles
from workbench.market.timeframes import YEAR_MS
from workbench.strategies.spec import wilder_stable

_AGREES = 1e-9  # relative: fine and coarse candles are of the same prints


class Overlay(NamedTuple):
    """The arrays of one sweep; each is empty where nothing asks for it.

    `ranges[i]` is the average true range of `periods[i]` at every close, `fine[offsets[t] :
    offsets[t + 1]]` are the finer candles of candle t.
    """

    guards: np.ndarray
    periods: np.ndarray
    ranges: np.ndarray
    volatility: np.ndarray
    fine: np.ndarray
    offsets: np.ndarray


def overlay_of(candles: Candles, exits: np.ndarray, guards: Guards) -> Overlay:
    """Return the overlay of these EXITS records; DataError where the finer candles do not fit."""
    periods = periods_of(exits)
    ranges = np.empty((len(periods), len(candles.records)))
    for i, period in enumerate(periods):
        average_true_range(candles.records, range_start(candles, int(period)), period, ranges[i])
    volatility = np.empty(0)
    if guards.volatility > 0.0:
        volatility = np.empty(len(candles.records))
        yearly = YEAR_MS / candles.timeframe.mean_ms
        realised_volatility(candles.records, guards.volatility_bars, yearly, volatility)
    fine, offsets = fine_of(candles)
    return Overlay(guards.record(), periods, ranges, volatility, fine, offsets)


def periods_of(exits: np.ndarray) -> np.ndarray:
    """Return the distinct periods of average true ranges that these exits need, rising."""
    found = exits["atr_period"][ranged(exits)]
    return np.unique(found) if len(found) else found


def range_start(candles: Candles, period: int) -> int:
    """Return the record from which an average true range of this period is fed."""
    return max(0, candles.first - period - int(wilder_stable(period)))


def first_record(candles: Candles, exits: np.ndarray, guards: Guards, warm: int) -> int:
    """Return the first record that a run uses, `warm` being the first that the strategy is fed."""
    starts = [range_start(candles, int(one)) for one in periods_of(exits)]
    if guards.volatility > 0.0:
        starts.append(max(0, candles.first - guards.volatility_bars))
    return min([warm, *starts])


def fine_of(candles: Candles) -> tuple[np.ndarray, np.ndarray]:
    """Return the finer candles and where each candle's begin; both empty where there are none.

    A candle without finer ones has none of its own. Raises DataError where the finer series is of
    another symbol, is not finer, or disagrees with a candle that it covers.
    """
    finer = candles.fine
    if finer is None:
        return np.zeros(0, CANDLE), np.zeros(0, np.int64)
    label = f"{candles.symbol}: fine={finer.timeframe}"
    if finer.symbol != candles.symbol or finer.timeframe.mean_ms >= candles.timeframe.mean_ms:
        raise DataError(
            f"{label} of {finer.symbol} is not a finer series of {candles.symbol} "
            f"{candles.timeframe}; load the same symbol at a shorter interval"
        )
    opens = candles.records["open_time"]
    ends = np.array([candles.timeframe.next(int(one)) for one in opens], np.int64)
    times = finer.records["open_time"]
    begins, after = np.searchsorted(times, opens), np.searchsorted(times, ends)
    spans = [np.arange(b, a) for b, a in zip(begins, after, strict=True)]
    fine = np.ascontiguousarray(finer.records[np.concatenate(spans)])
    offsets = np.concatenate([[0], np.cumsum(after - begins)]).astype(np.int64)
    _demand_agreement(candles, fine, offsets, label)
    return fine, offsets


def _demand_agreement(candles: Candles, fine: np.ndarray, offsets: np.ndarray, label: str) -> None:
    covered = np.flatnonzero(np.diff(offsets) > 0)
    if not len(covered):
        raise DataError(f"{label} holds no candle of the series' span; load the same dates")
    starts = offsets[covered]
    for name, extreme in (("high", np.maximum), ("low", np.minimum)):
        found = extreme.reduceat(fine[name], starts)
        said = candles.records[name][covered]
        # A part of the finer candles may be missing: they may reach less far, never further.
        wrong = (found > said * (1 + _AGREES)) if name == "high" else (found < said * (1 - _AGREES))
        if wrong.any():
            at = int(np.argmax(wrong))
            when = np.datetime64(int(candles.records["open_time"][covered[at]]), "ms")
            raise DataError(
                f"{label}: its {name} {found[at]:g} lies beyond the {candles.timeframe} candle's "
                f"{said[at]:g} at {when}Z; the two series are not of the same trades"
            )
