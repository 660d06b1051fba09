"""Exits beside a ladder with real processes: whatever dies, all base has its stop again, and nothing is sold twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.bridge.stage import Stage
from tests.bridge.test_live import wait_for
from tests.bridge.test_live_exits import demand_clean_audit, stage
from tests.bridge.test_live_ladder import GRID, orders, play, try_stop

__all__ = ["stage"]  # the fixture

EXITS = "stop=1.2%,take_profit=2%"
CRUMB = Decimal("0.0001")  # less than the exchange takes in one order
QUICK = ("before_protection", "after_cancel")
POINTS = (
    "after_journal", "after_send", "after_book", "before_answer", "before_protection", "before_cancel",
    "after_cancel", "before_place",
)  # fmt: skip


def patiently(condition: Callable[[], bool]) -> None:
    """Wait as long as several deaths and lost messages in a row may take."""
    end = time.monotonic() + 240.0
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def demand_all_protected(stage: Stage) -> int:
    """All base lies in stops, at most five of them, beside at most one sale a rung; return how many stops."""
    there = [one for one in orders(stage) if one["status"] in ("NEW", "PARTIALLY_FILLED")]
    stops = [one for one in there if one["order_type"] == "STOP_LOSS"]
    lot = Decimal("0.00001")
    stopped = sum((one["lots"] * lot for one in stops), Decimal(0))
    held = stage.market.balances_of(stage.keys["api_key"]).get("BTC", {"free": "0", "locked": "0"})
    base = Decimal(held["free"]) + Decimal(held["locked"])
    assert 0 <= base - stopped < CRUMB
    assert len(stops) <= 5
    prices = [
        (one["side"], one["price_ticks"]) for one in there if one["order_type"] != "STOP_LOSS"
    ]
    assert len(prices) == len(set(prices))
    ids = [one["client_order_id"] for one in orders(stage)]
    assert len(ids) == len(set(ids)), "an id was accepted twice"
    one: dict[str, Any] = stage.client.instance("one")
    assert round(Decimal(str(one["quantity"])), 8) == base
    assert one["unprotected"] == ""
    return len(stops)


@pytest.mark.parametrize(
    ("points", "losses", "lines"),
    [
        (QUICK, {1: "after_apply"}, 9),
        pytest.param(POINTS, {1: "after_apply", 4: "before_apply"}, 25, marks=pytest.mark.proof),
    ],
    ids=["quick", "every place"],
)
def test_deaths_and_lost_messages_leave_all_base_of_a_ladder_under_stops(
    stage: Stage, points: tuple[str, ...], losses: dict[int, str], lines: int
) -> None:
    """kill -9 around every send, lost replies of OCOs and cancels; the fall of that day ends in the stop.

    An OCO that never arrived would be sold at market and end the ladder (`test_seconds_without_a_stop`).
    """
    stage.serve(crash_at=",".join(points))
    stage.wait_connected()
    stage.start("one", strategy="grid", params=GRID | {"lines": lines}, exits=EXITS)
    for nth, when in losses.items():
        oco, cancel = "POST /api/v3/orderList/oco", "DELETE /api/v3/order"
        stage.market.fault(match=oco, do="drop", when="after_apply", nth=nth)
        stage.market.fault(match=cancel, do="drop", when=when, nth=nth)
    most, sold = 0, False
    for _ in range(40):
        play(stage, patiently)
        most = max(most, demand_all_protected(stage))
        sold = any(
            one["order_type"] == "STOP_LOSS" and one["status"] == "FILLED" for one in orders(stage)
        )
        if sold:
            break
    assert sold
    assert most >= 2  # sales with stops of their own
    assert {point for point in points if (stage.home / f"crashed-at-{point}").exists()} == set(
        points
    )
    one = stage.client.instance("one")
    assert Decimal(str(one["quantity"])) < CRUMB
    wait_for(lambda: try_stop(stage))
    stage.client.wait_until("one", {"STOPPED"})
    assert not [one for one in orders(stage) if one["status"] == "NEW"]
    demand_clean_audit(stage)
