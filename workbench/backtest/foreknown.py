"""What a strategy knows without having seen it: fed drawn prices, other dates, another unit of price."""

from __future__ import annotations

import numpy as np

from workbench.analysis.bias import LOOK_AHEAD, Check, Outcome
from workbench.analysis.foreknowledge import (
    CERTAIN,
    LIKELY,
    Constants,
    constants_of,
    dates_in,
    foresight,
    taken_from,
)
from workbench.analysis.futures import moved_in_time, next_returns, priceless_double, scaled
from workbench.backtest.replays import Replay

DOUBLES = 8
BLIND = "foreknowledge"
CODE = "constants in the code"
AUX = "aux inputs"


def foreknowledge(
    replay: Replay, records: np.ndarray, first: int, rng: np.random.Generator
) -> tuple[Check, ...]:
    """Return whether decisions foretell returns whose prices they did not see, and what their code holds."""
    spec = replay.spec
    constants = constants_of((spec.decide, spec.prepare))
    z = _blind(replay, records, first, rng)
    dates, taken = dates_in(records, constants.numbers), taken_from(records, constants.numbers)
    suspicious = bool(constants.tables or constants.outside or dates or taken)
    checks = [_foretells(z, len(records), suspicious=suspicious), _code(constants, dates, taken)]
    if records["aux"].any():
        checks.append(_aux(replay, records, first))
    return tuple(checks)


def knows_of(replay: Replay, records: np.ndarray, first: int) -> dict[str, int]:
    """Return how many decisions change with the dates alone, and with the unit of price alone."""
    _, whole = replay.follow(records, first)
    others = {"dates": moved_in_time(records), "price unit": scaled(records, 2.0)}
    return {name: _changed(replay, other, first, whole) for name, other in others.items()}


def _changed(replay: Replay, records: np.ndarray, first: int, whole: np.ndarray) -> int:
    _, other = replay.follow(records, first)
    a, b = whole["target"], other["target"]
    return int(((a != b) & ~(np.isnan(a) & np.isnan(b))).sum())


def _blind(replay: Replay, records: np.ndarray, first: int, rng: np.random.Generator) -> float:
    """Return z of the mean exposure over several doubles of the series; the rest is their chance."""
    exposure = np.zeros(len(records))
    for _ in range(DOUBLES):
        _, traces = replay.follow(priceless_double(records, rng), first)
        exposure += held(traces["target"])
    return foresight(exposure[first:] / DOUBLES, next_returns(records)[first:])


def held(targets: np.ndarray) -> np.ndarray:
    """Return the target that stands at each close: the last one written, 0 before the first."""
    known = ~np.isnan(targets)
    at = np.maximum.accumulate(np.where(known, np.arange(len(targets)), -1))
    return np.where(at >= 0, targets[np.maximum(at, 0)], 0.0)


def _foretells(z: float, bars: int, *, suspicious: bool) -> Check:
    said = f"fed {DOUBLES} series of drawn prices at the same times, it foretells the real returns by z = {z:.1f}"
    if z > CERTAIN or (suspicious and z > LIKELY):
        more = "; its code holds what it should not know" if suspicious else ""
        return Check(
            LOOK_AHEAD, BLIND, Outcome.BIASED, bars, 1, f"{said}, which chance does not{more}"
        )
    return Check(LOOK_AHEAD, BLIND, Outcome.CLEAN, bars, 0, f"{said}: chance")


def _code(constants: Constants, dates: int, taken: list[str]) -> Check:
    count = len(constants.numbers)
    if taken:
        return Check(LOOK_AHEAD, CODE, Outcome.BIASED, count, len(taken), "; ".join(taken))
    held_there = [f"{size:,} numbers in {where}" for where, size in constants.tables.items()]
    held_there += [f"{name}, a {kind}, from outside" for name, kind in constants.outside.items()]
    if dates:
        held_there.append(f"{dates} times within these candles")
    if held_there:
        said = f"it holds {', '.join(held_there)}: where they come from cannot be proved"
        return Check(LOOK_AHEAD, CODE, Outcome.OPEN, count, 0, said)
    return Check(
        LOOK_AHEAD, CODE, Outcome.CLEAN, count, 0, f"{count} numbers, no table, none of this series"
    )


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
