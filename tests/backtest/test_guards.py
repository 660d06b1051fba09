"""Guards and volatility-scaled size, each with a hand-worked example of a few candles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.backtest.test_engine_semantics import FREE, Engine
from tests.candle_builders import candles_of
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Filters
from workbench.backtest.single import backtest
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm
from workbench.execution.guards import Guards


@dataclass(frozen=True)
class Run:
    """Backtests hours from midnight in one of the engines; no costs, 1,000 in cash."""

    engine: Engine
    filters: Filters

    def __call__(
        self,
        closes: list[float],
        targets: list[float | None],
        guards: Guards,
        exits: ExitsForm = None,
        *,
        without: int | None = None,
    ) -> BacktestResult:
        """Backtest; each opens at the close before. The hour `without` is missing."""
        opens = [closes[0], *closes[:-1]]
        candles = scripted(candles_of(opens, closes, symbol="BTCUSDT"), targets)
        if without is not None:
            candles = replace(candles, records=np.delete(candles.records, without))
            candles.records["missing_before"][without : without + 1] = 1
        costs = replace(FREE, cash=1_000.0, filters=self.filters, guards=guards)
        return self.engine(candles, SCRIPTED, costs=costs, exits=exits)


RUNS = {
    "kernel": Run(backtest, "none"),
    "kernel-filters": Run(backtest, "exchange"),
    "event": Run(event_driven, "exchange"),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    """Return each engine in turn: what is worked by hand holds in all of them."""
    return RUNS[request.param]


def hours(result: BacktestResult, side: str = "BUY") -> list[int]:
    """Return the hours in which fills of a side happened, counted from the first midnight."""
    times = result.fills.filter(side=side)["time"]
    first = result.equity["open_time"][0]
    return [round((time - first).total_seconds() / 3_600) for time in times]


def test_trades_a_day_are_buys_by_the_day_of_their_fill(run: Run) -> None:
    targets = [1.0, 0.0] * 13  # a buy in every odd hour
    done = run([100.0] * 26, targets, Guards(trades_a_day=2))
    assert hours(done) == [1, 3, 25]  # decided at the close of hour 24: the day is a new one
    assert done.guarded == 10
    edge = run([100.0] * 26, [None] * 23 + [1.0, None, None], Guards(trades_a_day=1))
    assert hours(edge) == [24]


def test_a_day_has_not_ended_before_midnight_though_no_candle_of_it_follows(run: Run) -> None:
    """At the close of hour 22 nobody knows that hour 23 will be missing, nor that the data ends."""
    targets: list[float | None] = [None] * 26
    targets[0], targets[1], targets[22], targets[24] = 1.0, 0.0, 1.0, 0.5
    ends = run([100.0] * 23, targets[:23], Guards(trades_a_day=1))
    assert (hours(ends), ends.guarded) == ([1], 1)
    holed = run([100.0] * 26, targets, Guards(trades_a_day=1), without=23)
    assert (hours(holed), holed.guarded) == ([1, 25], 1)


def test_a_daily_loss_before_a_hole_at_midnight_counts_from_the_day_before(run: Run) -> None:
    closes = [100.0] * 24 + [100.0, 98.0] + [98.0] * 24
    targets: list[float | None] = [None] * 50
    targets[22], targets[25], targets[46], targets[48] = 1.0, 0.0, 1.0, 0.5
    done = run(closes, targets, Guards(daily_loss=0.02), without=47)
    assert (hours(done), done.guarded) == ([23, 49], 1)  # the loss at 47:00 is still of that day


def test_a_refused_buy_spends_its_target(run: Run) -> None:
    done = run([100.0] * 5, [1.0, 0.0, 1.0, 1.0, None], Guards(trades_a_day=1))
    assert hours(done) == [1]
    assert done.guarded == 1  # the same target again is none to refuse


@pytest.mark.parametrize("engine", [backtest, event_driven], ids=["kernel", "event"])
def test_a_buy_that_is_too_small_is_not_counted_as_held_back(engine: Engine) -> None:
    # After the one buy of the day 0.004 of 1,000 is 4 USDT, less than the exchange's 5; 0.5 is held back.
    one_a_day = Guards(trades_a_day=1)
    targets = [1.0, 0.0, 0.004, 0.5, None]
    done = Run(engine, "exchange")([100.0] * 5, targets, one_a_day)
    assert (hours(done), done.guarded) == ([1], 1)


def test_a_daily_loss_counts_from_the_last_close_of_yesterday(run: Run) -> None:
    closes = [100.0] * 24 + [100.0, 98.0, 98.0, 98.0] + [98.0] * 22
    targets: list[float | None] = [None] * 50
    targets[23], targets[25], targets[26], targets[48] = 1.0, 0.0, 1.0, 0.5
    assert hours(run(closes, targets, Guards(daily_loss=0.02))) == [24, 49]
    assert hours(run(closes, targets, Guards(daily_loss=0.021))) == [24, 27]


def test_a_drawdown_counts_from_the_highest_close(run: Run) -> None:
    closes = [100.0, 100.0, 110.0, 99.0, 99.0, 99.0]
    targets = [1.0, None, None, 0.0, 1.0, None]
    assert hours(run(closes, targets, Guards(drawdown=0.1))) == [1]  # 99 of 110 is 10 % down
    assert hours(run(closes, targets, Guards(drawdown=0.11))) == [1, 5]


def test_a_cooldown_holds_back_so_many_closes_from_the_end_of_a_round_trip_on(run: Run) -> None:
    targets = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, None]  # the trip ends in hour 2
    assert hours(run([100.0] * 8, targets, Guards(cooldown_bars=1))) == [1, 5]
    assert hours(run([100.0] * 8, targets, Guards(cooldown_bars=3))) == [1, 7]


def test_a_streak_of_losses_pauses_or_ends_the_buying(run: Run) -> None:
    closes = [100.0, 100.0, 99.0, 99.0, 99.0, 98.0, 98.0, 98.0, 98.0, 98.0]
    targets = [1.0, 0.0, None, 1.0, 0.0, None, 1.0, 0.0, 1.0, None]
    # trips of hours 1 to 2, 4 to 5 and 7 to 8, none of which wins; a trip that wins nothing is a loss
    assert hours(run(closes, targets, Guards(loss_streak=2))) == [1, 4]
    assert hours(run(closes, targets, Guards(loss_streak=3))) == [1, 4, 7]
    assert hours(run(closes, targets, Guards(loss_streak=4))) == [1, 4, 7, 9]
    assert hours(run(closes, targets, Guards(loss_streak=2, streak_pause_bars=3))) == [1, 4, 9]


def test_guards_never_hold_back_a_sale_or_an_exit(run: Run) -> None:
    closes = [100.0, 100.0, 90.0, 90.0]
    strict = Guards(trades_a_day=1, daily_loss=0.01, drawdown=0.01, cooldown_bars=99)
    assert hours(run(closes, [1.0, None, 0.0, None], strict), "SELL") == [3]
    assert hours(run(closes, [1.0, None, None, None], strict, exits="stop=5%"), "SELL") == [2]


def test_size_is_scaled_by_the_volatility_that_was(run: Run) -> None:
    closes = [100.0, 101.0, 100.0, 101.0, 101.0]
    returns = [101 / 100 - 1, 100 / 101 - 1, 101 / 100 - 1]
    mean = sum(returns) / 3
    yearly = math.sqrt(sum((one - mean) ** 2 for one in returns) / 2) * math.sqrt(8_760)
    half = Guards(volatility=yearly / 2, volatility_bars=3)
    done = run(closes, [None, None, None, 1.0, None], half)
    assert done.fills["quantity"][0] * 101.0 == pytest.approx(500.0, abs=1e-5 * 101.0)
    calm = Guards(volatility=yearly * 2, volatility_bars=3)
    done = run(closes, [None, None, None, 1.0, None], calm)
    assert done.fills["quantity"][0] * 101.0 == pytest.approx(1_000.0, abs=1e-5 * 101.0)
    with pytest.raises(UsageError, match="volatility that scales it"):
        run(closes, [None, 1.0, None, None, None], half)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"drawdwn": 0.1}, "no guard 'drawdwn'; there are trades_a_day, daily_loss"),
        ({"drawdown": 1.0}, r"drawdown=1.0 is out of range; it takes numbers from 0 to below 1"),
        ({"trades_a_day": 1.5}, "trades_a_day=1.5 is out of range; it takes whole numbers"),
        ({"daily_loss": float("nan")}, "daily_loss=nan is out of range"),
        ({"loss_streak": -1}, "loss_streak=-1 is out of range"),
        ({"volatility_bars": 1}, "volatility_bars=1 is out of range"),
        ({"drawdown": None}, "drawdown=None is not a number; write drawdown=5% or 0.05"),
        ("drawdown", "'drawdown' is not name=value; write e.g. daily_loss=5%,cooldown_bars=3"),
        ("drawdown=5%,drawdown=6%", "drawdown is given twice"),
        ("drawdwn=5%", "no guard 'drawdwn'"),
        ("drawdown=much", "drawdown='much' is not a number; write drawdown=5% or 0.05"),
        ("drawdown=100%", "drawdown=1.0 is out of range"),
        ("daily_loss=nan", "daily_loss=nan is out of range"),
        ("cooldown_bars=3%", "cooldown_bars=3% is a count, no share; write cooldown_bars=3"),
        ("cooldown_bars=1.5", "cooldown_bars=1.5 is out of range; it takes whole numbers"),
    ],
)
def test_what_is_no_guard_is_one_clear_error(bad: dict[str, float] | str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Guards.of(bad)


def test_guards_as_text_take_shares_as_fractions_and_as_percents() -> None:
    said = Guards.of("daily_loss=5%, drawdown=0.2,volatility=60%,cooldown_bars=3")
    assert said == Guards(daily_loss=0.05, drawdown=0.2, volatility=0.6, cooldown_bars=3)
    assert Guards.of("") == Guards.of({}) == Guards.of(None) == Guards()
