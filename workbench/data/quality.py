"""What can be wrong with candles: errors stop, warnings are declared, nothing is repaired.

An error is a candle that cannot be true (a high below its close, two candles at one time) or that
would lie to an engine (a candle that is still open). A warning is a candle that may be true and
still deserves a look: a gap, a bar without trades, a price that did not move for hours. The limits
are the arguments of `Limits`, so a report can name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import log1p
from typing import NamedTuple

import polars as pl

from workbench.data.resample import closing_time, opening_time
from workbench.data.schema import PRICES, SCHEMA
from workbench.data.times import iso
from workbench.errors import DataError
from workbench.market.timeframes import Timeframe, parse_timeframe

_EARLIEST_MS, _LATEST_MS = 1_230_768_000_000, 4_102_444_800_000  # 2009 (first coin) to 2100
_SHOWN = 5
_BLOCK = 200_000  # candles that are looked at together, so that a long series fits the memory


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a candle is declared in a warning."""

    flat_bars: int = 20
    wick: float = 0.30
    outlier_sigmas: float = 10.0
    jump: float = 0.50
    volume_sigmas: float = 10.0
    stale_bars: int = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of error or warning: how many candles, the first of them, and a line to read."""

    kind: str
    count: int
    at: tuple[str, ...]
    message: str


class Rule(NamedTuple):
    """What marks a candle, by it and its two neighbours, and what is said of it."""

    kind: str
    marks: pl.Expr
    what: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of candles that are missing, by the opening times of its first and last."""

    first_missing_ms: int
    last_missing_ms: int
    bars: int
    cause: str = "unknown"


@dataclass(frozen=True, slots=True)
class Report:
    """The health of one series."""

    rows: int
    first_ms: int | None
    last_ms: int | None
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    limits: Limits = field(default_factory=Limits)

    @property
    def missing(self) -> int:
        """Return how many candles are missing between the first and the last."""
        return sum(gap.bars for gap in self.gaps)

    def as_dict(self) -> dict[str, object]:
        """Return the report as JSON values; times are ISO text."""
        return {
            "rows": self.rows,
            "first": None if self.first_ms is None else iso(self.first_ms),
            "last": None if self.last_ms is None else iso(self.last_ms),
            "errors": [_finding_dict(one) for one in self.errors],
            "warnings": [_finding_dict(one) for one in self.warnings],
            "gaps": [
                {
                    "first_missing": iso(gap.first_missing_ms),
                    "last_missing": iso(gap.last_missing_ms),
                    "bars": gap.bars,
                    "cause": gap.cause,
                }
                for gap in self.gaps
            ],
        }

    def refuse(self, label: str) -> None:
        """Raise DataError with the first error, where there is one."""
        if self.errors:
            more = (
                f" (and {len(self.errors) - 1} more kinds of error)" if len(self.errors) > 1 else ""
            )
            raise DataError(
                f"{label}: {self.errors[0].message}{more}; such candles are not taken: mend the "
                "source, or take another"
            )


def check(
    frame: pl.DataFrame | pl.LazyFrame,
    timeframe: str | Timeframe,
    *,
    now_ms: int | None = None,
    limits: Limits | None = None,
) -> Report:
    """Return every error, warning and gap of one series in the order in which it is stored.

    A lazy frame is never held as a whole: each rule reads the columns that it looks at. With `now_ms`
    the last candle is also checked for being unclosed or stale.
    """
    interval, limits, lazy = parse_timeframe(timeframe), limits or Limits(), frame.lazy()
    times = _times(lazy)
    errors = tuple(_errors(lazy, times, interval, now_ms))
    if any(one.kind in ("null", "duplicate", "unordered") for one in errors):
        lazy = lazy.collect().unique("open_time", keep="first").sort("open_time").lazy()
    ordered = _times(lazy)
    gaps = () if any(one.kind == "unit" for one in errors) else tuple(_gaps(ordered, interval))
    return Report(
        rows=len(times),
        first_ms=None if times.is_empty() else int(ordered.to_physical()[0]),
        last_ms=None if times.is_empty() else int(ordered.to_physical()[-1]),
        errors=errors,
        warnings=tuple(_warnings(lazy, ordered, interval, gaps, now_ms, limits)),
        gaps=gaps,
        limits=limits,
    )


def with_causes(report: Report, cause_of: Callable[[Gap], str]) -> Report:
    """Return the report with a cause for each gap."""
    gaps = tuple(replace(gap, cause=cause_of(gap)) for gap in report.gaps)
    return replace(report, gaps=gaps)


def with_warnings(report: Report, more: Iterable[Finding]) -> Report:
    """Return the report with further warnings behind its own."""
    return replace(report, warnings=(*report.warnings, *more))


