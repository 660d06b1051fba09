"""The whole bridge against the real local exchange, with real processes that are killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.bridge.stage import Stage
from tests.bridge.wire_cutter import WireCutter
from workbench.processes import alive

SCALE = 10**8
DAY_MS = 86_400_000
MakeStage = Callable[[], Stage]


def books_equal_truth(stage: Stage, name: str) -> None:
    """Compare the instance's books with the exchange's own: orders, quantities, cash and base."""
    orders = stage.market.orders_of(stage.keys["api_key"])
    ids = [order["client_order_id"] for order in orders]
    assert len(ids) == len(set(ids)), "an id was accepted twice"
    decisions = [one.rsplit("-", 1)[0] for one in ids]
    assert len(decisions) == len(set(decisions)), "one decision made two orders"
    fills = stage.client.fills(name)
    bought = sum(Decimal(str(f["quantity"])) for f in fills if f["side"] == "BUY")
    sold = sum(Decimal(str(f["quantity"])) for f in fills if f["side"] == "SELL")
    lots = {"BUY": 0, "SELL": 0}
    for order in orders:
        lots[order["side"]] += executed_e8(order)
    assert (bought * SCALE, sold * SCALE) == (lots["BUY"], lots["SELL"])
    one, balances = stage.client.instance(name), stage.market.balances_of(stage.keys["api_key"])
    assert Decimal(str(one["quantity"])) == Decimal(
        balances["BTC"]["free"] if "BTC" in balances else "0"
    )
    assert round(Decimal(str(one["cash"])) + 9000, 8) == Decimal(balances["USDT"]["free"])


def executed_e8(order: dict[str, Any]) -> int:
    """Return an order's executed quantity as the exchange's truth tells it."""
    return int(order["filled_lots"]) * 1_000  # BTCUSDT: lots of 0.00001


def test_an_instance_trades_and_its_books_equal_the_exchanges(make_stage: MakeStage) -> None:
    """Fills, cash and base agree to the last digit; export gives the same rows; stop sells all but the dust."""
    stage = make_stage()
    stage.serve()
    stage.wait_connected()
    stage.start("one")
    fills = stage.step_until_fills("one", 4)
    assert [fill["side"] for fill in fills[:4]] == ["BUY", "SELL", "BUY", "SELL"]
    books_equal_truth(stage, "one")
    one = stage.client.instance("one")
    assert not one["synthetic"]  # a replay of recorded candles
    decisions = stage.client.decisions("one")
    assert len(decisions) == one["bars"]
    assert (
        len(stage.client.candles("one", limit=1000)) == one["bars"] + 69
    )  # stable(7) + stable(3) = 49 + 20
    stage.step_until_fills("one", 5)
    stage.client.stop_instance("one")
    stopped = stage.client.wait_until("one", {"STOPPED"})
    assert stopped["quantity"] < 0.00001
    books_equal_truth(stage, "one")


def test_runner_and_gateway_may_be_killed_and_trading_goes_on(make_stage: MakeStage) -> None:
    """kill -9 of either: another process takes over, with the same books, without a second order."""
    stage = make_stage()
    stage.serve()
    stage.wait_connected()
    before = stage.start("one")
    stage.step_until_fills("one", 1)
    os.kill(before["runner_pid"], signal.SIGKILL)
    stage.step("one")
    after = stage.client.instance("one")
    assert after["state"] == "RUNNING"
    assert after["runner_pid"] not in (None, before["runner_pid"])
    gateway = stage.wait_connected()
    known = stage.client.fills("one")
    os.kill(gateway, signal.SIGKILL)
    wait_for(lambda: stage.client.accounts()[0]["gateway_pid"] not in (None, gateway))
    assert not alive(after["runner_pid"]), "a runner outlived its gateway"
    stage.wait_connected()
    assert stage.client.fills("one") == known
    stage.step_until_fills("one", len(known) + 2)
    books_equal_truth(stage, "one")


def test_what_guards_refused_is_known_after_a_kill_and_they_go_on(make_stage: MakeStage) -> None:
    """kill -9 of the gateway: count, last refusal and the day's buys are the journal's."""
    stage = make_stage()
    stage.serve()
    stage.wait_connected()
    stage.start("one", guards="trades_a_day=1,cooldown_bars=5")
    step_until(stage, lambda one: one["guarded"] >= 1)
    gateway, known = stage.wait_connected(), stage.client.instance("one")
    assert known["last_guarded"]["guard"] in ("trades_a_day", "cooldown_bars")
    os.kill(gateway, signal.SIGKILL)
    wait_for(lambda: stage.client.accounts()[0]["gateway_pid"] not in (None, gateway))
    stage.wait_connected()
    again = stage.client.instance("one")
    for name in ("guards", "guarded", "last_guarded"):
        assert again[name] == known[name]
    step_until(stage, lambda one: one["guarded"] > known["guarded"])
    refused = [one for one in stage.client.decisions("one") if one["guard"]]
    assert len(refused) == known["guarded"] + 1
    assert not any(one["acted"] or one["side"] for one in refused)
    buys = [one["market_ms"] // DAY_MS for one in stage.client.fills("one") if one["side"] == "BUY"]
    assert len(buys) == len(set(buys)), "two buys on one day"
    said = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "status"], capture_output=True, text=True, check=True,
        env={**os.environ, "WORKBENCH_HOME": str(stage.home)},
    ).stdout  # fmt: skip
    assert f"guards trades_a_day=1,cooldown_bars=5: buys refused: {len(refused)}, the last" in said


def step_until(stage: Stage, true: Callable[[dict[str, Any]], bool], most: int = 150) -> None:
    """Step the instance `one` until that is true of it."""
    for _ in range(most):
        if true(stage.step("one")):
            return
    raise AssertionError(f"not within {most} candles")


def test_a_gateway_that_dies_around_an_order_never_orders_twice(make_stage: MakeStage) -> None:
    """F8, F9, F10: before the send the entry is given up, after it the order is adopted, with one fill."""
    points = ("after_journal", "after_send", "after_reply", "after_book")
    stage = make_stage()
    stage.serve(crash_at=",".join(points))
    stage.wait_connected()
    stage.start("one")
    seen: set[str] = set()
    for _ in range(100):
        candle_ms = stage.market.advance() - 3_600_000
        wait_for(lambda at=candle_ms: has_settled(stage, at))  # type: ignore[misc]
        crashed = {point for point in points if (stage.home / f"crashed-at-{point}").exists()}
        if crashed != seen:
            orders = stage.market.orders_of(stage.keys["api_key"])
            assert len(orders) == len(stage.client.fills("one"))
            assert len(orders) == 0 or "after_send" in crashed
            books_equal_truth(stage, "one")
            seen = crashed
        if seen == set(points):
            break
    assert seen == set(points)
    stage.step_until_fills("one", len(stage.client.fills("one")) + 1)
    books_equal_truth(stage, "one")


def test_a_reply_that_is_lost_and_events_that_are_dropped_change_nothing(
    make_stage: MakeStage,
) -> None:
    """F1 and F18: the order is found by asking; a missing event is made up for by the reply."""
    stage = make_stage()
    stage.serve()
    stage.wait_connected()
    stage.start("one")
    stage.market.fault(match="POST /api/v3/order", do="drop", when="after_apply")
    stage.market.fault(match="EVENT executionReport", do="drop", nth=1)
    stage.market.fault(match="EVENT executionReport", do="drop", nth=2)
    stage.step_until_fills("one", 1)
    stage.market.fault(
        match="POST /api/v3/order",
        do="status",
        status=502,
        body="<html>bad gateway</html>",
        when="after_apply",
    )
    stage.step_until_fills("one", 3)
    books_equal_truth(stage, "one")


def test_a_cut_wire_is_taken_up_again_without_losing_a_candle(make_stage: MakeStage) -> None:
    """All connections die at once; what closed meanwhile is fetched, the streams are subscribed anew."""
    stage = make_stage()
    cutter = WireCutter(int(stage.market.told["rest"].rsplit(":", 1)[1]))
    stage.port = cutter.port
    stage.serve()
    stage.wait_connected()
    stage.start("one")
    stage.step_until_fills("one", 1)
    cutter.cut()
    for _ in range(3):
        last_ms = stage.market.advance() - 3_600_000
    time.sleep(0.5)
    before = cutter.accepted
    cutter.mend()
    wait_for(lambda: has_settled(stage, last_ms))
    times = [one["open_time_ms"] for one in stage.client.decisions("one")]
    assert times == list(range(times[0], last_ms + 1, 3_600_000))
    wait_for(lambda: cutter.accepted >= before + 4)  # REST and socket of both streams
    stage.step_until_fills("one", len(stage.client.fills("one")) + 2)
    books_equal_truth(stage, "one")
    cutter.end()


def test_instances_outlive_the_supervisor(make_stage: MakeStage) -> None:
    """kill -9 of the supervisor: the gateway trades on, and the next supervisor finds it, even locked."""
    stage = make_stage()
    stage.serve(ephemeral=False)
    gateway = stage.wait_connected()
    stage.start("one")
    stage.step_until_fills("one", 1)
    assert stage.supervisor is not None
    stage.supervisor.kill()
    stage.supervisor.wait()
    for _ in range(3):
        last = stage.market.advance()
        time.sleep(0.2)
    stage.serve(ephemeral=False, locked=True)
    assert stage.wait_connected() == gateway
    assert stage.client.state()["supervisor"]["locked"]
    assert stage.client.settled("one", last - 3_600_000)["last_candle_ms"] == last - 3_600_000
    stage.step_until_fills("one", 2)
    books_equal_truth(stage, "one")


def test_nothing_survives_an_ephemeral_supervisor(make_stage: MakeStage) -> None:
    """Even kill -9 of the supervisor ends gateway, fork server and runners."""
    stage = make_stage()
    stage.serve()
    gateway = stage.wait_connected()
    runner = stage.start("one")["runner_pid"]
    assert stage.supervisor is not None
    stage.supervisor.kill()
    wait_for(lambda: not alive(gateway) and not alive(runner))


def has_settled(stage: Stage, candle_ms: int) -> bool:
    """Tell whether the instance has decided on that candle and knows the fate of its orders."""
    one = stage.client.instance("one")
    return one["settled"] and (one["last_candle_ms"] or 0) >= candle_ms


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds, or fail."""
    end = time.monotonic() + 45.0
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
