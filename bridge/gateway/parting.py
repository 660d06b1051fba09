"""How a ladder's base is parted among its sales and its protection, so that all of it rests at the exchange.

Base can be locked once. An OCO locks it once and carries both the sale of a rung and a stop, so the
sales next to the market rest as OCOs, as many as there are slots for stops (MAX_NUM_ALGO_ORDERS), less
one. The last slot is the rest's: one order of the exits' own, a stop with the take-profit, over all other
base. A sale that it covers is held back: it is sent when those before it have filled. So nothing is ever
held without a stop; while the gateway is down a sale that is held back is missed, and no more than that.

    no level in force                every sale stands alone
    a take-profit without a stop     sales up to it stand alone, those above it are held back: the
                                     take-profit comes first and sells everything
    a stop                           the nearest sales are paired with it, all others held back

A rest that is too small for an order of its own takes the farthest sale's base with it; the only sale it
leaves alone. Such a crumb has no order then, as no exchange takes one: a stop sells all but it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from workbench.execution.ladder import RungOrder
from workbench.market.instruments import SCALE, Instrument


class Place(Enum):
    """Where a rung's sale is."""

    ALONE = "alone"
    PAIRED = "paired"
    HELD_BACK = "held back"


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels in force, at 1e-8; 0 for none."""

    stop_e8: int = 0
    gain_e8: int = 0

    @property
    def any(self) -> bool:
        """Return whether there is one."""
        return bool(self.stop_e8 or self.gain_e8)


@dataclass(frozen=True, slots=True)
class Parting:
    """The place of each rung's sale, and the base that those lock which are not held back."""

    places: dict[int, Place]  # by rung
    spoken_e8: int


def part(
    sales: Sequence[RungOrder],
    levels: Levels,
    *,
    base_e8: int,
    slots: int,
    rules: Instrument,
    kept_back: Collection[int] = (),
) -> Parting:
    """Part the base among the sales (rungs in `kept_back` excepted) and the rest."""
    nearest = sorted(sales, key=lambda one: (one.price_e8, one.rung))
    if not levels.any:
        return _parting(sales, nearest, Place.ALONE)
    stop_e8, gain_e8 = levels.stop_e8, levels.gain_e8
    placed = [
        one
        for one in nearest
        if one.rung not in kept_back
        and not (gain_e8 and one.price_e8 > gain_e8)
        and not (stop_e8 and is_too_small(one.quantity_e8, stop_e8, rules))
    ]
    if stop_e8:
        placed = placed[:slots]
    while placed and (rest_e8 := _lots(base_e8 - _sum(placed), rules)):
        crumb = is_too_small(rest_e8, stop_e8 or gain_e8, rules)
        full = bool(stop_e8) and len(placed) == slots
        if not (crumb and len(placed) > 1) and not (full and not crumb):
            break
        placed.pop()
    return _parting(sales, placed, Place.PAIRED if stop_e8 else Place.ALONE)


def is_too_small(quantity_e8: int, price_e8: int, rules: Instrument) -> bool:
    """Return whether the exchange refuses an order of that size at that price."""
    value_e8 = quantity_e8 * price_e8 // SCALE
    return quantity_e8 < rules.min_qty_e8 or value_e8 < rules.min_notional_e8


def _parting(sales: Sequence[RungOrder], placed: Sequence[RungOrder], place: Place) -> Parting:
    places = {one.rung: Place.HELD_BACK for one in sales}
    return Parting(places | {one.rung: place for one in placed}, _sum(placed))


def _sum(sales: Sequence[RungOrder]) -> int:
    return sum(one.quantity_e8 for one in sales)


def _lots(base_e8: int, rules: Instrument) -> int:
    return max(0, base_e8) // rules.step_e8 * rules.step_e8
