"""Order lists: orders that depend on each other, and what they are called on the wire.

    OCO    two orders; when one trades, triggers or ends, the other ends
    OTO    a working order; when it has filled, the pending one is placed
    OTOCO  a working order; when it has filled, two pending ones are placed as an OCO

Binance calls OCO and OTO contingencies; an OTOCO is an OTO with three orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Contingency(StrEnum):
    """How the orders of a list depend on each other."""

    OCO = "OCO"
    OTO = "OTO"


class ListStep(StrEnum):
    """What a list event tells (Binance's listStatusType)."""

    EXEC_STARTED = "EXEC_STARTED"
    UPDATED = "UPDATED"
    ALL_DONE = "ALL_DONE"


class ListStatus(StrEnum):
    """Whether a list still runs (Binance's listOrderStatus)."""

    EXECUTING = "EXECUTING"
    ALL_DONE = "ALL_DONE"


@dataclass(frozen=True, slots=True)
class OrderList:
    """A list that was accepted; `orders` are (number, client id as it was placed)."""

    list_id: int
    account: str
    symbol: str
    contingency: Contingency
    client_list_id: str
    orders: tuple[tuple[int, str], ...]
    step: ListStep
    status: ListStatus
    time_ms: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """The order numbers, in the list's order."""
        return tuple(number for number, _ in self.orders)

    @property
    def pending(self) -> tuple[int, ...]:
        """The orders that wait for the working one; none in an OCO."""
        return self.numbers[1:] if self.contingency is Contingency.OTO else ()

    @property
    def pair(self) -> tuple[int, ...]:
        """The two orders of which one cancels the other; empty in an OTO of two."""
        found = self.numbers if self.contingency is Contingency.OCO else self.pending
        return found if len(found) == 2 else ()
