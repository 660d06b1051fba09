"""The reference: the same decision through backtrader, an engine that is not ours, to cross-check.

backtrader keeps the account and fills the orders; the strategy decides on the same bytes as in
every other shell. How its ways are bent to the engine's rules:

    cheat-on-open   an order that was decided at a close is sized and sent in `next_open` of the next
                    tradable candle, and fills at that open, worsened by the slippage
    commission      the exchange takes a buy's fee from the base, backtrader from the cash: the size
                    is cut to the base that is kept, and the commission on it is
                    size x price x f / (1 - f), so that the quote spent and the base held agree
    feed            the candles are read from the numpy array; no pandas

Nothing is rounded (`filters="none"`). This is the only file that imports backtrader (GPL-3), which
is an optional part: `pip install "quant-workbench[reference]"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from workbench.backtest.recording import LEDGER, Recorder, counted
from workbench.backtest.results import BacktestResult, reasons_for
from workbench.backtest.round_trips import profits_of, round_trips
from workbench.backtest.scorecard import Span, score
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import Costs, demand_window
from workbench.backtest.single import warm_up_notes
from workbench.backtest.sweep import warm_starts
from workbench.core.account import FILL, is_there
from workbench.core.records import POSITION
from workbench.errors import UsageError
from workbench.execution.instance import Decider, next_target, written_target
from workbench.market.candles import Candles, sha256_of
from workbench.strategies.spec import Number, Spec

try:
    import backtrader as bt
except ImportError:
    raise UsageError(
        "engine 'backtrader' needs backtrader, which is not installed; "
        'run `pip install "quant-workbench[reference]"`, or use engine kernel or event'
    ) from None

_ROUNDING = 1e-12  # a buy of all cash is this share smaller, or a last digit too many refuses it
_CRUMBS = (
    1e-9  # cash below this share of the equity is what such a buy left: none, as in our account
)


class _Feed(bt.feed.DataBase):
    """The candles of the window, one by one, from their numpy records."""

    params = (("records", None),)

    def start(self) -> None:
        super().start()
        self._at = 0

    def _load(self) -> bool:
        if self._at == len(self.p.records):
            return False
        candle = self.p.records[self._at]
        opened = datetime.fromtimestamp(int(candle["open_time"]) / 1000, UTC).replace(tzinfo=None)
        self.lines.datetime[0] = bt.date2num(opened)
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self.lines, name)[0] = float(candle[name])
        self.lines.openinterest[0] = 0.0
        self._at += 1
        return True


class _Commission(bt.CommInfoBase):
    """A share of the asset received: on a buy the size is already net of it."""

    params = (("fee", 0.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        of_buy = self.p.fee / (1.0 - self.p.fee)
        return abs(size) * price * (of_buy if size > 0.0 else self.p.fee)


@dataclass(slots=True)
class _Wish:
    side: int
    amount: float  # quote to spend, or base to sell
    signal_index: int


class _Instance(bt.Strategy):
    """One instance: decides at the close, sends at the next tradable open."""

    params = (("decider", None), ("state", b""), ("candles", None), ("costs", None))

    def __init__(self) -> None:
        self.state = self.p.state
        self.curve = np.zeros(len(self.p.candles), EQUITY)
        self.fills: list[tuple[object, ...]] = []
        self.wish: _Wish | None = None
        self.sent: tuple[bt.Order, _Wish] | None = None
        self.last_target = np.nan  # none was written yet
        self.entry = self.realised = self.fees = 0.0
        self.bars_held = self.held = 0

    def next_open(self) -> None:
        candle = self._candle()
        if self.wish is None or candle["volume"] <= 0.0 or candle["missing_before"] != 0:
            return
        wish, self.wish = self.wish, None
        if wish.side > 0:
            costs = self.p.costs
            price = float(candle["open"]) * (1.0 + costs.slippage_bps / 1e4)
            kept = wish.amount / price * (1.0 - costs.fee_bps / 1e4) * (1.0 - _ROUNDING)
            self.sent = self.buy(size=kept, exectype=bt.Order.Market), wish
        else:
            self.sent = self.sell(size=wish.amount, exectype=bt.Order.Market), wish

    def next(self) -> None:
        self._book()
        t, close = self.p.candles.first + len(self.data) - 1, float(self.data.close[0])
        size, cash = self.position.size, self._cash(close)
        self.bars_held = self.bars_held + 1 if size else 0
        self.held += size > 0.0
        self.state, intent = self.p.decider.decide(
            self.state, self._candle().tobytes(), self._position(close)
        )
        equity = cash + size * close
        self.curve[len(self.data) - 1] = equity, cash, size, written_target(intent)
        target = next_target(self.last_target, intent)
        if target is not None:
            self.last_target = target
            self.wish = self._sized(target, equity, close, t)

    def _sized(self, target: float, equity: float, close: float, t: int) -> _Wish | None:
        size = self.position.size
        if is_there(target, equity, size * close):
            return None
        if target * equity > size * close:
            quote = min(target * equity - size * close, self._cash(close))
            return _Wish(1, quote, t) if quote > 0.0 else None
        base = size if target == 0.0 else min(size, size - target * equity / close)
        return _Wish(-1, base, t) if base > 0.0 else None

    def _book(self) -> None:
        """Note what backtrader made of the order that was sent at this candle's open."""
        if self.sent is None:
            return
        (order, wish), self.sent = self.sent, None
        done = order.executed
        if order.status != bt.Order.Completed:
            raise UsageError(
                f"backtrader did not fill an order at candle {len(self.data) - 1}: "
                f"{order.getstatusname()}; that is a fault of the reference, report it"
            )
        size, price, paid = abs(done.size), done.price, done.comm
        at, realised, fee = self.p.candles.first + len(self.data) - 1, 0.0, paid
        self.fees += paid
        if wish.side > 0:
            fee, before = paid / price, self.position.size - size
            self.entry = (self.entry * before + size * price + paid) / (before + size)
        else:
            realised = size * price - paid - self.entry * size
            self.realised += realised
        quantity = size + fee if wish.side > 0 else size
        self.fills.append(
            (at, wish.signal_index, wish.side, price, quantity, fee, 0, 0, realised, 0)
        )  # fmt: skip

    def _cash(self, close: float) -> float:
        cash = self.broker.get_cash()
        return cash if cash > _CRUMBS * self.position.size * close else 0.0

    def _candle(self) -> np.void:
        return self.p.candles.window[len(self.data) - 1]

    def _position(self, close: float) -> bytes:
        record = np.zeros(1, POSITION)
        size, cash = self.position.size, self._cash(close)
        record["quantity"], record["cash"], record["equity"] = size, cash, cash + size * close
        record["entry_price"] = self.entry if size else 0.0
        record["realised"], record["bars_held"] = self.realised, self.bars_held
        return record.tobytes()