def _errors(
    lazy: pl.LazyFrame, times: pl.Series, interval: Timeframe, now_ms: int | None
) -> Iterator[Finding]:
    schema = lazy.collect_schema()
    time, ms = pl.col("open_time"), pl.col("open_time").dt.epoch("ms")
    values = [name for name in SCHEMA if name not in ("symbol", "open_time")]
    numbers = [name for name in values if name in schema]
    floats = [name for name in numbers if schema[name].is_float()]
    body_top, body_bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    rules = [
        Rule(
            "null",
            pl.any_horizontal(pl.col("open_time", *numbers).is_null()),
            "have an empty field",
        ),
        Rule(
            "unit",
            (ms < _EARLIEST_MS) | (ms > _LATEST_MS),
            "open before 2009 or after 2100: seconds or microseconds were taken for milliseconds",
        ),
        Rule("duplicate", _duplicated(times), "share their open_time with another candle"),
        Rule(
            "unordered",
            time.diff().dt.total_milliseconds() < 0,
            "open before the candle stored ahead of them",
        ),
        Rule(
            "misaligned", time != opening_time(time, interval), f"do not open on a whole {interval}"
        ),
        Rule(
            "not_finite",
            pl.any_horizontal(pl.col(floats).is_nan() | pl.col(floats).is_infinite()),
            "hold NaN or infinity",
        ),
        Rule("price", pl.any_horizontal(pl.col(PRICES) <= 0), "have a price of 0 or less"),
        Rule(
            "high",
            pl.col("high") < pl.max_horizontal(body_top, "low"),
            "have a high below their open, close or low",
        ),
        Rule("low", pl.col("low") > body_bottom, "have a low above their open or close"),
        Rule(
            "negative",
            pl.any_horizontal(pl.col([n for n in numbers if n not in PRICES]) < 0),
            "have a negative volume or count",
        ),
    ]
    if "close_time" in schema:  # of a file that has it; the store does not keep it
        told = pl.col("close_time")
        told_ms = told if schema["close_time"].is_integer() else told.dt.epoch("ms")
        due_ms = closing_time(time, interval).dt.epoch("ms") - 1
        rules.append(
            Rule(
                "close_time", told_ms != due_ms, "do not close a millisecond before the next opens"
            )
        )
    if now_ms is not None and interval.fixed_ms is not None:
        rules.append(
            Rule("unclosed", ms + interval.fixed_ms > now_ms, "had not closed when they were taken")
        )
    elif now_ms is not None:
        ends = closing_time(time, interval).dt.epoch("ms")
        rules.append(Rule("unclosed", ends > now_ms, "had not closed when they were taken"))
    yield from _findings(lazy, len(times), rules)


def _warnings(
    lazy: pl.LazyFrame,
    times: pl.Series,
    interval: Timeframe,
    gaps: tuple[Gap, ...],
    now_ms: int | None,
    limits: Limits,
) -> Iterator[Finding]:
    if gaps:
        bars = sum(gap.bars for gap in gaps)
        yield Finding(
            "gap",
            len(gaps),
            tuple(iso(gap.first_missing_ms) for gap in gaps[:_SHOWN]),
            f"{len(gaps)} gap{'s' * (len(gaps) > 1)}, {bars} candle{'s' * (bars > 1)} missing, "
            f"the first at {iso(gaps[0].first_missing_ms)}",
        )
    rules = [
        Rule("zero_volume", pl.col("volume") == 0, "have no volume"),
        Rule(
            "flat",
            _flat(lazy, limits.flat_bars),
            f"lie in a run of {limits.flat_bars} or more without any move",
        ),
        Rule(
            "outlier",
            _reverting_outlier(lazy, limits.outlier_sigmas),
            f"move more than {limits.outlier_sigmas:g} robust sigma and revert in the next",
        ),
        Rule(
            "jump",
            (pl.col("close") / pl.col("close").shift(1)).log().abs() > log1p(limits.jump),
            f"close more than {limits.jump:.0%} above the close before, or as far below",
        ),
        Rule("wick", _wick() > limits.wick, f"have a wick of more than {limits.wick:.0%}"),
        Rule(
            "volume_outlier",
            _robust_z(lazy, pl.col("volume").log().replace([float("-inf")], None))
            > limits.volume_sigmas,
            f"have a volume more than {limits.volume_sigmas:g} robust sigma (of its log) above the median",
        ),
    ]
    names = lazy.collect_schema()
    if "trades" in names:
        rules.append(
            Rule(
                "zero_trades",
                (pl.col("trades") == 0) & (pl.col("volume") > 0),
                "have volume but no trade",
            )
        )
    if "quote_volume" in names:
        rules.append(
            Rule("quote_volume", _vwap_outside(), "have quote_volume / volume outside low and high")
        )
    yield from _findings(lazy, len(times), rules)
    if now_ms is not None and not times.is_empty():
        yield from _stale(int(times.to_physical()[-1]), interval, now_ms, limits.stale_bars)


def _stale(last_ms: int, interval: Timeframe, now_ms: int, bars: int) -> Iterator[Finding]:
    behind = interval.steps(last_ms, interval.floor(now_ms)) - 1
    if behind >= bars:
        message = f"the last candle opens at {iso(last_ms)}, {behind} closed candles ago"
        yield Finding("stale", behind, (iso(last_ms),), message)


