"""What a rung's order has traded since its ladder last looked: amounts that its answer depends on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.exchanges.base import Side
from bridge.journal_rows import FillRow
from workbench.market.instruments import SCALE


@dataclass(frozen=True, slots=True)
class News:
    """Trades of one order that the ladder has not taken in; deltas at 1e-8, by the last trade."""

    trade_id: int
    seq: int
    quantity_e8: int
    kept_e8: int
    cash_e8: int
    base_e8: int


def news_of(seq: int, fills: Iterable[FillRow], seen_e8: int, *, base: str) -> News:
    """Sum up an order's fills, in the order in which they were booked, after what was seen of them."""
    quantity_e8 = kept_e8 = cash_e8 = base_e8 = trade_id = 0
    for fill in fills:
        if seen_e8 > 0:
            seen_e8 -= fill.quantity_e8
            continue
        in_base = fill.commission_asset == base
        fee_base = fill.commission_e8 if in_base else 0
        value_e8 = fill.price_e8 * fill.quantity_e8 // SCALE
        bought = fill.side is Side.BUY
        quantity_e8 += fill.quantity_e8
        kept_e8 += fill.quantity_e8 - fee_base if bought else 0
        cash_e8 += -value_e8 if bought else value_e8 - (0 if in_base else fill.commission_e8)
        base_e8 += fill.quantity_e8 - fee_base if bought else -fill.quantity_e8
        trade_id = fill.trade_id
    return News(trade_id, seq, quantity_e8, kept_e8, cash_e8, base_e8)
