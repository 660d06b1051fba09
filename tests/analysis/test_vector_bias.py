"""Vector code: each way to look ahead that notebooks know is caught, and its honest twin passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from tests.candle_builders import martingale
from workbench.analysis.bias import BiasReport, Outcome
from workbench.analysis.vector_bias import Known, check_function
from workbench.errors import UsageError

HOUR = 3_600_000
C = pl.col("close")
Function = Callable[[pl.DataFrame], object]


def hours(count: int = 260, seed: int = 21) -> Known:
    frame = martingale(count, seed, substeps=4).frame()
    return Known(frame, frame["open_time"].dt.epoch("ms").to_numpy() + HOUR)


def days(series: Known) -> Known:
    frame = series.frame.group_by_dynamic("open_time", every="1d").agg(
        C.last().alias("day_close"), pl.col("high").max().alias("day_high")
    )
    return Known(frame, frame["open_time"].dt.epoch("ms").to_numpy() + 24 * HOUR)


HOURS = hours()
DAYS = days(HOURS)


def failed(report: BiasReport) -> set[str]:
    return {one.name for one in report.checks if one.outcome is Outcome.BIASED}


def scaled(values: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    return (values - fitted.mean()) / (fitted.std() + 1e-9)  # of one row it is 0


def fit_a_line(frame: pl.DataFrame, until: int) -> np.ndarray:
    y = frame["close"].to_numpy()
    x = np.arange(len(y))
    slope, level = np.polyfit(x[:until], y[:until], 1)
    return y - (level + slope * x)


def joined_days(frame: pl.DataFrame, strategy: str) -> pl.Series:
    """Join each hour with a day made from these very hours, labelled by its opening time."""
    of_day = frame.group_by_dynamic("open_time", every="1d").agg(C.last().alias("day"))
    return frame.join_asof(of_day, on="open_time", strategy=strategy)["day"]  # type: ignore[arg-type]


def closed_days(frame: pl.DataFrame) -> pl.Series:
    """Join each hour with the last day whose 24 hours were over when the hour closed."""
    of_day = frame.group_by_dynamic("open_time", every="1d").agg(
        C.last().alias("day"), pl.len().alias("hours")
    )
    over = of_day.filter(pl.col("hours") == 24).with_columns(
        pl.col("open_time").dt.offset_by("23h")
    )
    return frame.join_asof(over, on="open_time", strategy="backward")["day"]


def gaps(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave a close only where the volume is above its own running median: some are missing."""
    holes = pl.when(pl.int_range(pl.len()) % 5 < 3).then(C)
    return frame.select(holed=holes)


