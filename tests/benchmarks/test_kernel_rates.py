"""What a candle and parameter set costs: strategies against the plain MACD kernel, and how it scales."""

from __future__ import annotations

import os
from statistics import median

import pytest

import workbench as wb
from tests.benchmarks.workloads import (
    GRID,
    HOUR_SIGMA,
    SLACK,
    alternated,
    machine,
    walk,
    year_of_hours,
)
from workbench.backtest import sweep
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.market.candles import Candles
from workbench.strategies import own
from workbench.strategies.spec import Spec

ROUNDS = 5
USER_GOAL, OTHERS_GOAL = 0.48, 0.6  # of the plain MACD kernel's rate
SCALING_GOAL = 1.10
STOPS = {"stop": "3%", "take_profit": "6%"}

USER_MACD = """
from numba import njit

from workbench.core.indicators import ema_step, ema_weight

PARAMS = {"fast": (12, 1, 500), "slow": (26, 2, 1000), "signal": (9, 1, 500)}
STATE = {
    "count": int, "quick": float, "sluggish": float, "average": float, "before": float,
    "quick_weight": float, "sluggish_weight": float, "average_weight": float,
}
WARM_UP = 1500


@njit
def valid(params):
    return params.fast < params.slow


@njit
def prepare(state, params):
    state.quick_weight = ema_weight(params.fast)
    state.sluggish_weight = ema_weight(params.slow)
    state.average_weight = ema_weight(params.signal)


@njit
def decide(state, candle, position, params, intent):
    state.count += 1
    close = candle.close
    state.quick = ema_step(state.quick, close, state.count, params.fast, state.quick_weight)
    state.sluggish = ema_step(state.sluggish, close, state.count, params.slow, state.sluggish_weight)
    lines = state.count - params.slow + 1
    if lines < 1:
        return
    line = state.quick - state.sluggish
    state.average = ema_step(state.average, line, lines, params.signal, state.average_weight)
    before, state.before = state.before, line - state.average
    if lines <= params.signal:
        return
    if before <= 0.0 < state.before:
        intent.target = 1.0
    elif before >= 0.0 > state.before:
        intent.target = 0.0
"""


@pytest.fixture
def plain_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "has_event_form", lambda spec, costs: False)


def one_core(candles: Candles, spec: Spec, exits: dict[str, str] | None, **axes: object):
    """Return the work of a sweep on one core, and how many candles x parameter sets it is."""
    from workbench.backtest.grids import Grid

    params = Grid.of(spec, axes, exits).all()
    count = len(sweep_params(candles, spec, params, threads=1))
    return lambda: sweep_params(candles, spec, params, threads=1), count * len(candles)


@pytest.mark.usefixtures("plain_only")
def test_strategies_in_the_plain_kernel_keep_up_with_macd() -> None:
    candles = year_of_hours()
    axes = {"fast": range(2, 21, 4), "slow": range(22, 80, 12), "signal": range(3, 15, 2)}
    crosses = {"fast": range(2, 21, 2), "slow": range(22, 80, 4)}
    swings = {"period": range(5, 20), "oversold": range(20, 40, 4), "overbought": (65, 75)}
    ladders = {"lines": 33, "low": (0.8, 0.85, 0.9), "high": (1.1, 1.15, 1.25, 1.4)}
    user = own.register("user_macd", USER_MACD)
    load = wb.strategies.load
    jobs = {
        "macd, plain": one_core(candles, load("macd"), None, **axes),
        "macd as user code, stop and target": one_core(candles, user, STOPS, **axes),
        "sma cross, stop and target": one_core(candles, load("sma_cross"), STOPS, **crosses),
        "rsi, stop and target": one_core(candles, load("rsi"), STOPS, **swings),
        "grid of 32 rungs, stop and target": one_core(
            candles, load("grid"), None, stop=0.7, take_profit=1.6, **ladders
        ),
    }
    rounds = alternated(ROUNDS, *(work for work, _ in jobs.values()))
    sizes = [size for _, size in jobs.values()]
    rates = [[n / s for n, s in zip(sizes, row, strict=True)] for row in rounds]
    ratios = [median(row[i] / row[0] for row in rates) for i in range(len(jobs))]
    print(f"\none core, all columns ({machine()}):")
    for i, (name, ratio) in enumerate(zip(jobs, ratios, strict=True)):
        rate = median(row[i] for row in rates)
        print(f"  {name}: {rate / 1e9:.3f} G bar x set a second, {ratio:.2f} of plain macd")
    goals = [1.0, USER_GOAL, *[OTHERS_GOAL] * 3]
    for name, ratio, goal in zip(jobs, ratios, goals, strict=True):
        assert ratio >= goal * (1 - SLACK), name


def test_the_event_form_beats_the_plain_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    candles, costs = year_of_hours(), Costs()
    jobs = {}
    for name in ("macd", "ema_cross", "sma_cross"):
        spec = wb.strategies.load(name)
        grid = spec.grid({p.name: GRID[p.name] for p in spec.parameters})
        jobs[name] = (spec, grid)

    def run(name: str, *, event: bool) -> None:
        spec, grid = jobs[name]
        with monkeypatch.context() as patch:
            if not event:
                patch.setattr(sweep, "has_event_form", lambda spec, costs: False)
            sweep_params(candles, spec, grid, costs=costs)

    for name, (_, grid) in jobs.items():
        rounds = alternated(
            ROUNDS, lambda n=name: run(n, event=True), lambda n=name: run(n, event=False)
        )
        ratio = median(plain / event for event, plain in rounds)
        ours = median(event for event, _ in rounds)
        rate = len(grid) * len(candles) / ours / 1e9
        print(f"\nevent form of {name}: {ours * 1e3:.1f} ms, {rate:.2f} G bar x set a second on "
              f"{os.cpu_count()} cores, {ratio:.1f} times the plain kernel")  # fmt: skip
        assert ratio >= (2.0 if len(grid) >= 1_000 else 1.0)


def test_the_cost_of_a_candle_and_set_does_not_grow() -> None:
    macd, year = wb.strategies.load("macd"), 8_760
    short, long = walk(year), walk(12 * year, seed=2, sigma=HOUR_SIGMA)
    markets = [walk(year, seed=seed) for seed in range(4)]
    whole = macd.grid(GRID)
    tenth = whole[::10]

    def sweep_all(candles: list[Candles], params) -> None:
        for one in candles:
            sweep_params(one, macd, params)

    rounds = alternated(
        2 * ROUNDS + 1,
        lambda: sweep_all([short], whole),
        lambda: sweep_all([long], whole),
        lambda: sweep_all([short], tenth),
        lambda: sweep_all(markets, whole),
    )
    best = [min(column) for column in zip(*rounds, strict=True)]
    bars, sets, symbols = best[1] / 12 / best[0], best[0] / 10 / best[2], best[3] / 4 / best[0]
    print(f"\ncost a candle and set: 12 times the candles {bars:.2f}, 10 times the sets {sets:.2f}, "
          f"4 times the symbols {symbols:.2f} of what it was ({machine()})")  # fmt: skip
    for ratio in (bars, sets, symbols):
        assert ratio <= SCALING_GOAL * (1 + SLACK)
