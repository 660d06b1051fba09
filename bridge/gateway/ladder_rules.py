"""What the exchange would refuse of a ladder, said before the instance starts.

The strategy is asked once, flat and with its capital, what it would rest at the newest close
(`first_intents`). What it rests later is refused order by order, with an alarm.
"""

from __future__ import annotations

import numpy as np

from bridge.exchanges.base import OrderRules
from workbench.core.records import INTENT
from workbench.errors import UsageError
from workbench.market.instruments import SCALE, Instrument, from_e8


def demand_ladder_that_can_rest(
    intent: bytes, instrument: Instrument, rules: OrderRules, price: float
) -> None:
    """Raise UsageError for the first rung that the symbol's filters refuse at this market price."""
    record = np.frombuffer(intent, INTENT)[0]
    rungs = record["ladder"][: int(record["n_ladder"])]
    if rules.most_orders and len(rungs) > rules.most_orders:
        raise UsageError(
            f"a ladder of {len(rungs)} orders: {instrument.symbol} takes {rules.most_orders} open orders "
            "(MAX_NUM_ORDERS); use fewer rungs"
        )
    for rung in rungs:
        _demand_size(rung, instrument)
        _demand_band(rung, instrument, rules, price)


def _demand_size(rung: np.void, one: Instrument) -> None:
    value_e8 = round(float(rung["quote"]) * SCALE)
    lots = int(float(rung["quote"]) / float(rung["price"]) * SCALE) // one.step_e8
    worth_e8 = round(lots * one.step_e8 * float(rung["price"]))
    if lots * one.step_e8 < one.min_qty_e8 or worth_e8 < one.min_notional_e8:
        raise UsageError(
            f"rung {rung['id']} at {rung['price']:g} is worth {from_e8(value_e8)} {one.quote}: below the "
            f"exchange's minimum of {from_e8(one.min_notional_e8)} {one.quote} (MIN_NOTIONAL) and "
            f"{from_e8(one.min_qty_e8)} {one.base} (LOT_SIZE); use fewer rungs or more capital"
        )


def _demand_band(rung: np.void, one: Instrument, rules: OrderRules, price: float) -> None:
    low, high = rules.buy_band if rung["side"] > 0 else rules.sell_band
    if not low * price <= float(rung["price"]) <= high * price:
        raise UsageError(
            f"rung {rung['id']} at {rung['price']:g} lies outside {low * price:g} to {high * price:g}, what "
            f"{one.symbol} takes at a price of {price:g} (PERCENT_PRICE); bring it nearer"
        )
