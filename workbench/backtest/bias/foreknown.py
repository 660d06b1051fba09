"""What a strategy knows without having seen it: fed drawn prices, other dates, another unit of price."""

from __future__ import annotations

import numpy as np

from workbench.analysis.bias import LOOK_AHEAD, Check, Outcome
from workbench.analysis.foreknowledge import BLIND, blindness, code_check, constants_of
from workbench.analysis.futures import moved_in_time, next_returns, priceless_double, scaled
from workbench.backtest.bias.replays import Replay
from workbench.errors import UsageError

DOUBLES = 8
AUX = "aux inputs"


def foreknowledge(
    replay: Replay, records: np.ndarray, first: int, rng: np.random.Generator
) -> tuple[Check, ...]:
    """Return whether decisions foretell returns whose prices they did not see, and what their code holds."""
    spec = replay.spec
    code, suspicious = code_check(constants_of((spec.decide, spec.prepare)), records)
    checks = [_blind(replay, records, first, rng, suspicious=suspicious), code]
    if records["aux"].any():
        checks.append(_aux(replay, records, first))
    return tuple(checks)


def _blind(
    replay: Replay, records: np.ndarray, first: int, rng: np.random.Generator, *, suspicious: bool
) -> Check:
    exposure = np.zeros(len(records))
    try:
        for _ in range(DOUBLES):
            _, traces = replay.follow(priceless_double(records, rng), first)
            exposure += held(traces["target"])
    except UsageError as error:
        return Check(LOOK_AHEAD, BLIND, Outcome.OPEN, 0, 0, f"on drawn prices: {error}")
    totals, returns = {"its target": exposure[first:]}, next_returns(records["open"])[first:]
    return blindness(totals, returns, DOUBLES, suspicious=suspicious)


def depends_on(replay: Replay, records: np.ndarray, first: int) -> tuple[str, ...]:
    """Say where decisions depend on the dates, or on the unit of price: no bias, but good to know."""
    _, whole = replay.follow(records, first)
    others = {
        "when the same prices come 52 weeks later: they go by the date": moved_in_time(records),
        "when all prices are twice as high: they go by the price level": scaled(records, 2.0),
    }
    said = []
    for what, other in others.items():
        try:
            count = _changed(replay, other, first, whole)
        except UsageError:  # it takes no such candles; then nothing is told of them
            continue
        said += [f"{count:,} decisions change {what}"] * (count > 0)
    return tuple(said)


def _changed(replay: Replay, records: np.ndarray, first: int, whole: np.ndarray) -> int:
    _, other = replay.follow(records, first)
    a, b = whole["target"], other["target"]
    return int(((a != b) & ~(np.isnan(a) & np.isnan(b))).sum())


def held(targets: np.ndarray) -> np.ndarray:
    """Return the target that stands at each close: the last one written, 0 before the first."""
    known = ~np.isnan(targets)
    at = np.maximum.accumulate(np.where(known, np.arange(len(targets)), -1))
    return np.where(at >= 0, targets[np.maximum(at, 0)], 0.0)


def _aux(replay: Replay, records: np.ndarray, first: int) -> Check:
    without = records.copy()
    without["aux"] = 0.0
    _, whole = replay.follow(records, first)
    changed = _changed(replay, without, first, whole)
    if not changed:
        return Check(
            LOOK_AHEAD, AUX, Outcome.CLEAN, len(records), 0, "aux is there, no decision reads it"
        )
    said = (
        f"{changed:,} decisions read aux, which came with the candles: check what makes it with "
        "wb.bias(candles, function)"
    )
    return Check(LOOK_AHEAD, AUX, Outcome.OPEN, len(records), 0, said)
