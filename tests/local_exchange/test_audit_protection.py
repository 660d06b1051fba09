"""I4 of the oracle: a position without a stop is found from the exchange's own log."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.local_exchange.audit_protection import unprotected
from bridge.local_exchange.truth_log import LoggedEngine, TruthLog, read_log
from workbench.execution.order_lists import Contingency
from workbench.execution.orders import NewList, NewOrder, OrderType, Side, TimeInForce
from workbench.market.instruments import instrument, to_e8

BTC = instrument("BTCUSDT")
OWNERS = {"wb-buy": "guarded", "wb-stop": "guarded", "wb-sell": "guarded", "wb-again": "guarded"}
HELD = to_e8("0.5")


@pytest.fixture
def market(tmp_path: Path) -> LoggedEngine:
    """Return an engine that logs, with money and a quote."""
    engine = LoggedEngine({"BTCUSDT": BTC}, 100_000, 100_000)
    engine.log = TruthLog.append_to(tmp_path / "log")
    engine.deposit("me", "USDT", to_e8("100000"))
    stand(engine, 0)
    return engine


def stand(engine: LoggedEngine, now_ms: int) -> None:
    ticks = to_e8("50000") // BTC.tick_e8
    engine.stand_at("BTCUSDT", ticks, ticks + 1, 10**9, now_ms)
    engine.walk("BTCUSDT", (to_e8("50000"),), to_e8("1"), now_ms)


def send(
    engine: LoggedEngine,
    name: str,
    side: Side,
    now_ms: int,
    *,
    stop: str = "",
    sells: str = "0.4995",  # the fee took 0.1 %
) -> int:
    quantity = HELD if side is Side.BUY else to_e8(sells)
    if stop:
        new = NewOrder(
            "me", "BTCUSDT", side, OrderType.STOP_LOSS_LIMIT, quantity, price_e8=to_e8(stop),
            time_in_force=TimeInForce.GTC, client_order_id=name, stop_e8=to_e8(stop),
        )  # fmt: skip
    else:
        new = NewOrder("me", "BTCUSDT", side, OrderType.MARKET, quantity, client_order_id=name)
    return engine.place(new, now_ms).order.order_id


def found(tmp_path: Path, *, speed: float = 1.0) -> tuple[int, list[str]]:
    return unprotected(read_log(tmp_path / "log"), OWNERS, speed=speed)


def test_a_stop_within_three_seconds_protects(market: LoggedEngine, tmp_path: Path) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    send(market, "wb-stop", Side.SELL, 4_000, stop="45000")
    market.cancel("me", "BTCUSDT", 2, 90_000)
    send(market, "wb-sell", Side.SELL, 92_000)
    send(market, "foreign", Side.BUY, 200_000)
    assert found(tmp_path) == (1, [])


def test_a_stop_that_comes_late_is_told_with_both_times(
    market: LoggedEngine, tmp_path: Path
) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    send(market, "wb-stop", Side.SELL, 4_001, stop="45000")
    told = "guarded held 49950000 (1e-8) without a stop from 1000 to 4001"
    assert found(tmp_path) == (1, [told])
    assert found(tmp_path, speed=2.0) == (1, [])


def test_a_stop_taken_away_leaves_the_position_bare(market: LoggedEngine, tmp_path: Path) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    number = send(market, "wb-stop", Side.SELL, 1_500, stop="45000")
    market.cancel("me", "BTCUSDT", number, 10_000)
    send(market, "wb-sell", Side.SELL, 14_000)
    checked, violations = found(tmp_path)
    assert checked == 1
    assert len(violations) == 1
    assert "from 10000 to 14000" in violations[0]


def test_a_stop_that_sold_one_position_does_not_protect_the_next(
    market: LoggedEngine, tmp_path: Path
) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    send(market, "wb-stop", Side.SELL, 1_500, stop="49900")
    market.walk("BTCUSDT", (to_e8("49900"), to_e8("49950")), to_e8("100"), 20_000)
    stand(market, 21_000)
    assert not market.open_orders("me")
    send(market, "wb-again", Side.BUY, 30_000)
    send(market, "foreign", Side.BUY, 40_000)
    checked, violations = found(tmp_path)
    assert checked == 2
    assert len(violations) == 1
    assert "from 30000 to 40000" in violations[0]


def test_a_list_taken_back_takes_its_stop_along(market: LoggedEngine, tmp_path: Path) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    stop = NewOrder(
        "me", "BTCUSDT", Side.SELL, OrderType.STOP_LOSS, to_e8("0.4995"), client_order_id="wb-stop",
        stop_e8=to_e8("45000"),
    )  # fmt: skip
    gain = NewOrder(
        "me", "BTCUSDT", Side.SELL, OrderType.LIMIT_MAKER, to_e8("0.4995"),
        price_e8=to_e8("60000"), client_order_id="wb-gain",
    )  # fmt: skip
    placed = market.place_list(NewList("me", "BTCUSDT", Contingency.OCO, (stop, gain)), 1_500)
    send(market, "foreign", Side.BUY, 9_000)
    assert found(tmp_path) == (1, [])
    market.cancel_list(placed.order_list, 10_000)
    send(market, "foreign", Side.BUY, 14_000)
    assert len(found(tmp_path)[1]) == 1


def test_dust_that_a_sale_leaves_is_no_position(market: LoggedEngine, tmp_path: Path) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    number = send(market, "wb-stop", Side.SELL, 1_500, stop="45000")
    market.cancel("me", "BTCUSDT", number, 10_000)
    send(market, "wb-sell", Side.SELL, 10_001, sells="0.49949")
    send(market, "foreign", Side.BUY, 90_000)
    assert found(tmp_path) == (1, [])


def test_an_instance_that_never_sends_a_stop_gives_no_facts(
    market: LoggedEngine, tmp_path: Path
) -> None:
    send(market, "wb-buy", Side.BUY, 1_000)
    send(market, "wb-sell", Side.SELL, 90_000)
    assert found(tmp_path) == (0, [])
