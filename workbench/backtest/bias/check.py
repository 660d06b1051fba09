"""Bias of a strategy: every decision recomputed without its future, with others, and from other starts.

`check_bias(series, spec, params) -> BiasReport` is quick enough to be part of a verdict: `report.passed`,
`report.outcome("look-ahead")`, `report.outcome("warm-up")` and `report.told(gate)` are what a gate needs.

A strategy is fed one closed candle at a time, so little can leak, and this is all of it:

- memory beyond its candle (`aux[8]` is the next close; nothing checks bounds in compiled code): seen,
  at every bar, because each candle is also read out of memory that holds no other;
- `aux`, which comes with the candles: whether decisions read it is seen; how it was made is not, unless
  it foretells the returns. Whoever makes it checks that with `wb.bias(candles, function)`;
- answers frozen into its code (`analysis.foreknowledge`): proved only where they foretell enough;
- the engine: its equity and fills up to t must not change with what comes after t.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from workbench.analysis.bias import (
    LOOK_AHEAD,
    BiasReport,
    Check,
    Finding,
    Outcome,
    cut_bars,
    differing,
)
from workbench.analysis.futures import Poison, poison
from workbench.backtest.bias.foreknown import depends_on, foreknowledge
from workbench.backtest.bias.replays import INTENT_FIELDS, Replay
from workbench.backtest.bias.settling import warm_up_check
from workbench.backtest.kernels import kernel
from workbench.backtest.results import ERRORS
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import Costs, demand_window, plain
from workbench.backtest.sweep import run_of, warm_starts
from workbench.core.intents import ERROR_NONE
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm, exits_of
from workbench.market.candles import Candles
from workbench.strategies.spec import Number, Spec

CUTS, POISONS = 300, 120  # bars that are cut at, and that each poison follows; all of fewer
MOST_STEPS = 12_000_000  # decisions, where a series is long
ENGINE_CUTS = 16
FEW_CANDLES = 200
SEED = 20_240_229


def check_bias(
    series: Candles,
    spec: Spec,
    params: np.ndarray | Mapping[str, Number] | None = None,
    *,
    costs: Costs | None = None,
    exits: ExitsForm = None,
) -> BiasReport:
    """Return whether a strategy with one parameter set looks ahead, or depends on where its data begins.

    `costs` (its guards) and `exits` matter for the engine's own check alone. Raises UsageError for bad
    parameters, DataError for a window of fewer than two candles.
    """
    demand_window(series)
    record = _record(spec, params)
    costs, levels = costs or Costs(), exits_of(exits)
    rng = np.random.default_rng(SEED)
    replay = Replay(spec, record, costs.cash)
    begin = max(0, series.first - int(np.max(spec.stable(record.reshape(1)))))
    records = np.ascontiguousarray(series.records[begin:])
    run = _Decisions(replay, records, series.first - begin)
    settled, rows = warm_up_check(replay, series, rng)
    checks = (
        run.alone(),
        run.cut(rng),
        *(run.poisoned(kind, rng) for kind in Poison),
        _engine(series, spec, record, costs, levels, rng),
        *foreknowledge(replay, records, run.first, rng),
        settled,
    )
    return BiasReport(
        title=f"{spec.name}({plain(spec.values(record))}) on {series.symbol} {series.timeframe}, "
        f"{len(series):,} candles",
        source=series.source,
        checks=checks,
        warm_up=rows,
        notes=(*_few(len(series)), *depends_on(replay, records, run.first)),
    )


def _few(candles: int) -> tuple[str, ...]:
    if candles >= FEW_CANDLES:
        return ()
    return (f"{candles} candles show little: a clean report wants {FEW_CANDLES} or more",)


class _Decisions:
    """The decisions over one series, and those with less of it, or with another rest of it."""

    def __init__(self, replay: Replay, records: np.ndarray, first: int) -> None:
        self.replay, self.records, self.first = replay, records, first
        self.positions, _ = replay.follow(records, first)
        self.whole = replay.closely(records, self.positions)

    def alone(self) -> Check:
        """Compare every decision with the one that sees its own candle alone: all cuts at once."""
        other = self.replay.isolated(self.records, self.positions)
        apart = _apart(self.whole, other, (*INTENT_FIELDS, "state"))
        first = _finding(
            self.records, self.whole, other, apart, "when its candle lies alone in memory"
        )
        return _check("one candle at a time", len(self.records), int(apart.sum()), first, "bars")

    def cut(self, rng: np.random.Generator) -> Check:
        """Compare with the decisions on the candles up to each of the chosen bars."""
        found = _Tally(self, "on candles up to there alone")
        for t in self._bars(CUTS, rng):
            shorter = self.records[: t + 1].copy()
            found.add(t, self.replay.again(shorter, self.positions))
        return found.check("cut")

    def poisoned(self, kind: Poison, rng: np.random.Generator) -> Check:
        """Compare with the decisions before another future, at each of the chosen bars."""
        found = _Tally(self, f"before another future ({kind.value})")
        other, until = self.records.copy(), len(self.records)
        for t in self._bars(POISONS, rng)[::-1]:  # backwards: what lies after a bar stays poisoned
            poison(other, t + 1, until, kind, rng)
            until = t + 1
            found.add(t, self.replay.again(other[: t + 1], self.positions))
        return found.check(f"poison: {kind.value}")

    def _bars(self, most: int, rng: np.random.Generator) -> np.ndarray:
        count = len(self.records)
        acts = ~np.isnan(self.whole["target"]) | (self.whole["n_ladder"] > 0)
        most = max(20, min(most, MOST_STEPS // count))
        return cut_bars(count, np.flatnonzero(acts), most=most, rng=rng)


class _Tally:
    """How many of the bars that were looked at found a difference, and the earliest one."""

    def __init__(self, run: _Decisions, seen: str) -> None:
        self.run, self.seen = run, seen
        self.bars = self.bad = 0
        self.first: Finding | None = None

    def add(self, t: int, other: np.ndarray) -> None:
        """Compare all up to bar t with the whole run; the state at t alone, which holds all before."""
        self.bars += 1
        whole = self.run.whole[: t + 1]
        apart = _apart(whole, other, INTENT_FIELDS)
        apart[t] |= whole["state"][t] != other["state"][t]
        if apart.any():
            self.bad += 1
            found = _finding(self.run.records, whole, other, apart, self.seen)
            if found and (self.first is None or found.time_ms < self.first.time_ms):
                self.first = found

    def check(self, name: str) -> Check:
        """Return the check."""
        return _check(name, self.bars, self.bad, self.first, "cut bars")


def _apart(whole: np.ndarray, other: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return at which bars one of these fields differs; NaN is equal to NaN."""
    apart = np.zeros(len(whole), bool)
    words = [one.view("<u8").reshape(len(one), -1) for one in (whole, other)]
    last = -1 if "state" not in names else None  # its digest is the last word
    if np.array_equal(words[0][:, :last], words[1][:, :last]):
        return apart
    for name in names:
        a, b = whole[name], other[name]
        apart |= (a != b) & ~((a != a) & (b != b))
    return apart


