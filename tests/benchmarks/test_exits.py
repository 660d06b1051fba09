"""What exits cost: user code with stop and take-profit against the plain MACD loop, on one core.

Goals 3 and 4: MACD with stop, slippage, fee and all columns at 0.48 of the yardstick's speed, simple
average cross, RSI and a grid of 32 rungs with stop and take-profit at 0.6 of it; 20 % slack is allowed.
The yardstick is a bare loop, as plain as numba can have it, and not our own kernel.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.benchmarks.plain_macd import plain_macd
from tests.candle_builders import martingale
from workbench.backtest import sweep
from workbench.backtest.exits import joined
from workbench.backtest.kernels import Run, kernel
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import run_of, sweep_params, warm_starts
from workbench.execution.exits import exits_of
from workbench.market.candles import Candles
from workbench.strategies import load, own
from workbench.strategies.spec import Axis

BARS, ROUNDS, SLACK = 8_760, 5, 0.8
EXITS = "stop=2%,take_profit=4%"
GRIDS: dict[str, dict[str, Axis]] = {  # large, so that what a sweep costs once hardly counts
    "macd": {"fast": range(2, 22, 2), "slow": range(22, 82, 3), "signal": range(3, 15)},
    "sma_cross": {"fast": range(2, 22), "slow": range(22, 72)},
    "rsi": {"period": range(5, 25), "oversold": range(20, 41), "overbought": [60, 65, 70, 75]},
    "grid": {
        "lines": 33, "low": [0.75, 0.775, 0.8, 0.825, 0.85], "high": [1.15, 1.175, 1.2, 1.225, 1.25],
        "stop": [0.5, 0.6, 0.7], "take_profit": [1.5, 1.52, 1.54, 1.56, 1.58, 1.6], "spacing": [0, 1],
    },
}  # fmt: skip
GRIDS["user_macd"] = GRIDS["macd"]
MUST = {"macd": 0.48, "user_macd": 0.48, "sma_cross": 0.6, "rsi": 0.6, "grid": 0.6}

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


@pytest.fixture(scope="module")
def candles() -> Candles:
    return martingale(BARS, 7, sigma=0.006, substeps=20)


def _best_of(rounds: int, *runs: Callable[[], object]) -> list[float]:
    """Return the best time of each, measured in alternation after one run that compiles."""
    best = [np.inf] * len(runs)
    for turn in range(rounds + 1):
        for i, run in enumerate(runs):
            began = time.perf_counter()
            run()
            if turn:
                best[i] = min(best[i], time.perf_counter() - began)
    return best


def _yardstick(candles: Candles) -> tuple[Callable[[], object], int]:
    grid = load("macd").grid(GRIDS["macd"])
    sets = np.column_stack([grid[name] for name in ("fast", "slow", "signal")])
    opens, closes = (np.ascontiguousarray(candles.records[name]) for name in ("open", "close"))
    out = np.zeros((len(sets), 5))
    return lambda: plain_macd(opens, closes, sets, 0.001, 0.0001, out), len(sets)


def test_the_yardstick_makes_the_kernels_trades(candles: Candles) -> None:
    spec = load("macd")
    grid = spec.grid(GRIDS["macd"])
    swept = sweep_params(candles, spec, grid, costs=Costs())
    sets = np.column_stack([grid[name] for name in ("fast", "slow", "signal")])
    out = np.zeros((len(sets), 5))
    opens, closes = (np.ascontiguousarray(candles.records[name]) for name in ("open", "close"))
    plain_macd(opens, closes, sets, 0.001, 0.0001, out)
    assert swept.frame["trades"].to_list() == out[:, 4].astype(int).tolist()
    assert swept.frame["total_return"].to_numpy() == pytest.approx(out[:, 0], rel=1e-9)


@pytest.mark.parametrize("name", list(GRIDS))
def test_user_code_with_stop_and_take_profit(
    candles: Candles, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "has_event_form", lambda spec, costs: False)  # users' code has none
    spec = own.register(name, USER_MACD) if name == "user_macd" else load(name)
    grid = spec.grid(GRIDS[name])
    exits = EXITS if name != "grid" else None  # the grid writes its own levels
    protected = joined(grid, exits_of(exits))
    yardstick, sets = _yardstick(candles)

    def run() -> object:
        return sweep_params(candles, spec, protected, costs=Costs(), threads=1, trials=NOT_TRIALS)

    plain, ours = _best_of(ROUNDS, yardstick, run)
    speed, yard = len(protected) * BARS / ours / 1e9, sets * BARS / plain / 1e9
    print(
        f"\n{name} with stop and take-profit: {speed:.3f} G bc/s, plain MACD {yard:.3f} G bc/s, "
        f"ratio {speed / yard:.2f} (must {MUST[name]}) on {platform.processor() or platform.machine()}"
    )
    assert speed >= MUST[name] * SLACK * yard


@pytest.mark.parametrize("name", ["macd", "sma_cross", "rsi"])
def test_exits_cost_little_beside_the_same_loop_without_them(candles: Candles, name: str) -> None:
    spec = load(name)
    grid = spec.grid(GRIDS[name])
    compiled, run = kernel(spec), _run(candles, name, grid)
    plain, protected = _best_of(
        ROUNDS,
        lambda: compiled.run(run, 0, len(grid), "plain"),
        lambda: compiled.run(run, 0, len(grid), "protected"),
    )
    print(f"\n{name}: the loop with exits runs at {plain / protected:.2f} of the loop without them")
    assert protected <= plain / 0.75 / SLACK


def _run(candles: Candles, name: str, grid: np.ndarray) -> Run:
    """Return a run that names its form, whatever engine a sweep would choose."""
    exits, costs = np.repeat(exits_of(EXITS), len(grid)), Costs()
    warm = warm_starts(candles, load(name), grid)
    return run_of(candles, grid, warm=warm, exits=exits, costs=costs, rules=None)
