"""The order state table."""

from __future__ import annotations

import pytest

from workbench.execution.orders import OPEN, TRANSITIONS, OrderEvent, OrderStatus, after


def test_an_open_order_sees_every_event_and_a_closed_one_none() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in OPEN for event in OrderEvent}


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - OPEN))
def test_a_closed_order_cannot_change(status: OrderStatus) -> None:
    with pytest.raises(LookupError, match=f"{status} cannot see fill"):
        after(status, OrderEvent.FILL)


def test_the_last_lot_fills_and_any_other_leaves_a_part() -> None:
    part = after(OrderStatus.NEW, OrderEvent.PART)
    assert part is OrderStatus.PARTIALLY_FILLED
    assert after(part, OrderEvent.PART) is OrderStatus.PARTIALLY_FILLED
    assert after(part, OrderEvent.FILL) is OrderStatus.FILLED
