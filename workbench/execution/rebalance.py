"""From a target to an order: the same arithmetic as the kernel's, on exact amounts.

A buy is an amount of quote (MARKET with quoteOrderQty), a sale a number of lots (MARKET with
quantity), both sized at the close of the signal candle.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.account import (
    buy_is_too_small,
    is_there,
    lots_to_sell,
    quote_to_spend_e8,
    sell_is_too_small,
)
from workbench.execution.ledger import LedgerAccount
from workbench.market.instruments import from_e8


@dataclass(frozen=True, slots=True)
class MarketBuy:
    """Spend this much quote (at 1e-8) at market."""

    quote_e8: int


@dataclass(frozen=True, slots=True)
class MarketSell:
    """Sell this many lots at market; `qty_e8` is the same at 1e-8."""

    lots: int
    qty_e8: int


@dataclass(frozen=True, slots=True)
class Refused:
    """No order, and why; the target is spent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """The position already is what the target asks for."""


Plan = MarketBuy | MarketSell | Refused | Nothing


def plan(target: float, *, account: LedgerAccount, close: float) -> Plan:
    """Return the order that moves an account towards `target` (0..1 of its equity at `close`)."""
    equity = account.equity(close)
    value = account.quantity * close
    if is_there(target, equity, value):
        return Nothing()
    if target * equity > value:
        free_e8 = account.cash_e8 - account.cash_locked_e8
        quote_e8 = quote_to_spend_e8(target, equity, value, free_e8)
        return _buy(quote_e8, account, close)
    if not account.is_open:
        return Nothing()
    lots = lots_to_sell(
        account.base_e8,
        account.base_locked_e8,
        target,
        equity,
        close,
        account.instrument.step_e8,
    )
    return _sell(lots, account, close)


def _buy(quote_e8: int, account: LedgerAccount, close: float) -> Plan:
    one = account.instrument
    if buy_is_too_small(quote_e8, close, one.min_qty_e8, one.min_notional_e8):
        return Refused(
            f"buy of {from_e8(quote_e8)} {one.quote} is below the exchange's minimum: notional "
            f"{from_e8(one.min_notional_e8)} {one.quote}, quantity {from_e8(one.min_qty_e8)} {one.base}"
        )
    return MarketBuy(quote_e8) if quote_e8 > 0 else Nothing()


def _sell(lots: int, account: LedgerAccount, close: float) -> Plan:
    one = account.instrument
    qty_e8 = lots * one.step_e8
    if sell_is_too_small(qty_e8, close, one.min_qty_e8, one.min_notional_e8):
        return Refused(
            f"sale of {from_e8(qty_e8)} {one.base} at {close} is below the exchange's minimum: notional "
            f"{from_e8(one.min_notional_e8)} {one.quote}, quantity {from_e8(one.min_qty_e8)} {one.base}"
        )
    return MarketSell(lots, qty_e8)
