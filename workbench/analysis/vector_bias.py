"""Bias of vector code: a function from a whole frame to a value for each candle, as notebooks write them.

Such a function sees everything at once, so anything can leak. It is called again on the frame up to a bar
alone, and on frames whose rows after a bar are others; all its values up to that bar must be the same.
Other series (`inputs`) are cut with it: a row of them is known when its own candle has closed, so that a day
which is read at its opening time shows. What the function has from elsewhere, a frame in its closure, a
scaler that was fitted before, no cut reaches: it is named, and judged by what it foretells.

A leak of one bar (`shift(-1)`) shows at the cut of that very bar only: short series are cut at every bar,
longer ones at edges, at a bar of each stratum, and at bars where a signal changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.bias import (
    AGREES,
    LOOK_AHEAD,
    SETTLED,
    WARM_UP,
    BiasReport,
    Check,
    Finding,
    Outcome,
    Value,
    WarmUpRow,
    cut_bars,
    differing,
    furthest_apart,
)
from workbench.analysis.foreknowledge import BLIND, Columns, blindness, code_check, constants_of
from workbench.analysis.futures import (
    PRICES,
    Poison,
    drawn_prices,
    next_returns,
    volatility,
    wild_prices,
)
from workbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CUTS, POISONS, ENDS, DOUBLES = 300, 40, 60, 4
FEWEST = 20
SEED = 20_240_229
Function = Callable[..., object]
Values = dict[str, "NDArray[np.generic]"]


@dataclass(frozen=True, slots=True)
class Known:
    """A frame of candles, and when each row is known: at the close of its candle, in milliseconds."""

    frame: pl.DataFrame
    closes_ms: np.ndarray

    def until(self, time_ms: int) -> pl.DataFrame:
        """Return the rows that are known at a time."""
        return self.frame.head(int(np.searchsorted(self.closes_ms, time_ms, side="right")))


def check_function(
    series: Known,
    function: Function,
    *,
    inputs: Mapping[str, Known] | None = None,
    warm_up: int | None = None,
    title: str = "function",
    source: str = "",
    rtol: float = AGREES,
    seed: int = SEED,
) -> BiasReport:
    """Return whether a function's values know what comes after their candle.

    It is called as `function(frame, **inputs)` and returns a series, an array, or a frame of several,
    with one value for each row. With `warm_up` it is also called on that many rows before a bar alone.
    Raises UsageError where it fails on the whole frame, or returns what is no value for each candle.
    """
    run = _Calls(series, function, inputs or {}, rtol)
    rng = np.random.default_rng(seed)
    if not run.repeats():
        said = "called twice on the same frame it returns other values: nothing can be compared"
        checks: tuple[Check, ...] = (Check(LOOK_AHEAD, "repeats", Outcome.OPEN, 1, 1, said),)
        return BiasReport(title, source, checks)
    settled, rows = run.settles(warm_up, rng)
    checks = (
        run.cut(rng), *(run.poisoned(kind, rng) for kind in Poison), *run.knows(rng), *settled
    )  # fmt: skip
    return BiasReport(title, source, checks, rows)


@dataclass
class _Tally:
    """How many calls were compared, how many differ, how many failed, and the earliest difference."""

    seen: str
    bars: int = 0
    bad: int = 0
    failed: int = 0
    why: str = ""
    first: Finding | None = None
    columns: set[str] = field(default_factory=set)

    def check(self, name: str) -> Check:
        """Return the check."""
        also = f"; it failed at {self.failed:,} more ({self.why})" if self.failed else ""
        if self.bad:
            said = f"{self.bad:,} of {self.bars:,} cut bars differ; {self.first}{also}"
            return Check(LOOK_AHEAD, name, Outcome.BIASED, self.bars, self.bad, said, self.first)
        if not self.bars:
            said = f"it ran at none of {self.failed:,} bars: {self.why}"
            return Check(LOOK_AHEAD, name, Outcome.OPEN, 0, 0, said)
        said = f"{self.bars:,} cut bars, none differs{also}"
        return Check(LOOK_AHEAD, name, Outcome.CLEAN, self.bars, 0, said)


class _Calls:
    """A function on one frame: its values over all of it, and over less or other frames."""

    def __init__(
        self, series: Known, function: Function, inputs: Mapping[str, Known], rtol: float
    ) -> None:
        self.series, self.function, self.inputs, self.rtol = series, function, inputs, rtol
        self.frame = series.frame
        if self.frame.height < FEWEST:
            raise UsageError(
                f"the frame holds {self.frame.height} candles; at least {FEWEST} are needed to cut it"
            )
        self.times = self.frame["open_time"].to_physical().to_numpy()
        self.others = {name: one.frame for name, one in inputs.items()}
        try:
            self.whole = self._call(self.frame, self.others)
        except UsageError:
            raise
        except Exception as error:  # the user's function may raise anything
            raise UsageError(
                f"the function fails on the whole frame: {type(error).__name__}: {error}"
            ) from error

    def repeats(self) -> bool:
        """Return whether a second call gives the same."""
        again = self._call(self.frame, self.others)
        return all(not differing(a, again[name], rtol=0.0).any() for name, a in self.whole.items())

    def cut(self, rng: np.random.Generator) -> Check:
        """Compare with the values on the rows up to each of the chosen bars."""
        found = _Tally("on candles up to there alone")
        for t in self._bars(CUTS, rng):
            others = {
                name: one.until(self.series.closes_ms[t]) for name, one in self.inputs.items()
            }
            self._compare(found, int(t), self.frame.head(int(t) + 1), others)
        return found.check("cut")

    def poisoned(self, kind: Poison, rng: np.random.Generator) -> Check:
        """Compare with the values before another future, at each of the chosen bars."""
        found = _Tally(f"before another future ({kind.value})")
        for t in self._bars(POISONS, rng):
            now = self.series.closes_ms[t]
            other = _poisoned(self.frame, int(t) + 1, kind, rng)
            others = {
                name: _poisoned(one.frame, one.until(now).height, kind, rng)
                for name, one in self.inputs.items()
            }
            self._compare(found, int(t), other, others)
        return found.check(f"poison: {kind.value}")

    def knows(self, rng: np.random.Generator) -> Iterator[Check]:
        """Judge what it foretells of returns whose prices it did not see, and what its code holds."""
        columns: Columns = {
            name: self.frame[name].cast(pl.Float64).to_numpy() for name in (*PRICES, "volume")
        } | {"open_time": self.times}
        code, suspicious = code_check(constants_of((self.function,)), columns)
        returns, totals = next_returns(columns["open"]), dict[str, np.ndarray]()
        deviation = volatility(columns["close"])
        for _ in range(DOUBLES):
            drawn = drawn_prices(
                self.frame.height, float(columns["open"][0]), deviation, float(np.mean(columns["volume"])), rng
            )  # fmt: skip
            double = self.frame.with_columns(**{name: pl.Series(drawn[name]) for name in drawn})
            try:
                values = self._call(double, self.others)
            except Exception:  # it does not take such prices; then it is not judged by them
                yield Check(LOOK_AHEAD, BLIND, Outcome.OPEN, 0, 0, "it fails on drawn prices")
                yield code
                return
            for name, one in values.items():
                if one.dtype.kind == "f":
                    totals[name] = totals.get(name, 0.0) + np.nan_to_num(one.astype(float))
        yield blindness(totals, returns, DOUBLES, suspicious=suspicious)
        yield code

    def settles(
        self, warm_up: int | None, rng: np.random.Generator
    ) -> tuple[tuple[Check, ...], tuple[WarmUpRow, ...]]:
        """Compare with the values at the ends of frames that begin `warm_up` rows before them."""
        if warm_up is None:
            return (), ()
        begin = 2 * warm_up + 1
        if self.frame.height <= begin:
            said = (
                f"{warm_up:,} candles are declared; {begin + 1:,} or more are needed to judge them"
            )
            return (Check(WARM_UP, "warm-up", Outcome.OPEN, 0, 0, said),), ()
        count = self.frame.height - begin
        ends = begin + cut_bars(count, self._events(begin), most=ENDS, rng=rng)
        lengths = (
            ("declared", warm_up),
            ("2 x declared", 2 * warm_up),
            ("4 x declared", 4 * warm_up),
        )
        rows = tuple(self._weighs(label, candles, ends) for label, candles in lengths)
        found = rows[0]
        told = (
            f"after {warm_up:,} candles the start weighs {found.difference:.1e} of {found.of}, and changes "
            f"{found.flips:,} of {found.bars:,} signals"
        )
        bad = found.flips or found.difference >= SETTLED
        outcome = Outcome.BIASED if bad else Outcome.CLEAN
        return (Check(WARM_UP, "warm-up", outcome, found.bars, found.flips, told),), rows

    def _weighs(self, label: str, candles: int, ends: np.ndarray) -> WarmUpRow:
        there = [int(end) for end in ends if end >= candles]
        late: dict[str, list[object]] = {name: [] for name in self.whole}
        for end in there:
            others = {
                name: one.until(self.series.closes_ms[end]) for name, one in self.inputs.items()
            }
            values = self._call(self.frame.slice(end - candles, candles + 1), others)
            for name, one in values.items():
                late[name].append(one[-1])
        worst, of, flips = 0.0, "", 0
        for name, one in self.whole.items():
            known, begun = one[there], np.array(late[name], one.dtype)
            if self._is_signal(name):
                flips += int(differing(known, begun, rtol=0.0).sum())
                continue
            flips += int((np.isnan(known.astype(float)) != np.isnan(begun.astype(float))).sum())
            size = float(np.nanmax(np.abs(known.astype(float)), initial=0.0))
            share = furthest_apart(known.astype(float), begun.astype(float)) / (size or 1.0)
            if share >= worst:
                worst, of = share, name
        return WarmUpRow(label, candles, len(there), worst, of or "signals", flips)

    def _compare(
        self, found: _Tally, t: int, frame: pl.DataFrame, others: Mapping[str, pl.DataFrame]
    ) -> None:
        try:
            values = self._call(frame, others)
        except Exception as error:  # too few rows for it, or a NaN that it does not take
            found.failed += 1
            found.why = found.why or f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
            return
        found.bars += 1
        earliest: Finding | None = None
        for name, one in self.whole.items():
            whole, other = one[: t + 1], values[name][: t + 1]
            apart = differing(whole, other, rtol=self.rtol)
            if apart.any():
                at = int(np.argmax(apart))
                time = int(self.times[at])
                if earliest is None or time < earliest.time_ms:
                    a, b = (_told(side[at]) for side in (whole, other))
                    earliest = Finding(time, name, a, b, found.seen)
        if earliest is not None:
            found.bad += 1
            if found.first is None or earliest.time_ms < found.first.time_ms:
                found.first = earliest

    def _bars(self, most: int, rng: np.random.Generator) -> np.ndarray:
        return cut_bars(self.frame.height, self._events(0), most=most, rng=rng)

    def _events(self, begin: int) -> np.ndarray:
        """Return the rows at which a signal changes, counted from `begin`."""
        changes = np.zeros(self.frame.height, bool)
        for name, one in self.whole.items():
            if self._is_signal(name):
                changes[1:] |= differing(one[1:], one[:-1], rtol=0.0)
        return np.flatnonzero(changes[begin:])

    def _is_signal(self, name: str) -> bool:
        """Return whether a column holds text, or few different numbers."""
        one = self.whole[name]
        return one.dtype.kind != "f" or len(np.unique(one[~np.isnan(one)])) <= 8

    def _call(self, frame: pl.DataFrame, others: Mapping[str, pl.DataFrame]) -> Values:
        found = columns_of(self.function(frame, **others), frame)
        for name, one in found.items():
            if len(one) != frame.height:
                raise UsageError(
                    f"the function returns {len(one):,} values ({name}) for {frame.height:,} candles; "
                    "return one for each, null where there is none"
                )
        return found


def columns_of(found: object, frame: pl.DataFrame) -> Values:
    """Return what a function returned as columns: numbers as floats (null is NaN), all else as objects."""
    if isinstance(found, pl.LazyFrame):
        found = found.collect()
    if isinstance(found, pl.Expr):
        found = frame.select(found)
    if isinstance(found, pl.DataFrame):
        return {name: _plain(found[name]) for name in found.columns if name != "open_time"}
    if isinstance(found, Mapping):
        return {str(name): _plain(one) for name, one in found.items()}
    if isinstance(found, pl.Series):
        return {found.name or "value": _plain(found)}
    array = np.asarray(found)
    if array.ndim == 2:
        return {f"value {i}": _plain(array[:, i]) for i in range(array.shape[1])}
    if array.ndim != 1:
        raise UsageError(
            f"the function returns a {type(found).__name__}; return a series, an array or a frame with "
            "one row for each candle"
        )
    return {"value": _plain(array)}


def _plain(column: object) -> NDArray[np.generic]:
    one = column if isinstance(column, pl.Series) else pl.Series(np.asarray(column))
    if one.dtype.is_numeric() or one.dtype == pl.Boolean:
        return one.cast(pl.Float64).to_numpy().astype(np.float64)
    return np.array(one.to_list(), object)


def _told(value: object) -> Value:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return None if value is None else str(value)


def _poisoned(
    frame: pl.DataFrame, begin: int, kind: Poison, rng: np.random.Generator
) -> pl.DataFrame:
    """Return the frame with every number after its first `begin` rows replaced."""
    kept, rest = frame.head(begin), frame.slice(begin)
    if not rest.height:
        return frame
    numbers = [n for n, kind_ in rest.schema.items() if kind_.is_numeric() and n != "open_time"]
    if kind is Poison.TENFOLD:
        rest = rest.with_columns(pl.col(n) * 10 for n in numbers)
    elif kind is Poison.MISSING:
        floats = [n for n in numbers if rest.schema[n].is_float()]
        rest = rest.with_columns(pl.lit(float("nan")).cast(rest.schema[n]).alias(n) for n in floats)
    else:
        before = float(kept["close"][-1]) if kept.height and "close" in kept.columns else 100.0
        drawn = wild_prices(rest.height, before, rng)
        told = {n: drawn[n] for n in numbers if n in drawn}
        told |= {n: rng.normal(0.0, 1.0, rest.height) for n in numbers if n not in drawn}
        rest = rest.with_columns(
            pl.Series(n, values).cast(rest.schema[n], strict=False) for n, values in told.items()
        )
    return pl.concat([kept, rest.select(frame.columns).cast(frame.schema)])
