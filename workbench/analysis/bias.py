"""Bias: does a decision know what it cannot know yet, or depend on where its data begins?

A decision at the close of candle t may use candles up to t and nothing else. Four things are asked:

1. Cut: computed on the candles up to t alone, is everything up to t the same? What shifts, centres,
   normalises or fits over the whole series is not (`shift(-1)`, a global z-score, a day not over yet).
2. Poison: with everything after t replaced by other candles, is everything up to t the same?
3. Foreknowledge: fed prices that never were, at the times that were, does it foretell the returns that
   were? Whatever does has the answers baked in: no cut takes those away (`foreknowledge`).
4. Warm-up: begun anew and fed as many candles as it declares, does it decide as if fed from the first?

1 and 2 are exact: a difference is a proof, on the bars that were looked at. 3 is a statistic, with the
constants of the code as circumstances; what it cannot exclude is said, as OPEN. Nothing here sees a fill
at a price that was over (the engines' rule: next open), a market chosen because it is still alive
(`data universe --as-of`), or parameters that were fitted to these candles (the trials ledger).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

LOOK_AHEAD = "look-ahead"
WARM_UP = "warm-up"
GATES = (LOOK_AHEAD, WARM_UP)
AGREES = 1e-12  # relative: what two runs of the same arithmetic may differ by
SETTLED = 1e-6  # relative: what a start may still weigh at the declared warm-up

Value = float | str | None


class Outcome(StrEnum):
    """How a check came out; open is what cannot be decided, with the reason."""

    CLEAN = "clean"
    OPEN = "open"
    BIASED = "biased"


@dataclass(frozen=True, slots=True)
class Finding:
    """One value at one candle that should be the same in two runs and is not."""

    time_ms: int
    what: str
    value: Value  # of the run over everything
    other: Value  # of the run that knew less, or something else
    seen: str  # in which run the other was seen

    @property
    def time(self) -> str:
        """Return the candle's opening time as text."""
        return time_text(self.time_ms)

    def __str__(self) -> str:
        return f"{self.time}: {self.what} {_said(self.value)}, but {_said(self.other)} {self.seen}"


@dataclass(frozen=True, slots=True)
class Check:
    """One question, how often it was asked, how often the answer differed, and where first."""

    gate: str
    name: str
    outcome: Outcome
    looked_at: int
    differ: int
    said: str
    first: Finding | None = None

    def row(self) -> dict[str, object]:
        """Return the check as one row of a table."""
        first = self.first
        return {
            "gate": self.gate,
            "check": self.name,
            "outcome": self.outcome.value,
            "looked_at": self.looked_at,
            "differ": self.differ,
            "first_time": None if first is None else first.time,
            "what": None if first is None else first.what,
            "value": None if first is None else _plain(first.value),
            "other": None if first is None else _plain(first.other),
            "said": self.said,
        }


@dataclass(frozen=True, slots=True)
class WarmUpRow:
    """How much a start still weighs after so many candles: in values kept, and in decisions."""

    label: str
    candles: int
    bars: int  # at which it was looked
    difference: float  # the largest, relative to the range of the value it is in; NaN for no value
    of: str  # the value it is in
    flips: int  # bars at which the decision was another