LEAKS: dict[str, tuple[Function, Function]] = {
    "shift(-1)": (
        lambda f: f.select(C.shift(-1) > C).to_series(),
        lambda f: f.select(C.shift(1) < C).to_series(),
    ),
    "shift(-1), filled": (
        lambda f: f.select(C.shift(-1).fill_null(C)).to_series(),
        lambda f: f.select(C.shift(1).fill_null(C)).to_series(),
    ),
    "centred rolling mean": (
        lambda f: f["close"].rolling_mean(9, center=True),
        lambda f: f["close"].rolling_mean(9),
    ),
    "min-max of everything": (
        lambda f: (f["close"] - f["close"].min()) / (f["close"].max() - f["close"].min()),
        lambda f: f.select((C - C.cum_min()) / (C.cum_max() - C.cum_min())).to_series(),
    ),
    "z-score of everything": (
        lambda f: scaled(f["close"].to_numpy(), f["close"].to_numpy()),
        lambda f: f.select((C - C.rolling_mean(30)) / C.rolling_std(30)).to_series(),
    ),
    "last value of the frame": (
        lambda f: f["close"] / f["close"][-1],
        lambda f: f["close"] / f["close"][0],
    ),
    "bfill": (
        lambda f: gaps(f)["holed"].fill_null(strategy="backward"),
        lambda f: gaps(f)["holed"].fill_null(strategy="forward"),
    ),
    "interpolation": (
        lambda f: gaps(f)["holed"].interpolate(),
        lambda f: gaps(f)["holed"].fill_null(strategy="forward"),
    ),
    "day labelled by its start": (lambda f: joined_days(f, "backward"), closed_days),
    "join_asof forward": (
        lambda f: f.join_asof(
            f.select("open_time", seen=C).gather_every(6), on="open_time", strategy="forward"
        )["seen"],
        lambda f: f.join_asof(
            f.select("open_time", seen=C).gather_every(6), on="open_time", strategy="backward"
        )["seen"],
    ),
    "fit on everything": (
        lambda f: fit_a_line(f, f.height),
        lambda f: fit_a_line(f, 20) * np.where(np.arange(f.height) >= 19, 1.0, np.nan)
        if f.height >= 20
        else np.full(f.height, np.nan),
    ),
    "quantile of everything": (
        lambda f: f["close"] > f["close"].quantile(0.8),
        lambda f: f.select(C.rolling_quantile(0.8, window_size=50) < C).to_series(),
    ),
    "rank over everything": (
        lambda f: f["volume"].rank() / f.height,
        lambda f: f.select(pl.col("volume") / pl.col("volume").cum_max()).to_series(),
    ),
    "argmax of everything": (
        lambda f: np.arange(f.height) == int(f["close"].arg_max() or 0),
        lambda f: f.select(C.cum_max() == C).to_series(),
    ),
    "reversed cumulation": (
        lambda f: f["close"].cum_max(reverse=True),
        lambda f: f["close"].cum_max(),
    ),
    "smoothed both ways": (
        lambda f: f["close"].ewm_mean(span=9).reverse().ewm_mean(span=9).reverse(),
        lambda f: f["close"].ewm_mean(span=9),
    ),
    "convolution, same": (
        lambda f: np.convolve(f["close"].to_numpy(), np.ones(5) / 5, mode="same"),
        lambda f: np.convolve(f["close"].to_numpy(), np.ones(5) / 5, mode="full")[: f.height],
    ),
    "Fourier filter": (
        lambda f: np.fft.irfft(np.fft.rfft(f["close"].to_numpy())[:20], f.height),
        lambda f: f["close"].rolling_mean(20),
    ),
    "gradient": (
        lambda f: np.gradient(f["close"].to_numpy()),
        lambda f: f["close"].diff(),
    ),
    "whole days by over()": (
        lambda f: f.select(C.max().over(pl.col("open_time").dt.date())).to_series(),
        lambda f: f.select(C.cum_max().over(pl.col("open_time").dt.date())).to_series(),
    ),
    "labels of what follows": (
        lambda f: f.select(pl.when(C.shift(-3) > C).then(pl.lit("up")).otherwise(pl.lit("down"))).to_series(),
        lambda f: f.select(pl.when(C.shift(3) < C).then(pl.lit("up")).otherwise(pl.lit("down"))).to_series(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_each_way_to_look_ahead_is_caught_and_its_honest_twin_passes(name: str) -> None:
    leaking, honest = LEAKS[name]
    report = check_function(HOURS, leaking)
    assert not report.passed, name
    assert "cut" in failed(report) or any(one.startswith("poison") for one in failed(report))
    first = next(one.first for one in report.checks if one.first is not None)
    assert first.time in report.verdict
    twin = check_function(HOURS, honest)
    assert twin.passed, twin.verdict
    assert next(one for one in twin.checks if one.name == "cut").looked_at >= 240


def test_the_first_offending_candle_is_told_with_both_values() -> None:
    report = check_function(HOURS, lambda f: f["close"].shift(-1))
    cut = report.checks[0]
    assert (cut.looked_at, cut.differ) == (260, 259)  # the last has no candle after it
    assert cut.first is not None
    assert cut.first.time == "2025-01-01T00:00Z"
    assert cut.first.value == HOURS.frame["close"][1]
    assert cut.first.other is None
    assert "on candles up to there alone" in report.verdict


def test_another_series_is_known_when_its_own_candle_has_closed() -> None:
    def by_start(frame: pl.DataFrame, days: pl.DataFrame) -> pl.Series:
        return frame.join_asof(days, on="open_time", strategy="backward")["day_close"]

    def by_close(frame: pl.DataFrame, days: pl.DataFrame) -> pl.Series:
        known = days.with_columns(pl.col("open_time").dt.offset_by("23h"))  # closes with that hour
        return frame.join_asof(known, on="open_time", strategy="backward")["day_close"]

    def forward(frame: pl.DataFrame, days: pl.DataFrame) -> pl.Series:
        return frame.join_asof(days, on="open_time", strategy="forward")["day_close"]

    for leak in (by_start, forward):
        assert "cut" in failed(check_function(HOURS, leak, inputs={"days": DAYS}))
    assert check_function(HOURS, by_close, inputs={"days": DAYS}).passed


def test_a_frame_from_outside_stays_open_and_is_caught_where_it_foretells() -> None:
    after_next = HOURS.frame.select(
        "open_time", up=(pl.col("open").shift(-2) > pl.col("open").shift(-1))
    )
    chance = pl.DataFrame({"up": np.random.default_rng(1).integers(0, 2, 260)})

    report = check_function(HOURS, lambda f: after_next["up"].head(f.height))
    assert failed(report) == {"foreknowledge"}
    assert "after_next (DataFrame)" in report.frame.filter(check="constants in the code")["said"][0]
    harmless = check_function(HOURS, lambda f: chance["up"].head(f.height))
    assert (harmless.passed, harmless.outcome("look-ahead")) == (True, Outcome.OPEN)


def test_a_scaler_that_was_fitted_on_everything_before_is_caught_by_its_numbers() -> None:
    closes = HOURS.frame["close"].to_numpy()
    mean, deviation = float(closes.mean()), float(closes.std())
    report = check_function(HOURS, lambda f: (f["close"] - mean) / deviation)
    assert failed(report) == {"constants in the code"}
    assert "mean close" in report.verdict
    assert check_function(HOURS, lambda f: (f["close"] - 100.0) / 2.5).passed


def test_a_frame_of_several_columns_names_the_one_that_leaks() -> None:
    def both(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(honest=C.rolling_mean(5), leak=C.shift(-2))

    report = check_function(HOURS, both)
    assert {one.first.what for one in report.checks if one.first is not None} == {"leak"}
    assert check_function(HOURS, lambda f: C.rolling_mean(5)).passed  # an expression will do
    assert check_function(HOURS, lambda f: {"a": f["close"].diff().to_list()}).passed


def test_long_series_are_cut_at_strata_and_signals_and_a_rare_leak_is_still_caught() -> None:
    series = hours(3_000, 5)

    def rare(frame: pl.DataFrame) -> pl.Series:
        drop = frame.select(C.shift(-1) < 0.975 * C).to_series()  # at a few bars of 3,000
        return drop.fill_null(value=False)

    signals = int(rare(series.frame).sum())
    assert 0 < signals < 60
    report = check_function(series, rare)
    assert "cut" in failed(report)
    assert 200 <= report.checks[0].looked_at <= 320


def test_warm_up_of_a_recursive_function_is_judged_where_it_is_declared() -> None:
    def average(frame: pl.DataFrame) -> pl.Series:
        return frame["close"].ewm_mean(span=12, adjust=False)

    short, enough = (check_function(HOURS, average, warm_up=n) for n in (20, 100))
    assert failed(short) == {"warm-up"}
    assert enough.passed
    alpha = 2.0 / 13.0
    assert enough.warm_up[0].difference < (1.0 - alpha) ** 100
    assert check_function(HOURS, lambda f: f["close"].rolling_mean(21), warm_up=20).passed
    assert failed(check_function(HOURS, lambda f: f["close"].rolling_mean(21), warm_up=19)) == {
        "warm-up"
    }
    assert check_function(HOURS, average, warm_up=200).outcome("warm-up") is Outcome.OPEN


def test_what_cannot_be_compared_is_open_or_refused() -> None:
    rng = np.random.default_rng(1)
    random = check_function(HOURS, lambda f: rng.normal(size=f.height))
    assert (random.passed, random.outcome("look-ahead")) == (False, Outcome.OPEN)
    assert random.verdict.startswith("UNDECIDED (repeats): called twice")
    assert "other values" in random.told("look-ahead")
    with pytest.raises(UsageError, match="returns 259 values"):
        check_function(HOURS, lambda f: f["close"].diff().drop_nulls())
    with pytest.raises(UsageError, match="fails on the whole frame: KeyError"):
        check_function(HOURS, lambda f: {}["close"])
    with pytest.raises(UsageError, match="holds 5 candles"):
        check_function(hours(5), lambda f: f["close"])

    def needs_many(frame: pl.DataFrame) -> pl.Series:
        if frame.height < 50:
            raise ValueError("too few rows")
        return frame["close"].rolling_mean(50)

    cut = check_function(HOURS, needs_many).checks[0]
    assert (cut.outcome, cut.looked_at) == (Outcome.CLEAN, 260 - 49)
    assert "failed at 49 more (ValueError: too few rows)" in cut.said
