"""One parameter set under worse terms: dearer, later, and through the exchange's filters.

costs    fee and slippage a side at 0, half, once, 1.5, 2 and 3 times what was assumed
delays   every order one and two candles later than the next open, in the event-driven engine, at the
         worst price until then
filters  whole lots, ticks and the least notional, as the exchange takes orders
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workbench.analysis.robustness import break_even_cost
from workbench.backtest.event.market_model import MarketModel
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import run_set
from workbench.backtest.verdict.result import CostRow
from workbench.core.exits import UNIT_ATR, UNIT_PCT
from workbench.errors import WorkbenchError
from workbench.execution.exits import LEVELS, ExitsForm
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

COST_FACTORS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
DELAYS = (1, 2)
MOST_CANDLES_DELAYED = 30_000  # some 25 microseconds each in the event-driven engine


@dataclass(frozen=True, slots=True)
class Chosen:
    """A parameter set on its candles: the records of one set, shape (1,), and what it is run under."""

    candles: Candles
    spec: Spec
    record: np.ndarray
    exits: np.ndarray
    costs: Costs

    def run(self, costs: Costs | None = None) -> BacktestResult:
        """Run it, at other costs where some are given."""
        return run_set(
            self.candles,
            self.spec,
            self.record,
            self.exits,
            costs=costs or self.costs,
            trials=NOT_TRIALS,  # it looks harder at a choice that was made
        )


def at_costs(chosen: Chosen) -> tuple[CostRow, ...]:
    """Return what is left at each multiple of the assumed cost."""
    return tuple(
        _row(f"x {factor:g}", chosen.run(_times(chosen.costs, factor))) for factor in COST_FACTORS
    )


def break_even(chosen: Chosen) -> float:
    """Return the cost a side that the profit could bear: what a run without costs earns of what it trades.

    A run that compounds trades most when it has grown, so the true cost at which nothing is left lies
    above it where there was profit: the gate errs on the strict side.
    """
    free = chosen.run(_times(chosen.costs, 0.0))
    traded = float(free.fill_records["price"] @ free.fill_records["quantity"])
    return break_even_cost(float(free.curve["equity"][-1]) - chosen.costs.cash, traded)


def delayed(chosen: Chosen, delays: tuple[int, ...]) -> tuple[tuple[CostRow, ...], str]:
    """Return what is left when every order comes so many candles later, and why where nothing is said."""
    if not delays:
        return (), ""
    if len(chosen.candles) > MOST_CANDLES_DELAYED:
        return (), (
            f"delays were not tried: {len(chosen.candles):,} candles, at most "
            f"{MOST_CANDLES_DELAYED:,} in the event-driven engine"
        )
    from workbench.backtest.event.driven import event_driven

    costs, rows = replace(chosen.costs, filters="exchange"), []
    for candles in (0, *delays):
        model = MarketModel(latency_ms=candles * chosen.candles.timeframe.mean_ms)
        try:
            run = event_driven(
                chosen.candles,
                chosen.spec,
                costs=costs,
                model=model,
                exits=exits_form(chosen.exits[0]),
                trials=NOT_TRIALS,
                **chosen.spec.values(chosen.record[0]),
            )
        except WorkbenchError as error:
            return (), f"delays were not tried: {error}"
        rows.append(_row(f"+{candles}", run))
    return tuple(rows), ""


def through_filters(chosen: Chosen) -> tuple[BacktestResult | None, str]:
    """Return the set with the exchange's filters, and why where it cannot be run with them."""
    try:
        return chosen.run(replace(chosen.costs, filters="exchange")), ""
    except WorkbenchError as error:
        return None, f"with the exchange's filters it does not run: {error}"


def exits_form(exits: np.ndarray) -> ExitsForm:
    """Return an EXITS record as a caller writes it, with all its digits."""
    form: dict[str, str | float | int] = {}
    for name in LEVELS:
        value, unit = float(exits[name]["value"]), int(exits[name]["unit"])
        if value:
            texts = {UNIT_PCT: f"{value * 100!r}%", UNIT_ATR: f"{value!r}atr"}
            form[name] = texts.get(unit, value)
    if form:
        form["atr_period"] = int(exits["atr_period"])
    if exits["time_stop_bars"]:
        form["time_stop"] = int(exits["time_stop_bars"])
    return form


def _times(costs: Costs, factor: float) -> Costs:
    return replace(costs, fee_bps=costs.fee_bps * factor, slippage_bps=costs.slippage_bps * factor)


def _row(label: str, run: BacktestResult) -> CostRow:
    return CostRow(
        label=label,
        total_return=_number(run.metrics["total_return"]),
        sharpe=_number(run.metrics["sharpe"]),
        trades=int(run.metrics["trades"] or 0),
    )


def _number(value: float | int | bool | None) -> float | None:
    return None if value is None else float(value)
