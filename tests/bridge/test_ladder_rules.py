"""What is refused of a ladder before its instance starts."""

from __future__ import annotations

import pytest

from bridge.exchanges.base import OrderRules
from bridge.gateway.ladder_rules import demand_ladder_that_can_rest
from tests.bridge.doubles import ONE
from workbench.core.records import empty_intent
from workbench.errors import UsageError

RULES = OrderRules(most_orders=3, buy_band=(0.2, 5.0), sell_band=(0.5, 2.0))
Rung = tuple[int, int, float, float, float]


def laid(*rungs: Rung) -> bytes:
    """Return an intent with a ladder."""
    intent = empty_intent()
    intent["revision"], intent["n_ladder"] = 1, len(rungs)
    for place, rung in zip(intent["ladder"], rungs, strict=False):
        place["id"], place["side"], place["price"], place["quote"], place["pair_price"] = rung
    return intent.tobytes()


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        (
            [(i, 1, 90.0, 50.0, 0.0) for i in range(4)],
            "4 orders: BTCUSDT takes 3 open orders .MAX_NUM_ORDERS",
        ),
        ([(7, 1, 90.0, 4.99, 0.0)], "rung 7 at 90 is worth 4.99.* below .* 5.* .MIN_NOTIONAL"),
        ([(1, 1, 19.9, 50.0, 0.0)], "rung 1 at 19.9 lies outside 20 to 500, .* at a price of 100"),
        ([(1, -1, 49.9, 50.0, 0.0)], "lies outside 50 to 200"),
        ([(1, -1, 200.1, 50.0, 0.0)], "lies outside 50 to 200"),
    ],
)
def test_a_rung_that_the_symbols_filters_refuse_is_named(rungs: list[Rung], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        demand_ladder_that_can_rest(laid(*rungs), ONE, RULES, 100.0)


def test_a_ladder_within_the_filters_is_let_through() -> None:
    fine = [(1, 1, 20.0, 5.01, 0.0), (2, 1, 99.0, 50.0, 0.0), (3, -1, 200.0, 50.0, 0.0)]
    demand_ladder_that_can_rest(laid(*fine), ONE, RULES, 100.0)
    demand_ladder_that_can_rest(laid(*fine, (4, 1, 0.02, 5.01, 0.0)), ONE, OrderRules(), 100.0)