def _finding(
    records: np.ndarray, whole: np.ndarray, other: np.ndarray, apart: np.ndarray, seen: str
) -> Finding | None:
    if not apart.any():
        return None
    t = int(np.argmax(apart))
    names = [
        name
        for name in (*INTENT_FIELDS, "state")
        if _apart(whole[t : t + 1], other[t : t + 1], (name,))
    ]
    a, b = (_told(one[t][names[0]]) for one in (whole, other))
    return Finding(int(records["open_time"][t]), _NAMES.get(names[0], names[0]), a, b, seen)


_NAMES = {"ladder": "rungs (digest)", "state": "state (digest)", "n_ladder": "number of rungs"}


def _told(value: np.generic) -> float | str | None:
    if value.dtype.kind == "u":
        return f"{int(value):016x}"[:8]
    return None if np.isnan(value) else float(value)


def _check(name: str, looked_at: int, bad: int, first: Finding | None, what: str) -> Check:
    if bad:
        said = f"{bad:,} of {looked_at:,} {what} differ; {first}"
        return Check(LOOK_AHEAD, name, Outcome.BIASED, looked_at, bad, said, first)
    return Check(
        LOOK_AHEAD, name, Outcome.CLEAN, looked_at, 0, f"{looked_at:,} {what}, none differs"
    )


def _engine(
    series: Candles,
    spec: Spec,
    record: np.ndarray,
    costs: Costs,
    exits: np.ndarray,
    rng: np.random.Generator,
) -> Check:
    """Compare equity, holding and fills of the compiled engine up to a bar before other futures."""
    base = _traded(series, spec, record, costs, exits)
    if base.error != ERROR_NONE:
        raise UsageError(f"{spec.name} wrote {ERRORS[base.error]}")
    asked, found = 0, []
    for i, t in enumerate(cut_bars(len(series), [], most=ENGINE_CUTS, rng=rng)):
        records, kind = series.records.copy(), Poison.TENFOLD if i % 2 else Poison.WALK
        poison(records, series.first + int(t) + 1, len(records), kind, rng)
        other = Candles(series.symbol, series.timeframe, records, series.first, series.source)
        try:
            booked = _traded(other, spec, record, costs, exits)
        except UsageError:  # its decision takes no such candles
            continue
        asked += 1
        seen = f"in the account before another future ({kind.value})"
        found += [one for one in [_booked_apart(series, base, booked, int(t), seen)] if one]
    first = min(found, key=lambda one: one.time_ms, default=None)
    return _check("engine", asked, len(found), first, "cut bars")


def _booked_apart(
    series: Candles, base: _Booked, other: _Booked, t: int, seen: str
) -> Finding | None:
    """Return the first thing that two accounts booked differently up to a bar of the window."""
    times = series.window["open_time"]
    for name in ("equity", "cash", "quantity", "target"):
        value, changed = base.curve[name][: t + 1], other.curve[name][: t + 1]
        apart = differing(value, changed, rtol=0.0)
        if apart.any():
            at = int(np.argmax(apart))
            return Finding(int(times[at]), name, float(value[at]), float(changed[at]), seen)
    fills = [one.fills[one.fills["index"] <= series.first + t] for one in (base, other)]
    if fills[0].tolist() != fills[1].tolist():
        return Finding(int(times[t]), "fills", len(fills[0]), len(fills[1]), seen)
    return None


def _record(spec: Spec, params: np.ndarray | Mapping[str, Number] | None) -> np.ndarray:
    if isinstance(params, np.ndarray):
        record = np.ascontiguousarray(params, spec.params_dtype).reshape(-1)
        if len(record) != 1:
            raise UsageError(f"bias is checked for one parameter set, not {len(record)}")
        return spec.params(**spec.values(record[0]))
    return spec.params(**(params or {}))


class _Booked(NamedTuple):
    """What the compiled engine booked: the account at every close, its fills, and what it refused."""

    curve: np.ndarray
    fills: np.ndarray
    error: int


def _traded(
    series: Candles, spec: Spec, record: np.ndarray, costs: Costs, exits: np.ndarray
) -> _Booked:
    sets, curve = record.reshape(1), np.zeros(len(series), EQUITY)
    warm = warm_starts(series, spec, sets)
    run = run_of(series, sets, warm=warm, exits=exits, costs=costs, rules=None, equities=curve)
    fills = kernel(spec).run_whole(run)
    return _Booked(curve, fills, int(run.rows["error"][0]))
