"""A tape of recorded trades: the prints are those of the exchange, candles are cut from them.

Ids, times, prices, quantities and values are the recording's own. A candle of `timeframe` holds the
trades of its span; spans without a trade have no candle, as nothing was recorded. A candle closes
when the next one opens: its last trade alone does not tell that no other follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.errors import DataError
from workbench.execution.matching.tape import Tape
from workbench.market.timeframes import Timeframe


@dataclass(frozen=True)
class RecordedTrades:
    """Columns of trades in order; amounts at 1e-8, times in milliseconds."""

    ids: np.ndarray
    time_ms: np.ndarray
    price_e8: np.ndarray
    quantity_e8: np.ndarray
    quote_e8: np.ndarray
    buyer_takes: np.ndarray


class TradesTape(Tape):
    """The prints of one symbol's recorded trades."""

    is_path = False

    def __init__(self, symbol: str, timeframe: Timeframe, trades: RecordedTrades) -> None:
        _demand_order(symbol, trades)
        opened = np.array([timeframe.floor(int(at)) for at in trades.time_ms], dtype=np.int64)
        self.symbol = symbol
        self.timeframe = timeframe
        self.open_ms, first = np.unique(opened, return_index=True)
        self.first = np.append(first, len(opened))
        self.ids = trades.ids
        self.time_ms = trades.time_ms
        self.price_e8 = trades.price_e8
        self.quantity_e8 = trades.quantity_e8
        self.quote_e8 = trades.quote_e8
        self.buyer_takes = trades.buyer_takes
        self.candle_volume_e8 = np.add.reduceat(trades.quantity_e8, first)


def _demand_order(symbol: str, trades: RecordedTrades) -> None:
    """Refuse what no exchange can have recorded."""
    if not len(trades.ids):
        raise DataError(f"{symbol}: no trades to replay")
    for name, wrong in (
        ("its id does not follow the one before", np.flatnonzero(np.diff(trades.ids) <= 0) + 1),
        ("it is earlier than the one before", np.flatnonzero(np.diff(trades.time_ms) < 0) + 1),
        ("its price is not above 0", np.flatnonzero(trades.price_e8 <= 0)),
        ("its quantity is not above 0", np.flatnonzero(trades.quantity_e8 <= 0)),
    ):
        if len(wrong):
            at = int(wrong[0])
            raise DataError(
                f"{symbol}: trade {trades.ids[at]} in row {at + 1}: {name}; the file is damaged, "
                "take it again from its source"
            )
