"""The way along a candle in the event-driven backtest, where a ladder rests: O-L-H-C, or its finer candles'."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from workbench.backtest.overlay import Overlay
from workbench.market.candles import Candles

LEGS = ("low", "high", "close")


class Path:
    """The prices of each candle in order, as its finer ones tell them where those go to both its ends.

    `fills()` counts what has filled so far: a part in which that happened on more than one of its legs
    leaves open what came first, and its candle is counted in `ambiguous`.
    """

    def __init__(self, candles: Candles, overlay: Overlay, fills: Callable[[], int]) -> None:
        self._candles, self._overlay, self._fills = candles, overlay, fills
        self.ambiguous = 0

    @property
    def is_finer(self) -> bool:
        """Return whether there are finer candles; a hair's breadth they may lie outside their own."""
        return len(self._overlay.offsets) > 0

    def prices(self, t: int) -> Iterator[tuple[float, bool]]:
        """Yield (price, whether a finer candle opens there) after the open of candle t."""
        unclear = False
        for i, part in enumerate(self._parts(t)):
            if not _trades(part):
                continue
            if i > 0:
                yield float(part["open"]), True
            legs = 0
            for leg in LEGS:
                before = self._fills()
                yield float(part[leg]), False
                legs += self._fills() > before
            unclear |= legs > 1
        self.ambiguous += unclear

    def _parts(self, t: int) -> np.ndarray:
        candle, offsets = self._candles.records[t], self._overlay.offsets
        if len(offsets):
            parts = self._overlay.fine[offsets[t] : offsets[t + 1]]
            traded = parts[_trades(parts)]
            deep = len(traded) and traded["low"].min() <= candle["low"]
            if deep and traded["high"].max() >= candle["high"]:
                return parts
        return self._candles.records[t : t + 1]


def _trades(candles: np.ndarray | np.void) -> np.ndarray:
    found: np.ndarray = (candles["volume"] > 0.0) & (candles["missing_before"] == 0)
    return found