def _findings(lazy: pl.LazyFrame, rows: int, rules: list[Rule]) -> Iterator[Finding]:
    """Yield what breaks a rule, block by block, so that a long series fits the memory."""
    broken: dict[str, list[pl.Series]] = {rule.kind: [] for rule in rules}
    for start in range(0, rows, _BLOCK):
        for kind, times in _broken(lazy, start, min(start + _BLOCK, rows), rules):
            broken[kind].append(times)
    for rule in rules:
        if found := broken[rule.kind]:
            times = pl.concat(found)
            at = tuple("none" if t is None else _safe_iso(t) for t in times[:_SHOWN])
            message = f"{len(times)} candles {rule.what}, the first at {at[0]}"
            yield Finding(rule.kind, len(times), at, message)


def _broken(
    lazy: pl.LazyFrame, start: int, end: int, rules: list[Rule]
) -> Iterator[tuple[str, pl.Series]]:
    """Yield for each rule that is broken in rows [start, end) when these candles open."""
    before = min(start, 1)  # a rule may look at the candle before and the one after
    block = lazy.slice(start - before, end - start + before + 1).collect()
    marks = block.select(
        "open_time", *(rule.marks.fill_null(False).alias(rule.kind) for rule in rules)
    ).slice(before, end - start)
    for rule in rules:
        times = marks.filter(pl.col(rule.kind))["open_time"].to_physical()
        if len(times):
            yield rule.kind, times


def _times(lazy: pl.LazyFrame) -> pl.Series:
    return lazy.select("open_time").collect()["open_time"]


def _duplicated(times: pl.Series) -> pl.Expr:
    """Mark candles that share their time; times that rise, as they do nearly always, share none."""
    plain = times.to_physical().to_numpy()
    if times.null_count() == 0 and bool((plain[1:] > plain[:-1]).all()):
        return pl.col("open_time").is_null()  # of which there are none
    return pl.col("open_time").is_in(times.filter(times.is_duplicated()).unique().implode())


def _gaps(ordered: pl.Series, interval: Timeframe) -> Iterator[Gap]:
    """Yield the gaps between neighbours; times that are misaligned count from their own candle."""
    time = pl.col("open_time")
    expected = closing_time(opening_time(time, interval), interval)
    holes = (
        ordered.to_frame()
        .lazy()
        .select(expected.alias("due"), opening_time(time, interval).shift(-1).alias("came"))
        .filter(pl.col("came") > pl.col("due"))
        .collect()
    )
    for due, came in zip(holes["due"].to_physical(), holes["came"].to_physical(), strict=True):
        bars = interval.steps(due, came)
        last = (
            came - interval.fixed_ms if interval.fixed_ms is not None else interval.floor(came - 1)
        )
        yield Gap(due, last, bars)


def _flat(lazy: pl.LazyFrame, bars: int) -> pl.Expr:
    """Mark a run of candles that all stand at one price, high and low included."""
    still = (
        lazy.select("open_time", "close", still=pl.col("high") == pl.col("low"))
        .with_row_index("row")
        .filter("still")
        .collect()
    )
    run = pl.struct("close", pl.col("row").cast(pl.Int64) - pl.int_range(pl.len())).rle_id()
    flat = still.filter(pl.len().over(run) >= bars)["open_time"]
    return pl.col("open_time").is_in(flat.unique().implode())


def _reverting_outlier(lazy: pl.LazyFrame, sigmas: float) -> pl.Expr:
    move = pl.col("close").log().diff()
    median, sigma = _robust(lazy, move)
    back = move.shift(-1)
    return (
        ((move - median).abs() > sigmas * sigma)
        & (back.sign() == -move.sign())
        & (back.abs() > 0.5 * move.abs())
    )


def _robust_z(lazy: pl.LazyFrame, values: pl.Expr) -> pl.Expr:
    median, sigma = _robust(lazy, values)
    return (values - median) / sigma


def _robust(lazy: pl.LazyFrame, values: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the median of all values and their robust sigma, as numbers."""
    plain = lazy.select(values.alias("values")).collect()["values"]
    median = plain.median()
    sigma = None if median is None else (plain - median).abs().median()
    return pl.lit(median, pl.Float64), 1.4826 * pl.lit(sigma, pl.Float64)


def _wick() -> pl.Expr:
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    return pl.max_horizontal((pl.col("high") - top) / top, (bottom - pl.col("low")) / bottom)


def _vwap_outside() -> pl.Expr:
    """Return where the mean price is impossible, with room for amounts rounded at 1e-8."""
    volume, quote = pl.col("volume"), pl.col("quote_volume")
    room = 1e-6 * quote.abs() + 1e-8 + 1e-8 * pl.col("high")
    return (quote < pl.col("low") * volume - room) | (quote > pl.col("high") * volume + room)


def _finding_dict(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "count": finding.count,
        "at": list(finding.at),
        "message": finding.message,
    }


def _safe_iso(time_ms: int) -> str:
    return iso(time_ms) if abs(time_ms) < _LATEST_MS * 10 else f"{time_ms} ms"
