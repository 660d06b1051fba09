"""The event-driven backtest: candle by candle, order by order, through the matching engine.

It drives exactly what trades live: the compiled decision, the sizing, the exchange's matching
engine and the ledger. After the close of candle t the market stands at the open of t + 1, worsened
by slippage, and an order that was decided at t is sent then; where that candle is not tradable the
order waits. It is slower than the kernel by three orders of magnitude and there to prove it, and to
show what latency, thin volume and resting orders would change (`MarketModel`).
"""

from __future__ import annotations

import numpy as np

from workbench.backtest.event.instance import EventInstance
from workbench.backtest.event.market import EventMarket
from workbench.backtest.event.market_model import AT_ONCE, MarketModel
from workbench.backtest.overlay import first_record
from workbench.backtest.recording import LEDGER, Recorder, counted
from workbench.backtest.results import BacktestResult, reasons_for
from workbench.backtest.round_trips import profits_of, round_trips
from workbench.backtest.scorecard import Span, score
from workbench.backtest.setting import Costs, demand_window, trading_rules
from workbench.backtest.single import warm_up_notes
from workbench.core.account import FILL
from workbench.core.costs import SCALE
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm, exits_of
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument
from workbench.strategies.spec import Number, Spec

NAME = "backtest"


def event_driven(
    candles: Candles,
    spec: Spec,
    *,
    costs: Costs | None = None,
    model: MarketModel = AT_ONCE,
    exits: ExitsForm = None,
    trials: Recorder = LEDGER,
    **params: Number,
) -> BacktestResult:
    """Run one parameter set through the matching engine; needs `filters="exchange"`.

    Raises UsageError for bad parameters, an impossible intent or other filters, DataError for
    candles that cannot be traded.
    """
    costs = costs or Costs(filters="exchange")
    rules, notes = exchange_rules(candles, costs)
    record = spec.params(**params)
    trials.ready()
    market = EventMarket({rules.symbol: rules}, costs, model)
    one = EventInstance(
        NAME, candles, spec, record, rules, market, capital=costs.cash, exits=exits_of(exits)
    )
    for t in range(candles.first, len(candles.records)):
        one.trade(t)
        one.close(t)
    market.ledger.check_conservation()
    result = result_of(one, candles, costs, notes=(*notes, *model.said()))
    other = "" if model == AT_ONCE else repr(model)
    return counted(result, trials, rules=rules, warm=one.warm, model=other)


def exchange_rules(candles: Candles, costs: Costs) -> tuple[Instrument, tuple[str, ...]]:
    """Return the instrument that applies and what must be said about it.

    Raises UsageError without the exchange's filters, DataError where the window is too short.
    """
    rules, notes = trading_rules(candles, costs)
    if rules is None:
        raise UsageError("the event engine trades through the exchange's filters; use 'exchange'")
    demand_window(candles)
    return rules, notes


def result_of(
    one: EventInstance, candles: Candles, costs: Costs, *, notes: tuple[str, ...]
) -> BacktestResult:
    """Return what an instance did as a backtest; `costs` with the instance's own capital as cash."""
    account = one.market.ledger.account(one.name)
    begin, curve = first_record(candles, one.levels, costs.guards, one.warm), one.curve()
    fills = np.array(one.fills, FILL)
    trades = round_trips(
        fills, step=one.rules.step_e8 / SCALE, last_close=float(candles.window["close"][-1])
    )
    metrics = score(
        Span.of(candles), costs.cash, curve, profits_of(trades),
        held=one.held, open_trade=account.is_open, fees=account.fees,
    )  # fmt: skip
    return BacktestResult(
        spec=one.spec,
        params=one.spec.values(one.record),
        candles=candles,
        costs=costs,
        engine="event",
        metrics=metrics,
        reasons=reasons_for(metrics, candles),
        fill_records=fills,
        trip_records=trades,
        curve=curve,
        pending=one.waiting is not None,
        data_sha256=candles.used_sha256(begin),
        exits=one.levels,
        ambiguous=one.ambiguous,
        guarded=one.guards.count,
        notes=notes + warm_up_notes(candles, one.spec, one.record.reshape(1)),
    )
