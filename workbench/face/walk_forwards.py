"""What notebooks call for walk-forwards: candles and axes in, what lasted out of sample out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench.backtest.grids import Grid
from workbench.backtest.setting import (
    DEFAULT_CASH,
    DEFAULT_FEE_BPS,
    DEFAULT_SLIPPAGE_BPS,
    Costs,
    Filters,
)
from workbench.backtest.walk_forward import walk as walking
from workbench.backtest.walk_forward.choosing import Choose
from workbench.backtest.walk_forward.folds import Length
from workbench.backtest.walk_forward.result import WalkForwardResult
from workbench.execution.exits import ExitsForm
from workbench.execution.guards import Guards, GuardsForm
from workbench.face.research import candles_of, demand_strategy
from workbench.market.candles import Candles
from workbench.strategies.spec import Axis, Spec

if TYPE_CHECKING:
    from distributed import Client

    from workbench.report.charts import Chart

__all__ = ["WalkForward", "walk_forward"]


class WalkForward(WalkForwardResult):
    """A walk-forward that can draw itself."""

    def chart(self) -> Chart:
        """Draw the equity of all test windows beside holding, with a line where each fold ends."""
        from workbench.report.walk_forward_card import walk_forward_chart

        return walk_forward_chart(self)

    def _repr_html_(self) -> str:
        from workbench.report.walk_forward_card import walk_forward_card

        return walk_forward_card(self)


def walk_forward(
    candles: Candles | pl.DataFrame,
    strategy: Spec,
    *,
    train: Length | None = None,
    test: Length | None = None,
    folds: int | None = None,
    anchored: bool = False,
    metric: str = "sharpe",
    choose: Choose = "peak",
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    cash: float = DEFAULT_CASH,
    filters: Filters = "none",
    exits: ExitsForm = None,
    guards: GuardsForm = None,
    fine: Candles | pl.DataFrame | None = None,
    progress: bool = True,
    on: Client | None = None,
    **axes: Axis,
) -> WalkForward:
    """Choose a set of the axes on each train window, and look at what it earns on the test window behind.

    Windows are `train` and `test` long, candles (4000) or days ("180d"), one of them enough: train is four
    times test; without them there are five `folds`, or as many as given, over all candles. They roll
    on, or grow from the first candle where `anchored`. The set with the highest `metric` is chosen, or
    with choose="plateau" the one whose neighbours have the highest median. Each fold begins flat, and at
    its end sells what it holds, at the usual cost. The rest is as in `sweep`. Raises UsageError for what
    cannot be, or where no set of a fold has the metric, DataError for candles that are bad or too few.
    """
    costs = Costs(fee_bps, slippage_bps, cash, filters, Guards.of(guards))
    demand_strategy(strategy)
    result = walking.walk_forward(
        candles_of(candles, fine),
        strategy,
        Grid.of(strategy, axes, exits).all(),
        train=train,
        test=test,
        folds=folds,
        anchored=anchored,
        metric=metric,
        choose=choose,
        costs=costs,
        on=on,
        progress=progress,
    )
    return WalkForward(**vars(result))