@dataclass(frozen=True)
class BiasReport:
    """What was asked of a strategy or function, and what came out."""

    title: str
    source: str
    checks: tuple[Check, ...]
    warm_up: tuple[WarmUpRow, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Return whether no check found bias and one at least found none; what is open does not fail."""
        found = [one.outcome for one in self.checks]
        return Outcome.BIASED not in found and Outcome.CLEAN in found

    def of(self, gate: str) -> tuple[Check, ...]:
        """Return the checks of one gate ("look-ahead" or "warm-up")."""
        return tuple(one for one in self.checks if one.gate == gate)

    def outcome(self, gate: str) -> Outcome:
        """Return the worst outcome among the checks of a gate, OPEN where nothing was asked."""
        found = [one.outcome for one in self.of(gate)]
        if not found:
            return Outcome.OPEN
        return max(found, key=list(Outcome).index)

    def told(self, gate: str) -> str:
        """Return in one line what came out of a gate: its first worst check."""
        worst = self.outcome(gate)
        chosen = [one for one in self.of(gate) if one.outcome is worst]
        return "nothing was asked" if not chosen else f"{chosen[0].name}: {chosen[0].said}"

    @property
    def verdict(self) -> str:
        """Return the whole in one line."""
        bad = [one for one in self.checks if one.outcome is Outcome.BIASED]
        if bad:
            first = next((one.first for one in bad if one.first is not None), None)
            where = f"; {first}" if first is not None else f": {bad[0].said}"
            return f"BIASED ({', '.join(one.name for one in bad)}){where}"
        if not self.passed:
            return "; ".join(f"UNDECIDED ({one.name}): {one.said}" for one in self.checks[:1])
        undecided = [one.name for one in self.checks if one.outcome is Outcome.OPEN]
        tail = f"; open: {', '.join(undecided)}" if undecided else ""
        return f"no bias found in {len(self.checks)} checks{tail}"

    @property
    def frame(self) -> pl.DataFrame:
        """Return one row a check."""
        import polars as pl

        return pl.DataFrame([one.row() for one in self.checks], infer_schema_length=None)

    @property
    def warm_up_frame(self) -> pl.DataFrame:
        """Return one row a length of warm-up; empty where it was not asked."""
        import polars as pl

        names = ("label", "candles", "bars", "difference", "of", "flips")
        rows = [[getattr(one, name) for name in names] for one in self.warm_up]
        kinds = (pl.String, pl.Int64, pl.Int64, pl.Float64, pl.String, pl.Int64)
        schema = dict(zip(names, kinds, strict=True))
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            pl.col("difference").fill_nan(None)
        )

    def summary(self) -> dict[str, object]:
        """Return what `workbench bias --json` prints."""
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "gates": {gate: self.outcome(gate).value for gate in GATES if self.of(gate)},
            "checks": [one.row() for one in self.checks],
            "warm_up": self.warm_up_frame.to_dicts(),
            "title": self.title,
            "source": self.source,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return f"BiasReport({self.title}: {self.verdict})"


def time_text(time_ms: int) -> str:
    """Return milliseconds UTC as text."""
    return f"{np.datetime64(int(time_ms), 'ms').astype('datetime64[m]')}Z"


def cut_bars(
    count: int, events: Iterable[int], *, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the bars to cut at: all up to `most`; else edges, strata, and events for up to a third.

    Of each of the equal strata one bar is drawn, so that no rhythm of the data is met or missed by rule.
    """
    if count <= most:
        return np.arange(count)
    edges = [0, 1, 2, count - 3, count - 2, count - 1]
    acts = np.fromiter(events, np.int64)
    if len(acts) > most // 3:
        acts = acts[np.linspace(0, len(acts) - 1, most // 3).astype(int)]
    bounds = np.linspace(0, count, max(1, most - len(acts) - len(edges)) + 1).astype(int)
    strata = rng.integers(bounds[:-1], bounds[1:])
    return np.unique(np.concatenate([edges, strata, acts])).astype(np.int64)


def differing(value: np.ndarray, other: np.ndarray, *, rtol: float = AGREES) -> np.ndarray:
    """Return where two columns differ: numbers by more than `rtol` of their size, all else at all.

    Two NaN are equal, and so are two nulls; a number that is close to 0 is measured by the column's median.
    """
    if value.dtype.kind in "fc" or other.dtype.kind in "fc":
        a, b = value.astype(np.float64), other.astype(np.float64)
        known = np.abs(a[np.isfinite(a)])
        usual = float(np.median(known)) if len(known) else 0.0
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.maximum(np.abs(a), np.abs(b)), usual)
            near = (np.abs(a - b) <= rtol * size) | (a == b)
        return ~(near | (np.isnan(a) & np.isnan(b)))
    return np.asarray(value != other, bool)


def furthest_apart(values: np.ndarray, others: np.ndarray) -> float:
    """Return the largest difference of two columns where both are numbers; NaN where few places are."""
    both = np.isfinite(values) & np.isfinite(others)
    if not both.any() or both.mean() < 0.5:
        return float("nan")
    return float(np.max(np.abs(values[both] - others[both])))


def first_of(checks: Sequence[Check]) -> Finding | None:
    """Return the earliest finding among checks."""
    found = [one.first for one in checks if one.first is not None]
    return min(found, key=lambda one: one.time_ms) if found else None


def _said(value: Value) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:.10g}"


def _plain(value: Value) -> str | None:
    return None if value is None else _said(value)
