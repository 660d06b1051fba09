"""The order state table."""

from __future__ import annotations

import pytest

from workbench.execution.orders import LIVE, OPEN, TRANSITIONS, OrderEvent, OrderStatus, after


def test_a_live_order_sees_what_happens_at_the_market_and_a_pending_one_what_its_list_does() -> (
    None
):
    market = {event for event in OrderEvent if event not in ("activate", "reject")}
    waiting = {
        OrderEvent.ACTIVATE, OrderEvent.REJECT, OrderEvent.CANCEL, OrderEvent.EXPIRE,
    }  # fmt: skip
    seen = {(state, event) for state in LIVE for event in market}
    assert set(TRANSITIONS) == seen | {(OrderStatus.PENDING_NEW, event) for event in waiting}


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - OPEN))
def test_a_closed_order_cannot_change(status: OrderStatus) -> None:
    with pytest.raises(LookupError, match=f"{status} cannot see fill"):
        after(status, OrderEvent.FILL)


def test_the_last_lot_fills_and_any_other_leaves_a_part() -> None:
    part = after(OrderStatus.NEW, OrderEvent.PART)
    assert part is OrderStatus.PARTIALLY_FILLED
    assert after(part, OrderEvent.PART) is OrderStatus.PARTIALLY_FILLED
    assert after(part, OrderEvent.FILL) is OrderStatus.FILLED
