"""The event-driven backtest: candle by candle, order by order, through the matching engine.

It drives exactly what trades live: the decision as bytes, the sizing, the exchange's matching
engine and the ledger. After the close of candle t the market stands at the open of t + 1, worsened
by slippage, and an order that was decided at t is sent then; where that candle is not tradable the
order waits. It is slower than the kernel by three orders of magnitude and there to prove it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.analysis import metrics
from workbench.backtest.results import (
    METRIC_COLUMNS,
    BacktestResult,
    equity_frame,
    fills_frame,
    reasons_for,
)
from workbench.backtest.round_trips import round_trips
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import (
    Costs,
    demand_window,
    sample_ends,
    samples_a_year,
    trading_rules,
    window_days,
)
from workbench.backtest.single import warm_up_notes
from workbench.backtest.sweep import warm_starts
from workbench.core.account import FILL
from workbench.core.costs import SCALE, buy_ticks, sell_ticks
from workbench.errors import UsageError
from workbench.execution.instance import Decider, next_target, written_target
from workbench.execution.ledger import Fill, Ledger
from workbench.execution.matching import MatchingEngine
from workbench.execution.orders import NewOrder, OrderType, Rejected, Side
from workbench.execution.rebalance import MarketBuy, MarketSell, Refused, plan
from workbench.market.candles import Candles, sha256_of
from workbench.market.instruments import Instrument
from workbench.strategies.spec import Number, Spec

NAME = "backtest"
DEPTH_LOTS = 10**15  # the market takes any size; a cap by volume share is the caller's to set


@dataclass(slots=True)
class _Waiting:
    order: MarketBuy | MarketSell
    signal_index: int


class _Shell:
    """One instance, one account, one market: what the loop below moves along."""

    def __init__(self, candles: Candles, costs: Costs, rules: Instrument) -> None:
        self.candles, self.costs, self.rules = candles, costs, rules
        self.ledger = Ledger()
        cash_e8 = round(costs.cash * SCALE)
        self.ledger.open_instance(NAME, cash_e8, rules)
        self.market = MatchingEngine({rules.symbol: rules}, costs.rate_e8, costs.rate_e8)
        self.market.deposit(NAME, rules.quote, cash_e8)
        self.waiting: _Waiting | None = None
        self.fills: list[tuple[object, ...]] = []
        self.refused = 0
        self.held = 0

    def stand_at_open(self, t: int) -> None:
        """Move the market to the open of candle t, as the local exchange does in step pace."""
        candle = self.candles.records[t]
        price = float(candle["open"])
        slippage, tick = self.costs.slippage_bps, self.rules.tick_e8
        self.market.stand_at(
            self.rules.symbol,
            sell_ticks(price, slippage, tick),
            buy_ticks(price, slippage, tick),
            DEPTH_LOTS,
            int(candle["open_time"]),
        )

    def send_waiting(self, t: int) -> None:
        """Send the order that waits, if candle t is tradable."""
        candle = self.candles.records[t]
        if self.waiting is None or candle["volume"] <= 0.0 or candle["missing_before"] != 0:
            return
        waiting, self.waiting = self.waiting, None
        buys = isinstance(waiting.order, MarketBuy)
        new = NewOrder(
            account=NAME,
            symbol=self.rules.symbol,
            side=Side.BUY if buys else Side.SELL,
            order_type=OrderType.MARKET,
            quote_e8=waiting.order.quote_e8 if isinstance(waiting.order, MarketBuy) else 0,
            quantity_e8=waiting.order.qty_e8 if isinstance(waiting.order, MarketSell) else 0,
        )
        try:
            executions = self.market.place(new, int(candle["open_time"])).executions
        except Rejected:
            self.refused += 1
            return
        for one in executions:
            before = self.ledger.account(NAME).realised
            self.ledger.book_fill(
                Fill(
                    instance=NAME,
                    symbol=one.symbol,
                    trade_id=one.trade_id,
                    order_id=one.order_id,
                    client_order_id=str(one.order_id),
                    side="BUY" if buys else "SELL",
                    price_e8=one.price_ticks * self.rules.tick_e8,
                    qty_e8=one.lots * self.rules.step_e8,
                    commission_e8=one.commission_e8,
                    commission_asset=one.commission_asset,
                    time_ms=one.time_ms,
                )
            )
            realised = self.ledger.account(NAME).realised - before
            price = one.price_ticks * self.rules.tick_e8 / SCALE
            quantity = one.lots * self.rules.step_e8 / SCALE
            fee = one.commission_e8 / SCALE
            self.fills.append(
                (t, waiting.signal_index, 1 if buys else -1, price, quantity, fee, one.price_ticks,
                 one.lots, 0.0 if buys else realised)
            )  # fmt: skip

    def act(self, target: float, t: int) -> None:
        """Size the order for a new target at the close of candle t; an older one that waits dies."""
        self.waiting = None
        close = float(self.candles.records["close"][t])
        order = plan(target, account=self.ledger.account(NAME), close=close)
        if isinstance(order, Refused):
            self.refused += 1
        elif isinstance(order, MarketBuy | MarketSell):
            self.waiting = _Waiting(order, t)


def event_driven(
    candles: Candles, spec: Spec, *, costs: Costs | None = None, **params: Number
) -> BacktestResult:
    """Run one parameter set through the matching engine; needs `filters="exchange"`.

    Raises UsageError for bad parameters, an impossible intent or other filters, DataError for
    candles that cannot be traded.
    """
    costs = costs or Costs(filters="exchange")
    rules, notes = trading_rules(candles, costs)
    if rules is None:
        raise UsageError("the event engine trades through the exchange's filters; use 'exchange'")
    demand_window(candles)
    record = spec.params(**params)
    decider = Decider(spec, record)
    warm = int(warm_starts(candles, spec, record.reshape(1))[0])
    state = decider.warm_up(
        candles.records[warm : candles.first], decider.initial_state(), costs.cash
    )
    shell = _Shell(candles, costs, rules)
    curve = np.zeros(len(candles), EQUITY)
    last_target = 0.0
    for t in range(candles.first, len(candles.records)):
        shell.stand_at_open(t)
        shell.send_waiting(t)
        candle = candles.records[t]
        close = float(candle["close"])
        shell.ledger.end_candle(NAME)
        account = shell.ledger.account(NAME)
        shell.held += account.is_open
        position = shell.ledger.position_bytes(NAME, close)
        state, intent = decider.decide(state, candle.tobytes(), position)
        target = next_target(last_target, intent)
        curve[t - candles.first] = (
            account.equity(close), account.cash, account.quantity, written_target(intent)
        )  # fmt: skip
        if target is not None:
            last_target = target
            shell.act(target, t)
    shell.ledger.check_conservation()
    return _result(shell, spec, record, curve, sha256_of(candles.records[warm:]), notes)


def _result(
    shell: _Shell,
    spec: Spec,
    record: np.ndarray,
    curve: np.ndarray,
    data_sha256: str,
    notes: tuple[str, ...],
) -> BacktestResult:
    candles, costs = shell.candles, shell.costs
    fills = np.array(shell.fills, FILL)
    frame = fills_frame(fills, candles)
    trades = round_trips(
        frame, step=shell.rules.step_e8 / SCALE, last_close=float(candles.window["close"][-1])
    )
    closed = trades.filter(~trades["is_open"])["pnl"].to_numpy()
    equity, days = curve["equity"], window_days(candles)
    ends = sample_ends(candles)[candles.first :].astype(bool)
    returns = metrics.returns_of(costs.cash, equity[ends])
    yearly = samples_a_year(candles.timeframe)
    growth = metrics.cagr(float(equity[-1] / costs.cash), days)
    drawdown = metrics.max_drawdown(costs.cash, equity)
    values: dict[str, float | int | bool] = {
        "final_equity": float(equity[-1]),
        "total_return": float(equity[-1] / costs.cash - 1.0),
        "cagr": growth,
        "sharpe": metrics.sharpe(returns, yearly),
        "sortino": metrics.sortino(returns, yearly),
        "calmar": growth / -drawdown if drawdown < 0.0 else float("nan"),
        "max_drawdown": drawdown,
        "trades": len(closed),
        "open_trade": shell.ledger.account(NAME).is_open,
        "win_rate": metrics.win_rate(closed),
        "profit_factor": metrics.profit_factor(closed),
        "exposure": shell.held / len(candles),
        "fees": shell.ledger.account(NAME).fees,
        "bars": len(candles),
    }
    plain = {n: None if values[n] != values[n] else values[n] for n in METRIC_COLUMNS}
    return BacktestResult(
        spec=spec,
        params=spec.values(record),
        candles=candles,
        costs=costs,
        engine="event",
        metrics=plain,
        reasons=reasons_for(plain, candles),
        fills=frame,
        trades=trades,
        equity=equity_frame(curve, candles, costs),
        pending=shell.waiting is not None,
        data_sha256=data_sha256,
        notes=notes + warm_up_notes(candles, spec, record.reshape(1)),
    )
