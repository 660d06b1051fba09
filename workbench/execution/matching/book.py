"""The resting orders of users, in price-time priority on integer ticks.

The book holds order numbers and open lots, nothing else. A level is a dict in order of arrival, so
its first key is the oldest order. Reducing an order keeps its place.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict

from workbench.execution.orders import Side


class Book:
    """Both sides of one symbol's user orders."""

    def __init__(self) -> None:
        # Keys are "badness": ticks for sells, minus ticks for buys, so that the best comes first.
        self._sides: dict[Side, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}

    @property
    def empty(self) -> bool:
        """Whether nobody rests an order."""
        return not any(self._sides.values())

    def add(self, side: Side, price_ticks: int, order_id: int, lots: int) -> None:
        """Rest an order behind all others at its price."""
        self._sides[side].setdefault(_key(side, price_ticks), {})[order_id] = lots

    def reduce(self, side: Side, price_ticks: int, order_id: int, lots: int) -> None:
        """Take lots off an order that traded; it leaves the book at zero."""
        key = _key(side, price_ticks)
        level = self._sides[side][key]
        level[order_id] -= lots
        if level[order_id] == 0:
            self._drop(side, key, order_id)

    def has(self, side: Side, price_ticks: int, order_id: int) -> bool:
        """Whether an order rests there."""
        return order_id in self._sides[side].get(_key(side, price_ticks), ())

    def discard(self, side: Side, price_ticks: int, order_id: int) -> None:
        """Take an order out, whatever is left of it; one that does not rest stays unfound."""
        if self.has(side, price_ticks, order_id):
            self._drop(side, _key(side, price_ticks), order_id)

    def best(self, side: Side) -> int | None:
        """Return the best price in ticks, None for an empty side."""
        levels = self._sides[side]
        return _ticks(side, levels.peekitem(0)[0]) if levels else None

    def orders(self, side: Side) -> Iterator[tuple[int, int, int]]:
        """Yield (price_ticks, order_id, open lots), best price first, oldest first."""
        for key, level in self._sides[side].items():
            for order_id, lots in level.items():
                yield _ticks(side, key), order_id, lots

    def levels(self, side: Side) -> Iterator[tuple[int, int]]:
        """Yield (price_ticks, lots) of each level, best first."""
        for key, level in self._sides[side].items():
            yield _ticks(side, key), sum(level.values())

    def _drop(self, side: Side, key: int, order_id: int) -> None:
        levels = self._sides[side]
        del levels[key][order_id]
        if not levels[key]:
            del levels[key]


def _key(side: Side, ticks: int) -> int:
    return ticks if side is Side.SELL else -ticks


def _ticks(side: Side, key: int) -> int:
    return key if side is Side.SELL else -key