def reference(
    candles: Candles,
    spec: Spec,
    *,
    costs: Costs | None = None,
    trials: Recorder = LEDGER,
    **params: Number,
) -> BacktestResult:
    """Run one parameter set through backtrader; it knows targets only, and no filters.

    Raises UsageError for bad parameters, an intent with exits or ladders or other filters than
    "none", DataError for candles that cannot be traded.
    """
    costs = costs or Costs()
    if costs.filters != "none":
        raise UsageError("backtrader knows no lots and ticks; use engine backtrader with 'none'")
    demand_window(candles)
    record = spec.params(**params)
    trials.ready()
    decider = Decider(spec, record)
    warm = int(warm_starts(candles, spec, record.reshape(1))[0])
    state = decider.warm_up(
        candles.records[warm : candles.first], decider.initial_state(), costs.cash
    )
    done = _run(candles, costs, decider, state)
    fills = np.array(done.fills, FILL)
    trades = round_trips(fills, step=0.0, last_close=float(candles.window["close"][-1]))
    metrics = score(
        Span.of(candles), costs.cash, done.curve, profits_of(trades),
        held=done.held, open_trade=bool(done.position.size), fees=done.fees,
    )  # fmt: skip
    result = BacktestResult(
        spec=spec,
        params=spec.values(record),
        candles=candles,
        costs=costs,
        engine="backtrader",
        metrics=metrics,
        reasons=reasons_for(metrics, candles),
        fill_records=fills,
        trip_records=trades,
        curve=done.curve,
        pending=done.wish is not None,
        data_sha256=sha256_of(candles.records[warm:]),
        notes=warm_up_notes(candles, spec, record.reshape(1)),
    )
    return counted(result, trials, rules=None, warm=warm)


def _run(candles: Candles, costs: Costs, decider: Decider, state: bytes) -> _Instance:
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True)
    cerebro.adddata(_Feed(records=candles.window))
    cerebro.addstrategy(_Instance, decider=decider, state=state, candles=candles, costs=costs)
    broker = cerebro.broker
    broker.set_cash(costs.cash)
    broker.set_coo(True)
    broker.set_checksubmit(False)  # it would check against a price without slippage
    broker.addcommissioninfo(_Commission(fee=costs.fee_bps / 1e4))
    broker.set_slippage_perc(
        costs.slippage_bps / 1e4, slip_open=True, slip_match=True, slip_out=True
    )
    return cerebro.run()[0]
