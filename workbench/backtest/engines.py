"""The engines of a single backtest by name, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.backtest.event.market_model import AT_ONCE, MarketModel
from workbench.backtest.recording import LEDGER, Recorder
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm
from workbench.market.candles import Candles
from workbench.strategies.spec import Number, Spec

ENGINES = ("kernel", "event", "backtrader")


def run_engine(
    engine: str,
    candles: Candles,
    spec: Spec,
    *,
    costs: Costs,
    params: Mapping[str, Number],
    model: MarketModel = AT_ONCE,
    exits: ExitsForm = None,
    trials: Recorder = LEDGER,
) -> BacktestResult:
    """Backtest one parameter set with an engine.

    Raises UsageError for an unknown engine or for what it does not know, and whatever the engine does.
    """
    if engine != "event" and model != AT_ONCE:
        raise UsageError(
            f"engine {engine!r} fills at once and in any size; for latency_ms, volume_share, orders and "
            "maker_fee_bps use engine 'event'"
        )
    if engine == "kernel":
        return backtest(candles, spec, costs=costs, exits=exits, trials=trials, **params)
    if engine == "event":
        from workbench.backtest.event.driven import event_driven

        return event_driven(
            candles, spec, costs=costs, model=model, exits=exits, trials=trials, **params
        )
    if engine == "backtrader":
        if exits or costs.guards.is_any:
            raise UsageError("backtrader runs without exits and guards; use kernel or event")
        from workbench.backtest.reference import reference

        return reference(candles, spec, costs=costs, trials=trials, **params)
    raise UsageError(f"unknown engine {engine!r}; use one of {', '.join(ENGINES)}")
