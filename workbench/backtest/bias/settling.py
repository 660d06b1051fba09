"""Warm-up: how much the start of the data still weighs in a decision after so many candles.

`stable(params)` declares from when on it weighs nothing (a seed weighs less than 1e-6). So at many end
bars the strategy is begun anew, fed that many candles as every engine feeds it, and compared with the
one that was fed everything: its decision, and every number that it keeps. A difference is relative to
the range of that number over all end bars, or to what it was at the first definitional value where that
is more: then it is the weight of the start itself. Counters and windows are judged by the decisions
alone, since they count and turn from wherever they began.

`stable` 0 declares the opposite: the strategy begins where trading begins, its start is part of it, and
no engine feeds it before. Nothing is to be settled then. How many decisions another start would change
is told, so that nobody compares two runs with different starts; a number that starts apart and comes
together is an average that forgets, which wants a warm-up, and fails.
"""

from __future__ import annotations

import numpy as np

from workbench.analysis.bias import (
    SETTLED,
    WARM_UP,
    Check,
    Finding,
    Outcome,
    WarmUpRow,
    cut_bars,
    furthest_apart,
)
from workbench.backtest.bias.replays import Replay
from workbench.market.candles import Candles

FEWEST, MOST = 200, 1_000  # end bars
MOST_STEPS = 3_000_000  # decisions a row, where the fewest end bars leave a choice
LONGEST = 8  # times the declared warm-up, or this many candles, before the window are everything
FAR = 2_000
STARTS = (0, 16, 64, 256, 1_024)  # candles before the end of one that declares no warm-up
DUST = 1e-13  # of the largest number it keeps: what lies below is the rest of a rounding


def warm_up_check(
    replay: Replay, series: Candles, rng: np.random.Generator
) -> tuple[Check, tuple[WarmUpRow, ...]]:
    """Return whether decisions have forgotten their start after `stable` candles, with the table."""
    stable = int(np.max(replay.spec.stable(replay.params)))
    settling = _Settling(replay, series, rng, stable)
    return settling.settles() if stable > 0 else settling.starts_anew()


