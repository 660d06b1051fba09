"""One instance's ladder as real orders: which to take back, which to send, and what a fill calls for.

The same compiled rules as the kernel's (`core.ladder`) decide what rests and what is reserved, on
the instance's own account record; whoever holds this carries the orders to an exchange and tells
of their fills. Exchange filters always: ticks, lots and amounts at 1e-8.

A part of an order that fills gives back its part of what was reserved; the opposite order is called
for when all of it has filled. `record` is all that there is to know: a process that dies is followed
by one that goes on from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workbench.core.account import COSTS
from workbench.core.costs import SCALE
from workbench.core.ladder import (
    LADDER,
    OFF,
    RESTING,
    clear_ladder,
    hold_buy,
    ladder_error,
    lay,
    may_be_placed,
    order_side,
    rest,
    take_down,
    turn,
    withdraw,
)
from workbench.core.records import INTENT, LADDER_SIZE, readable
from workbench.errors import UsageError
from workbench.execution.orders import Side
from workbench.market.instruments import Instrument

RULE = (
    f"a ladder has at most {LADDER_SIZE} rungs, each with an id of its own, side 1 or -1, price and "
    "quote above 0, and pair_price 0 (none) or on the other side of its price"
)


@dataclass(frozen=True, slots=True)
class RungOrder:
    """A limit order that a rung wants to rest; amounts at 1e-8. `id` is what the strategy calls it."""

    id: int
    rung: int
    side: Side
    price_e8: int
    quantity_e8: int
    signal_index: int


class RestingLadder:
    """The ladder of one instance; `account` is its ACCOUNT record (shape (1,)), in which it reserves."""

    def __init__(self, account: np.ndarray, rules: Instrument) -> None:
        self._account = account
        self._rules = rules
        self._costs = readable(np.zeros(1, COSTS))
        self._costs["exact"] = 1
        for name in (
            "tick_e8", "step_e8", "unit_e8", "min_qty_e8", "max_qty_e8", "min_notional_e8",
        ):  # fmt: skip
            self._costs[name] = getattr(rules, name)
        self._ladder = readable(np.zeros(1, LADDER))
        clear_ladder(self._ladder[0])

    @property
    def record(self) -> bytes:
        """Return the LADDER record with everything that must survive."""
        return self._ladder.tobytes()

    def restore(self, record: bytes) -> None:
        """Go on from a `record`; reserve again what its orders had reserved.

        Raises UsageError for the record of another layout.
        """
        if len(record) != LADDER.itemsize:
            raise UsageError(
                f"the ladder has {len(record)} bytes, its dtype {LADDER.itemsize}: another version "
                "wrote it; stop the instance and start it anew"
            )
        self._ladder = readable(np.frombuffer(bytearray(record), LADDER))
        account = self._account
        for side, name in ((Side.BUY, "cash_locked"), (Side.SELL, "base_locked")):
            locked_e8 = sum(
                int(self._rung(order.rung)["locked_e8"])
                for _, order in self._all_resting()
                if order.side is side
            )
            account[f"{name}_e8"], account[name] = locked_e8, locked_e8 / SCALE

    @property
    def filled(self) -> int:
        """Return the bits of the rungs whose opposite order is at stake."""
        return int(self._ladder["filled"][0])

    @property
    def waiting(self) -> int:
        """Return how many rungs wait to be placed, and may be."""
        if not self.is_held:
            return int(self._ladder["waiting"][0])
        rungs = range(int(self._ladder["n"][0]))
        return sum(may_be_placed(self._ladder[0], self._rung(rung)) for rung in rungs)

    @property
    def is_held(self) -> bool:
        """Return whether a guard holds its buys back."""
        return bool(self._ladder["held"][0])

    @property
    def refused(self) -> int:
        """Return how many orders could not be paid or were too small."""
        return int(self._ladder["refused"][0])

    @property
    def revision(self) -> int:
        """Return the revision of the ladder that is wanted now."""
        return int(self._ladder["revision"][0])

    @property
    def nearest(self) -> tuple[float, float]:
        """Return the prices of the nearest buy and sale; infinities where none rests."""
        return float(self._ladder["nearest_buy"][0]), float(self._ladder["nearest_sell"][0])

    def is_passed(self, price: float, *, touch: bool = False) -> bool:
        """Return whether a price has traded through the nearest order, or touched it."""
        buy, sell = self.nearest
        return buy > price or sell < price or (touch and price in (buy, sell))

    def lay(self, intent: bytes, signal_index: int) -> list[int]:
        """Take in the ladder of a new revision; return the numbers of the orders to be taken back.

        Raises UsageError for a ladder that cannot be carried out. The same revision changes nothing.
        """
        record = readable(np.frombuffer(bytearray(intent), INTENT))
        ladder = self._ladder
        if int(record["revision"][0]) == int(ladder["revision"][0]):
            return []
        if ladder_error(record[0]):
            raise UsageError(f"the strategy wrote a ladder that cannot be carried out: {RULE}")
        lay(ladder[0], record[0], self._account[0], signal_index)
        before, moved = ladder["before"][0], ladder["moved"][0]
        return [
            int(before["order_id"][i])
            for i in range(int(ladder["n_before"][0]))
            if moved[i] < 0 and before["status"][i] == RESTING
        ]

    def hold(self) -> list[int]:
        """Hold buys back from now on; return the numbers of those that rest, to be taken back."""
        self._ladder["held"] = 1
        return [number for number, order in self.resting().items() if order.side is Side.BUY]

    def let_go(self) -> None:
        """Hold buys back no longer: those that wait may be placed."""
        self._ladder["held"] = 0

    def has_been_held(self, order_id: int) -> RungOrder | None:
        """Tell that a buy was taken back because it is held: it waits.

        One that had begun to fill is done with what it got: return the sale of that.
        """
        rung = self.order_of(order_id).rung
        one, ladder, account = self._rung(rung), self._ladder[0], self._account[0]
        if not one["kept_e8"]:
            hold_buy(ladder, rung, account)
            return None
        take_down(ladder, rung, account)
        one["order_id"] = 0
        rests = turn(ladder, rung, account, self._costs[0])
        return self._order(rung) if rests else None

    def withdraw(self) -> list[int]:
        """Take everything back; return the numbers of the orders that rested."""
        rungs = self._ladder["rungs"][0][: int(self._ladder["n"][0])]
        numbers = [int(one) for one in rungs["order_id"][rungs["status"] == RESTING]]
        withdraw(self._ladder[0], self._account[0])
        return numbers

    def due(self, quote_e8: int = 0, base_e8: int = 0) -> Iterator[RungOrder]:
        """Reserve for each rung that waits, in the ladder's order, and yield its order to be sent."""
        for rung in range(int(self._ladder["n"][0])):
            if not may_be_placed(self._ladder[0], self._rung(rung)):
                continue
            self._ladder["rungs"][0]["order_id"][rung] = 0
            if rest(self._ladder[0], rung, self._account[0], self._costs[0]):
                yield self._order(rung)

    def sent(self, rung: int, order_id: int) -> None:
        """Note the number under which a rung's order rests; 0 for one that its owner holds back."""
        self._ladder["rungs"][0]["order_id"][rung] = order_id

    def resting(self) -> dict[int, RungOrder]:
        """Return what is left of every order that rests, by its number; without those that were not sent."""
        return {number: order for number, order in self._all_resting() if number}

    def sales(self) -> list[tuple[int, RungOrder]]:
        """Return (number, order) of every sale that rests; 0 is the number of one that was not sent."""
        return [one for one in self._all_resting() if one[1].side is Side.SELL]

    def order_of(self, order_id: int) -> RungOrder:
        """Return the order that rests under a number; a rung's place changes with each ladder."""
        return self.resting()[order_id]

    def orders_up_to(self, side: Side, ticks: int) -> list[tuple[int, RungOrder]]:
        """Return (number, order) of what rests where an order of that side, so far, would meet it."""
        buys = side is Side.BUY
        found = []
        for rung in range(int(self._ladder["n"][0])):
            one = self._ladder["rungs"][0][rung]
            opposite = order_side(one) < 0 if buys else order_side(one) > 0
            meets = one["ticks"] <= ticks if buys else one["ticks"] >= ticks
            if one["status"] == RESTING and one["order_id"] and opposite and meets:
                found.append((int(one["order_id"]), self._order(rung)))
        return found

    def has_filled(
        self,
        rung: int,
        quantity_e8: int,
        kept_e8: int,
        *,
        spoken_quote_e8: int = 0,
        spoken_base_e8: int = 0,
    ) -> RungOrder | None:
        """Tell that so much of a rung's order has filled; return the opposite one to be sent, None for none.

        `kept_e8` is the base that a buy brought after its commission, 0 for a sale; what is `spoken`
        for, a market order that waits for this open will take.
        """
        one, ladder, account = self._rung(rung), self._ladder[0], self._account[0]
        self._give_back(one, quantity_e8 // self._rules.step_e8)
        one["kept_e8"] = one["kept_e8"] + kept_e8 if order_side(one) > 0 else 0
        if one["lots"]:
            return None
        take_down(ladder, rung, account)
        one["order_id"] = 0
        self._ladder["spoken_quote_e8"], self._ladder["spoken_base_e8"] = (
            spoken_quote_e8,
            spoken_base_e8,
        )
        rests = turn(ladder, rung, account, self._costs[0])
        self._ladder["spoken_quote_e8"] = self._ladder["spoken_base_e8"] = 0
        return self._order(rung) if rests else None

    def has_ended(self, order_id: int) -> None:
        """Tell that an order ended before it was filled; its rung is off until another revision."""
        rung = self.order_of(order_id).rung
        take_down(self._ladder[0], rung, self._account[0])
        self._rung(rung)["order_id"] = 0
        self._rung(rung)["status"] = OFF
        self._ladder["refused"] += 1

    def _give_back(self, one: np.void, lots: int) -> None:
        """Unlock what a part of an order had reserved."""
        buys = order_side(one) > 0
        name = "cash_locked" if buys else "base_locked"
        part_e8 = lots * (int(one["ticks"]) * self._rules.unit_e8 if buys else self._rules.step_e8)
        one["lots"] -= lots
        one["locked_e8"] -= part_e8
        self._account[f"{name}_e8"] -= part_e8
        self._account[name] = self._account[f"{name}_e8"] / SCALE

    def _all_resting(self) -> list[tuple[int, RungOrder]]:
        rungs = self._ladder["rungs"][0][: int(self._ladder["n"][0])]
        found = np.flatnonzero(rungs["status"] == RESTING).tolist()
        return [(int(rungs["order_id"][rung]), self._order(rung)) for rung in found]

    def _rung(self, rung: int) -> np.void:
        one: np.void = self._ladder["rungs"][0][rung]
        return one

    def _order(self, rung: int) -> RungOrder:
        one = self._ladder["rungs"][0][rung]
        return RungOrder(
            id=int(one["id"]),
            rung=rung,
            side=Side.BUY if order_side(one) > 0 else Side.SELL,
            price_e8=int(one["ticks"]) * self._rules.tick_e8,
            quantity_e8=int(one["lots"]) * self._rules.step_e8,
            signal_index=int(one["signal_index"]),
        )
