"""Random markets for exits and guards: a coarse series with the finer one that it is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from tests.candle_builders import START_MS, martingale, to_cents
from tests.naive_exits import Bar, Rules
from tests.scripted import scripted
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

PER_HOUR = 4
_UNITS = {"offset": "", "pct": "%", "atr": "atr"}


@dataclass(frozen=True)
class Market:
    """Hours with their quarters, what is wanted at each close, and the levels that were written."""

    candles: Candles
    bars: list[Bar]
    targets: list[float | None]
    written: list[tuple[float, float, float]]


def market(seed: int, hours: int, *, writes_levels: bool, sigma: float = 0.01) -> Market:
    """Return a market of so many hours with dead and missing ones, and random targets."""
    rng = np.random.default_rng(seed)
    quarters = to_cents(
        martingale(hours * PER_HOUR, seed, interval="15m", sigma=sigma, substeps=20)
    )
    blocks = quarters.records.reshape(hours, PER_HOUR)
    coarse = records_from_columns(
        START_MS + np.arange(hours) * 3_600_000,
        blocks["open"][:, 0], blocks["high"].max(axis=1), blocks["low"].min(axis=1),
        blocks["close"][:, -1], np.full(hours, 10.0), parse_timeframe("1h"),
    )  # fmt: skip
    coarse["volume"][rng.random(hours) < 0.05] = 0.0
    coarse["missing_before"][1:] = rng.random(hours - 1) < 0.03  # a gap in name: the times stay
    quarters.records["volume"][rng.random(len(quarters.records)) < 0.1] = 0.0
    targets: list[float | None] = [
        None if rng.random() < 0.7 else float(rng.choice([0.0, 0.0, 0.5, 1.0, 1.0]))
        for _ in range(hours)
    ]
    written = [(0.0, 0.0, 0.0)] * hours
    if writes_levels:
        written = [_levels(float(close), rng) for close in coarse["close"]]
    candles = scripted(Candles("BTCUSDT", parse_timeframe("1h"), coarse, fine=quarters), targets)
    candles.records["aux"][:, 1:] = written
    bars = [
        replace(_bar(row), finer=tuple(_bar(part) for part in block))
        for row, block in zip(coarse, blocks, strict=True)
    ]
    return Market(candles, bars, targets, written)


def _levels(close: float, rng: np.random.Generator) -> tuple[float, float, float]:
    stop, goal, trail = rng.random(3)
    return (
        round(close * 0.98, 2) if stop < 0.5 else 0.0,
        round(close * 1.02, 2) if goal < 0.5 else 0.0,
        round(close * 0.015, 2) if trail < 0.3 else 0.0,
    )


def _bar(row: np.void) -> Bar:
    prices = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
    return Bar(int(row["open_time"]), *prices, missing=int(row["missing_before"]))


def said(rules: Rules) -> dict[str, str | int]:
    """Return the exits of these rules as a caller writes them."""
    form: dict[str, str | int] = {"atr_period": rules.atr_period}
    for name in ("stop", "take_profit", "trail"):
        level = getattr(rules, name)
        if level is not None:
            value, unit = level
            form[name] = f"{value * 100 if unit == 'pct' else value!r}{_UNITS[unit]}"
    if rules.time_stop is not None:
        form["time_stop"] = rules.time_stop
    return form


def levels() -> st.SearchStrategy[tuple[float, str] | None]:
    """Draw a level that a martingale of a few hundred hours reaches, or none."""
    return st.none() | st.one_of(
        st.tuples(st.sampled_from([0.25, 0.5, 1.0, 2.5]), st.just("offset")),
        st.tuples(st.sampled_from([0.005, 0.01, 0.03]), st.just("pct")),
        st.tuples(st.sampled_from([0.5, 1.0, 2.0]), st.just("atr")),
    )


def rules() -> st.SearchStrategy[Rules]:
    """Draw any exits."""
    return st.builds(
        Rules,
        stop=levels(),
        take_profit=levels(),
        trail=levels(),
        atr_period=st.sampled_from([1, 3, 7]),
        time_stop=st.none() | st.integers(1, 30),
    )
