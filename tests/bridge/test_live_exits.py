"""Protective exits with real processes: deaths and lost messages leave one protection, and the oracle agrees."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.journal_reader import JournalReader
from bridge.local_exchange.audit import against_journal, conservation
from bridge.local_exchange.state import LOG
from bridge.local_exchange.truth_log import read_log
from tests.bridge.stage import Market, Stage
from tests.conftest import shared_path

HOUR_MS = 3_600_000
EXITS = "stop=0.8%,take_profit=1.5%,trail=1%,time_stop=20"
POINTS = (
    "after_journal", "after_send", "after_book", "before_protection", "before_cancel", "after_cancel",
)  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a stage on an exchange of its own, which writes its truth down."""
    shared_path("data")
    market = Market.start(
        accounts=1, keys_file=tmp_path / "keys.json", more=("--state", str(tmp_path / "exchange"))
    )
    made = Stage(tmp_path / "home", market, market.told["accounts"][0])
    made.make_vault()
    yield made
    made.end()
    market.end()


def standing(stage: Stage) -> list[dict[str, Any]]:
    """Return the orders that stand at the exchange."""
    orders = stage.market.orders_of(stage.keys["api_key"])
    return [one for one in orders if one["status"] in ("NEW", "PARTIALLY_FILLED")]


def demand_one_protection(stage: Stage) -> bool:
    """What the instance holds is in one stop and one take-profit; return whether it holds anything."""
    one, orders = stage.client.instance("one"), standing(stage)
    ids = [order["client_order_id"] for order in stage.market.orders_of(stage.keys["api_key"])]
    assert len(ids) == len(set(ids)), "an id was accepted twice"
    balances = stage.market.balances_of(stage.keys["api_key"]).get(
        "BTC", {"free": "0", "locked": "0"}
    )
    assert Decimal(str(one["quantity"])) == Decimal(balances["free"]) + Decimal(balances["locked"])
    assert one["unprotected"] == ""
    if one["quantity"] < 0.00001:
        assert orders == []
        return False
    assert sorted(order["order_type"] for order in orders) == ["LIMIT_MAKER", "STOP_LOSS"]
    lots = int(Decimal(str(one["quantity"])) / Decimal("0.00001"))
    assert [order["lots"] for order in orders] == [lots, lots]
    return True


@pytest.mark.parametrize(
    ("points", "losses", "least_held"),
    [
        (("before_protection", "after_cancel"), {2: "after_apply"}, 3),
        pytest.param(POINTS, {2: "after_apply", 5: "before_apply"}, 30, marks=pytest.mark.proof),
    ],
)
def test_deaths_and_lost_messages_leave_one_protection_and_the_oracle_finds_nothing(
    stage: Stage, points: tuple[str, ...], losses: dict[int, str], least_held: int
) -> None:
    """kill -9 between fill and protection, between cancel and replacement, around each send; replies lost."""
    stage.serve(crash_at=",".join(points))
    stage.wait_connected()
    stage.start("one", exits=EXITS)
    for match in ("POST /api/v3/orderList/oco", "DELETE /api/v3/order"):
        for nth, when in losses.items():
            stage.market.fault(match=match, do="drop", when=when, nth=nth)
    held = 0
    for _ in range(150):
        candle_ms = stage.market.advance() - HOUR_MS
        settle(stage, candle_ms)
        held += demand_one_protection(stage)
        crashed = {one for one in points if (stage.home / f"crashed-at-{one}").exists()}
        if crashed == set(points) and held >= least_held and len(stage.client.fills("one")) > 1:
            break
    assert crashed == set(points)
    assert held >= least_held
    stage.client.stop_instance("one", policy="keep")
    stage.client.wait_until("one", {"STOPPED"})
    kept = demand_one_protection(stage)  # a stop that keeps the position keeps its exits
    for _ in range(60 if kept else 0):
        if stage.client.instance("one")["quantity"] < 0.00001:
            break
        stage.market.advance()
        time.sleep(0.1)  # nobody waits for a stopped instance: the user stream tells
    assert not demand_one_protection(stage)
    demand_clean_audit(stage)


def settle(stage: Stage, candle_ms: int) -> None:
    """Wait until the instance has decided on that candle and all it heard is answered."""
    end = time.monotonic() + 60
    while True:
        one = stage.client.instance("one")
        if one["settled"] and (one["last_candle_ms"] or 0) >= candle_ms:
            return
        assert time.monotonic() < end, one
        time.sleep(0.1)


def demand_clean_audit(stage: Stage) -> None:
    """The exchange's own log: positions had a stop in time, and nothing was ordered twice."""
    entries = read_log(stage.home.parent / "exchange" / LOG)
    journal = JournalReader.open_read_only(stage.home / "accounts" / "paper" / "journal.db")
    found = against_journal(entries, journal) | {"I7": conservation(entries)}
    assert journal.first_bad_event() is None
    journal.close()
    assert {name: one.violations for name, one in found.items() if one.violations} == {}
    assert found["I4"].checked > 0