class _Settling:
    """A strategy begun anew before many end bars of one series."""

    def __init__(
        self, replay: Replay, series: Candles, rng: np.random.Generator, stable: int
    ) -> None:
        self.replay, self.stable = replay, stable
        self.first_value = int(np.max(replay.spec.first_value(replay.params)))
        begin = max(0, series.first - max(LONGEST * stable, FAR))
        self.records = np.ascontiguousarray(series.records[begin:])
        self.needed = 2 * stable + 1
        start = max(series.first - begin, self.needed - 1)
        if len(self.records) < self.needed + 1:
            return
        positions, traces = replay.follow(self.records, series.first - begin)
        # What begins where trading begins has no position then, and never had another.
        self.positions = positions if stable > 0 else replay.flat(len(self.records))
        count = len(self.records) - start
        most = int(np.clip(MOST_STEPS // (start + count // 2), FEWEST, MOST))
        acts = np.flatnonzero(~np.isnan(traces["target"][start:]))
        self.ends = start + cut_bars(count, acts, most=most, rng=rng)
        self.whole, self.kept = self._begun(len(self.records))
        self.apart_at_first = self._apart(self.first_value)

    def settles(self) -> tuple[Check, tuple[WarmUpRow, ...]]:
        """Judge a declared warm-up; open where too few candles lie before any bar."""
        if len(self.records) < self.needed + 1:
            said = (
                f"{self.stable:,} candles are declared, and {len(self.records):,} are there; "
                f"{self.needed + 1:,} or more are needed to judge them: load from an earlier start"
            )
            return _check(Outcome.OPEN, said), ()
        lengths = (
            ("first value", self.first_value), ("declared", self.stable),
            ("2 x declared", 2 * self.stable), ("4 x declared", 4 * self.stable),
        )  # fmt: skip
        rows = tuple(self._row(label, candles) for label, candles in lengths)
        found = rows[1]
        weighs = f"{found.difference:.1e} of {found.of}" if found.of else "nothing in numbers"
        if not found.flips and not found.difference >= SETTLED:
            said = (
                f"after the declared {self.stable:,} candles the start weighs {weighs}, and changes no "
                f"decision at {found.bars:,} bars"
            )
            return _check(Outcome.CLEAN, said, found), rows
        said = (
            f"after the declared {self.stable:,} candles the start still weighs {weighs}, and changes "
            f"{found.flips:,} of {found.bars:,} decisions: declare more"
        )
        return _check(Outcome.BIASED, said, found, self._first(self.stable)), rows

    def starts_anew(self) -> tuple[Check, tuple[WarmUpRow, ...]]:
        """Tell what another start would change where none is to be settled."""
        if len(self.records) < self.needed + 1:
            return _check(
                Outcome.OPEN, f"{len(self.records):,} candles are too few to begin anew"
            ), ()
        lengths = [one for one in STARTS if one < len(self.records)]
        rows = tuple(
            self._row("declared" if one == 0 else "started before", one) for one in lengths
        )
        begun, longest = rows[0], rows[-1]
        fresh, late = self._apart(0), self._apart(longest.candles)
        sizes = self._sizes()
        forgets = [
            name for name in fresh
            if name in sizes and fresh[name] >= SETTLED * sizes[name] > late[name]
        ]  # fmt: skip
        if forgets:
            said = (
                f"it declares that it begins where trading begins (stable 0), but {forgets[0]} comes "
                "together from any start: an average that forgets; declare how many candles it needs"
            )
            return _check(Outcome.BIASED, said, begun, self._first(0)), rows
        if not any(row.flips or row.difference >= SETTLED for row in rows):
            said = f"it decides the same wherever it starts, at {begun.bars:,} bars"
            return _check(Outcome.CLEAN, said, begun), rows
        apart = longest.difference >= SETTLED
        kept = f", and {longest.of} is {longest.difference:.0%} apart" if apart else ""
        said = (
            f"it begins where trading begins, as it declares (stable 0): a start {longest.candles:,} "
            f"candles before changes {longest.flips:,} of {longest.bars:,} decisions{kept}; compare runs "
            "of one start only"
        )
        return _check(Outcome.CLEAN, said, begun), rows

    def _begun(self, candles: int) -> tuple[np.ndarray, np.ndarray]:
        """Return traces and states at the end bars, begun so many candles before each."""
        return self.replay.settle(self.records, self.ends, candles, self.positions)

    def _row(self, label: str, candles: int) -> WarmUpRow:
        traces, _ = self._begun(candles)
        there = self.ends >= candles
        sizes, apart = self._sizes(), self._apart(candles)
        shares = {name: apart[name] / size for name, size in sizes.items()}
        worst = max(shares, key=lambda name: shares[name], default="")
        largest = shares[worst] if worst else float("nan")
        flips = int((_flips(traces, self.whole) & there).sum())
        return WarmUpRow(label, candles, int(there.sum()), largest, worst, flips)

    def _sizes(self) -> dict[str, float]:
        """Return each number's range; what is but the rest of a rounding, or never is a number, is left out."""
        ranges = {
            name: furthest_apart(self.kept[name], np.zeros(len(self.ends)))
            for name in self._names()
        }
        largest = max((one for one in ranges.values() if one == one), default=0.0)
        return {
            name: float(np.fmax(size, self.apart_at_first[name]))
            for name, size in ranges.items()
            if size > DUST * largest
        }

    def _apart(self, candles: int) -> dict[str, float]:
        """Return how far each number is apart, at the end bars before which so many candles lie."""
        there = self.ends >= candles
        _, states = self._begun(candles)
        return {
            name: furthest_apart(self.kept[name][there], states[name][there])
            for name in self._names()
        }

    def _names(self) -> list[str]:
        """Return the numbers that a state keeps: neither counters nor windows."""
        dtype = self.replay.spec.state_dtype
        return [
            name for name in dtype.names or () if dtype[name].kind == "f" and not dtype[name].shape
        ]

    def _first(self, candles: int) -> Finding | None:
        """Return the first end bar at which a decision is another, or else the worst number."""
        there = self.ends >= candles
        traces, states = self._begun(candles)
        seen = f"when begun {candles:,} candles before"
        flips = _flips(traces, self.whole) & there
        if flips.any():
            at = int(np.argmax(flips))
            told = (float(one["target"][at]) for one in (self.whole, traces))
            a, b = (None if np.isnan(one) else one for one in told)
            return Finding(int(self.records["open_time"][self.ends[at]]), "target", a, b, seen)
        sizes, apart = self._sizes(), self._apart(candles)
        name = max(sizes, key=lambda one: apart[one] / sizes[one])
        at = int(np.argmax(np.where(there, np.abs(self.kept[name] - states[name]), 0.0)))
        time = int(self.records["open_time"][self.ends[at]])
        return Finding(time, name, float(self.kept[name][at]), float(states[name][at]), seen)


def _check(
    outcome: Outcome, said: str, row: WarmUpRow | None = None, first: Finding | None = None
) -> Check:
    bars, flips = (0, 0) if row is None else (row.bars, row.flips * (outcome is Outcome.BIASED))
    return Check(WARM_UP, "warm-up", outcome, bars, flips, said, first)


def _flips(traces: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return where a decision is another: its target, a level by more than 1e-6, how many rungs it lays."""
    flips = traces["n_ladder"] != whole["n_ladder"]
    for name in ("target", "stop", "take_profit", "trail"):
        a, b = traces[name], whole[name]
        size = np.maximum(np.abs(a), np.abs(b))
        near = np.abs(a - b) <= SETTLED * size
        flips |= ~(near | (np.isnan(a) & np.isnan(b)))
    return flips
