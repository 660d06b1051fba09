"""What the end of a fold does: all that is held is sold at the last close, at the usual cost.

A fold is an instance of its own. It begins flat with the cash that the fold before it left, and what it
holds at its last close is sold there as a market order would be: worsened by the slippage, to a tick with
the exchange's filters, fee paid; dust below a lot too, so that nothing is carried over. An order that waits
for the next open, and the rungs of a ladder, die.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.backtest.frames import REASON_FOLD_END
from workbench.backtest.results import BacktestResult, reasons_for
from workbench.backtest.round_trips import profits_of, round_trips
from workbench.backtest.scorecard import Span, score
from workbench.backtest.setting import Costs, trading_rules
from workbench.core import money
from workbench.core.account import FILL, ROUNDING
from workbench.market.instruments import Instrument


def closed_at_end(run: BacktestResult) -> BacktestResult:
    """Return a run as it is after the sale at its last close; its metrics tell of that."""
    candles, costs = run.candles, run.costs
    rules, _ = trading_rules(candles, costs)
    close, held = float(candles.window["close"][-1]), float(run.curve["quantity"][-1])
    curve, fills, fees = run.curve.copy(), run.fill_records, float(run.metrics["fees"] or 0.0)
    if held * close > ROUNDING * float(curve["equity"][-1]):
        sale = _sale(fills, held, close, costs, rules)
        sale["index"] = sale["signal_index"] = len(candles.records) - 1
        fills = np.concatenate([fills, sale])
        cash = float(curve["cash"][-1] + sale["price"][0] * held - sale["fee"][0])
        curve["cash"][-1] = round(cash * money.SCALE) / money.SCALE if rules else cash
        fees += float(sale["fee"][0])
    curve["equity"][-1], curve["quantity"][-1] = curve["cash"][-1], 0.0
    step = rules.step_e8 / money.SCALE if rules else 0.0
    trips = round_trips(fills, step=step, last_close=close)
    metrics = score(
        Span.of(candles), costs.cash, curve, profits_of(trips),
        held=held_bars(run), open_trade=False, fees=fees,
    )  # fmt: skip
    return replace(
        run,
        fill_records=fills,
        trip_records=trips,
        curve=curve,
        metrics=metrics,
        reasons=reasons_for(metrics, candles),
        pending=False,
    )


def held_bars(run: BacktestResult) -> int:
    """Return how many bars of a run had a position."""
    return round(float(run.metrics["exposure"] or 0.0) * len(run.curve))


def _sale(
    fills: np.ndarray, held: float, close: float, costs: Costs, rules: Instrument | None
) -> np.ndarray:
    """Return the FILL (shape (1,)) that sells all that is held."""
    sale = np.zeros(1, FILL)
    price = money.worsened_sell(close, costs.slippage_bps)
    fee = price * held * costs.fee_bps / money.BPS
    if rules is not None:
        sale["ticks"] = ticks = money.ticks_below(price, rules.tick_e8)
        sale["lots"] = round(held * money.SCALE) // rules.step_e8
        price = ticks * rules.tick_e8 / money.SCALE
        value_e8 = round(held * money.SCALE) * ticks * rules.tick_e8 // money.SCALE
        fee = money.commission_e8(value_e8, costs.rate_e8) / money.SCALE
    sale["side"], sale["price"], sale["quantity"], sale["fee"] = -1, price, held, fee
    sale["realised"] = price * held - fee - _paid_a_unit(fills) * held
    sale["reason"] = REASON_FOLD_END
    return sale


def _paid_a_unit(fills: np.ndarray) -> float:
    """Return what the position that these fills leave has cost a unit, fee included."""
    held = paid = 0.0
    for fill in fills:
        quantity, fee = float(fill["quantity"]), float(fill["fee"])
        if fill["side"] > 0:
            kept = quantity - fee
            paid = (paid * held + quantity * float(fill["price"])) / (held + kept)
            held += kept
        else:
            held = max(0.0, held - quantity)
    return paid
