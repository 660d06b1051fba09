"""A grid traded by the real processes on the real local exchange, killed for real."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.client import BridgeError
from tests.bridge.stage import Stage
from tests.bridge.test_live import wait_for
from workbench.errors import ExchangeError

HOUR_MS = 3_600_000
GRID = {"low": 0.985, "high": 1.015, "lines": 9, "unit": 1}
QUICK = ("before_answer",)
POINTS = ("before_place", "after_book", "before_answer", "after_send", "before_cancel")
MakeStage = Callable[[], Stage]


def start(stage: Stage, **more: Any) -> None:
    """Start a grid around the market's price and let it rest its first orders."""
    stage.start("one", strategy="grid", params=GRID | more)
    play(stage)


def play(stage: Stage, wait: Callable[[Callable[[], bool]], None] = wait_for) -> None:
    """Play one candle, waiting wherever an order has filled until that is answered."""
    opened = False
    while not opened:
        step = stage.market.admin("POST", "/admin/advance", {"symbol": "BTCUSDT", "until": "fill"})
        opened = step["opened"]
        closed_ms = step["symbols"]["BTCUSDT"]["now_ms"] - HOUR_MS if opened else 0
        wait(lambda at=closed_ms: is_settled(stage, at))  # type: ignore[misc]


def is_settled(stage: Stage, closed_ms: int) -> bool:
    """Tell whether the instance knows all that the exchange does, and has answered it."""
    fills = sum(one["filled_lots"] > 0 for one in orders(stage))
    try:
        one = stage.client.settled("one", closed_ms, fills=fills, timeout_s=5)
    except (BridgeError, ExchangeError):
        return False  # its gateway is dead
    known = {fill["client_order_id"] for fill in stage.client.fills("one")}
    return bool(
        one["settled"] and (one["last_candle_ms"] or 0) >= closed_ms and len(known) >= fills
    )


def orders(stage: Stage) -> list[dict[str, Any]]:
    """Return every order that the exchange ever accepted from the account."""
    return stage.market.orders_of(stage.keys["api_key"])


def standing(stage: Stage) -> list[tuple[str, int]]:
    """Return side and price of every order of the account that stands, from the exchange's truth."""
    return [
        (one["side"], one["price_ticks"])
        for one in orders(stage)
        if one["status"] in ("NEW", "PARTIALLY_FILLED")
    ]


def demand_sound(stage: Stage, *, rungs: int) -> None:
    """No rung has two orders, and the books are the exchange's to the last digit."""
    there = standing(stage)
    assert len(there) == len(set(there)) == rungs
    ids = [one["client_order_id"] for one in orders(stage)]
    assert len(ids) == len(set(ids))
    one, balances = stage.client.instance("one"), stage.market.balances_of(stage.keys["api_key"])
    whole = {
        asset: Decimal(held["free"]) + Decimal(held["locked"]) for asset, held in balances.items()
    }
    assert round(Decimal(str(one["quantity"])), 8) == whole.get("BTC", 0)
    assert round(Decimal(str(one["cash"])) + 9000, 8) == whole["USDT"]


@pytest.mark.parametrize(
    ("points", "fills"),
    [(QUICK, 2), pytest.param(POINTS, 12, marks=pytest.mark.proof)],
    ids=["quick", "every place"],
)
def test_a_grid_lives_through_deaths_and_stops_without_an_order(
    make_stage: MakeStage, points: tuple[str, ...], fills: int
) -> None:
    """Rungs are answered, never doubled; a stop takes all of them back and sells what was bought."""
    stage = make_stage()
    stage.serve(crash_at=",".join(points))
    stage.wait_connected()
    start(stage)
    rungs = len(standing(stage))
    assert 3 <= rungs <= 8
    for strategy in ("grid", "macd"):  # they could meet each other's orders
        with pytest.raises(
            BridgeError, match="a ladder of resting orders would trade with another"
        ):
            stage.client.start_instance(
                "two", account="paper", strategy=strategy, symbol="BTCUSDT", interval="1h",
                capital=500, params={},
            )  # fmt: skip
    for _ in range(100):
        play(stage)
        rungs = max(rungs, len(standing(stage)))
        demand_sound(stage, rungs=rungs)
        done = [fill["side"] for fill in stage.client.fills("one")]
        if len(done) >= fills and "SELL" in done:
            break
    assert set(done) == {"BUY", "SELL"}
    wait_for(lambda: try_stop(stage))
    stopped = stage.client.wait_until("one", {"STOPPED"})
    assert stopped["quantity"] < 0.00001
    demand_sound(stage, rungs=0)
    assert {point for point in points if (stage.home / f"crashed-at-{point}").exists()} == set(
        points
    )


def try_stop(stage: Stage) -> bool:
    """Ask for the stop; a gateway that is just dying is asked again."""
    try:
        stage.client.stop_instance("one")
    except ExchangeError:
        return False
    except BridgeError as refused:
        return "already" in str(refused)
    return True
