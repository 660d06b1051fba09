"""What notebooks call to check for bias: a strategy, or a function over a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.bias import BiasReport
from workbench.backtest.bias.check import check_bias
from workbench.backtest.setting import Costs
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm
from workbench.execution.guards import Guards, GuardsForm
from workbench.face.research import candles_of
from workbench.market.candles import Candles
from workbench.strategies.spec import Number, Spec

if TYPE_CHECKING:
    import polars as pl

    from workbench.analysis.vector_bias import Known

__all__ = ["Bias", "bias"]


class Bias(BiasReport):
    """A report on bias that can draw itself."""

    def _repr_html_(self) -> str:
        from workbench.report.bias_card import bias_card

        return bias_card(self)


def bias(
    candles: Candles | pl.DataFrame,
    strategy: Spec | Callable[..., object],
    *,
    exits: ExitsForm = None,
    guards: GuardsForm = None,
    inputs: Mapping[str, Candles | pl.DataFrame] | None = None,
    warm_up: int | None = None,
    **params: Number,
) -> Bias:
    """Check whether decisions know what comes after them, and whether they depend on their start.

    `strategy` is a strategy with its parameters, or a function `frame -> series, array or frame` that
    gives a value for each candle (parameters are passed on to it). A function may take other series by
    name: with `inputs={"days": candles}` it is called as `function(frame, days=frame)`, and a day is
    known when it has closed. `warm_up` says how many candles its values need; a strategy declares that
    itself. `exits` and `guards` are as in `backtest`. `.passed`, `.verdict`, `.frame` and
    `.warm_up_frame` tell what came out. Raises UsageError for bad parameters, or a function that fails.
    """
    series = candles_of(candles)
    if isinstance(strategy, Spec):
        if inputs is not None or warm_up is not None:
            raise UsageError(
                "inputs= and warm_up= are for functions; a strategy sees its candles alone and declares "
                "its own warm-up"
            )
        costs = Costs(guards=Guards.of(guards))
        return Bias(**vars(check_bias(series, strategy, params, costs=costs, exits=exits)))
    if not callable(strategy):
        raise UsageError(f"{strategy!r} is no strategy and no function; give wb.strategies.macd")
    if exits or guards:
        raise UsageError("exits= and guards= are for strategies; a function places no orders")
    from workbench.analysis.vector_bias import check_function

    name = getattr(strategy, "__name__", type(strategy).__name__)
    report = check_function(
        _known(candles),
        partial(strategy, **params) if params else strategy,
        inputs={key: _known(one) for key, one in (inputs or {}).items()},
        warm_up=warm_up,
        title=f"{name} on {series.symbol} {series.timeframe}, {len(series):,} candles",
        source=series.source,
    )
    return Bias(**vars(report))


def _known(candles: Candles | pl.DataFrame) -> Known:
    """Return the window as a frame, with when each candle has closed; a frame keeps all its columns."""
    from workbench.analysis.vector_bias import Known

    series = candles_of(candles)
    frame = series.frame() if isinstance(candles, Candles) else candles
    times = series.window["open_time"]
    closes = [series.timeframe.next(int(one)) for one in times]
    return Known(frame, np.array(closes, np.int64))
