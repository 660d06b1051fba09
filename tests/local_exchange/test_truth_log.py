"""The truth log: killed and restored the exchange answers the same, and the oracle finds what is false."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bridge.local_exchange.accounts import Accounts, from_file
from bridge.local_exchange.audit import conservation
from bridge.local_exchange.security import sign
from bridge.local_exchange.settings import Settings
from bridge.local_exchange.state import KEYS, LOG, open_state
from bridge.local_exchange.truth_log import read_log
from bridge.local_exchange.venue import Venue
from tests.local_exchange.conftest import SYMBOL, made_up
from workbench.errors import DataError, UsageError
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import (
    Contingency,
    NewList,
    NewOrder,
    OrderType,
    Rejected,
    Side,
    TimeInForce,
)
from workbench.market.instruments import instrument, to_e8

NAMES = ("account-1", "account-2")


def venue_in(folder: Path, **changes: object) -> Venue:
    """Return a venue whose state lies in a folder, restored from there."""
    given = {"accounts": 2, "balances": (("USDT", to_e8("100000")), ("BTC", to_e8("3")))}
    settings = Settings(**{**given, **changes})  # type: ignore[arg-type]
    candles = made_up()
    accounts = Accounts(from_file(folder / KEYS, settings.accounts))
    market = {SYMBOL: (instrument(SYMBOL), Tape(candles), candles.first)}
    venue = Venue(settings, accounts, market)
    open_state(venue, folder)
    return venue


def trade(venue: Venue, chance: random.Random, steps: int) -> None:
    """Let two users do this and that, refusals included, while the market goes on."""
    for _ in range(steps):
        try:
            _act(venue, chance)
        except Rejected:
            continue


def _act(venue: Venue, chance: random.Random) -> None:
    name, side = chance.choice(NAMES), chance.choice(list(Side))
    last_e8 = venue.replay(SYMBOL).last.price_e8
    near_e8 = round(last_e8 * chance.uniform(0.995, 1.005)) // 10**6 * 10**6
    lot_e8 = to_e8("0.001") * chance.randint(1, 50)
    what = chance.randrange(8)
    if what < 2:
        venue.play(SYMBOL)
    elif what == 2:
        venue.advance_to_fill(SYMBOL)
    elif what == 3:
        venue.place(NewOrder(name, SYMBOL, side, OrderType.MARKET, lot_e8))
    elif what == 4:
        venue.place(
            NewOrder(
                name, SYMBOL, side, OrderType.LIMIT, lot_e8, price_e8=near_e8,
                time_in_force=chance.choice(list(TimeInForce)),
            )
        )  # fmt: skip
    elif what == 5:
        far_e8 = last_e8 * 2 // 10**6 * 10**6
        legs = (
            NewOrder(name, SYMBOL, Side.SELL, OrderType.LIMIT_MAKER, lot_e8, price_e8=far_e8),
            NewOrder(
                name, SYMBOL, Side.SELL, OrderType.STOP_LOSS, lot_e8,
                stop_e8=last_e8 * 99 // 100 // 10**6 * 10**6,
            ),
        )  # fmt: skip
        now_ms = venue.replay(SYMBOL).now_ms
        done = venue.engine.place_list(NewList(name, SYMBOL, Contingency.OCO, legs), now_ms)
        venue.tell(done.reports, now_ms)
    elif what == 6:
        account = next(one for one in venue.accounts.all if one.name == name)
        if found := venue.engine.open_orders(name, SYMBOL):
            one = chance.choice(found)
            venue.cancel(account, SYMBOL, one.order_id, f"gone-{one.order_id}")
    elif chance.random() < 0.3:
        venue.deposit(venue.accounts.all[0], "BTC", to_e8("0.5"))


def picture(venue: Venue) -> dict[str, Any]:
    """Return everything that a client could ask for."""
    replay = venue.replay(SYMBOL)
    return {
        "orders": list(venue.engine.orders.values()),
        "fills": list(venue.engine.executions),
        "lists": dict(venue.engine.floor.lists),
        "balances": {name: venue.engine.balances(name) for name in NAMES},
        "book": [list(venue.engine.book(SYMBOL).orders(side)) for side in Side],
        "quote": venue.engine.quote(SYMBOL),
        "market": (replay.played, replay.candle, replay.now_ms, replay.last),
        "counters": (venue.updates[SYMBOL], venue.reported, venue.epoch),
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_restored_exchange_answers_the_same_and_goes_on_the_same(
    tmp_path: Path, seed: int
) -> None:
    venue, chance = venue_in(tmp_path), random.Random(seed)
    trade(venue, chance, 250)
    if seed == 3:
        venue.wipe()
        trade(venue, chance, 60)
    venue.close_log()
    again = venue_in(tmp_path)
    assert len(again.engine.executions) >= 5
    assert picture(again) == picture(venue)
    for one in (venue, again):
        trade(one, random.Random(seed + 100), 60)
    assert picture(again) == picture(venue)


@pytest.mark.parametrize("seed", range(3))
def test_conservation_is_proved_over_the_log_alone(tmp_path: Path, seed: int) -> None:
    venue = venue_in(tmp_path)
    trade(venue, random.Random(seed), 300)
    venue.close_log()
    found = conservation(read_log(tmp_path / LOG))
    assert found.violations == []
    assert found.checked > 100


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("commission_e8", "deposits and fills make"),
        ("quote_e8", "is not"),
        ("quantity_e8", "is not"),
    ],
)
def test_a_log_with_one_amount_changed_by_the_last_digit_is_found_out(
    tmp_path: Path, field: str, said: str
) -> None:
    venue = venue_in(tmp_path)
    trade(venue, random.Random(5), 120)
    venue.close_log()
    entries: Any = read_log(tmp_path / LOG)
    next(one for one in entries if one["do"] == "fills")["fills"][0][field] += 1
    violations = conservation(entries).violations
    assert any(said in one for one in violations)


def test_a_torn_last_line_is_forgotten_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    venue = venue_in(tmp_path)
    trade(venue, random.Random(1), 80)
    before = picture(venue)
    venue.close_log()
    log = tmp_path / LOG
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"do":"place","at":17')
    assert picture(venue_in(tmp_path)) == before
    assert log.read_bytes() == whole
    log.write_bytes(whole.replace(b'{"do":"prints"', b'{"do":"pri', 1))
    with pytest.raises(DataError, match="line"):
        venue_in(tmp_path)


def test_other_options_are_noticed(tmp_path: Path) -> None:
    venue_in(tmp_path).close_log()
    with pytest.raises(UsageError, match="made with another fee_bps and balances"):
        venue_in(tmp_path, fee_bps=7.5, balances=(("USDT", 1),))


def test_a_log_that_this_version_trades_otherwise_is_refused(tmp_path: Path) -> None:
    venue = venue_in(tmp_path)
    trade(venue, random.Random(5), 120)
    venue.close_log()
    log = tmp_path / LOG
    entries: Any = read_log(log)
    next(one for one in entries if one["do"] == "fills")["fills"][0]["price_ticks"] += 1
    log.write_text("".join(json.dumps(one) + "\n" for one in entries))
    with pytest.raises(DataError, match="made by another version"):
        venue_in(tmp_path)


COMMAND = [
    *(sys.executable, "-m", "bridge.cli", "exchange", "--json", "--ephemeral"),
    *("--data", "synthetic", "--interval", "1h", "--start", "2025-03-01", "--end", "2025-03-09"),
    *("--balance", "USDT=10000", "--pace", "step"),
]


def _started(state: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    process = subprocess.Popen(
        [*COMMAND, "--state", str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def _ask(said: dict[str, Any], method: str, path: str, query: str = "") -> Any:
    key = said["accounts"][0]
    query = f"{query}&timestamp={time.time_ns() // 1_000_000}".lstrip("&")
    url = f"{said['rest']}{path}?{query}&signature={sign(key['secret'], query)}"
    headers = {"X-MBX-APIKEY": key["api_key"], "X-Admin-Token": said["admin_token"]}
    request = urllib.request.Request(url, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_killed_and_started_again_it_has_its_keys_orders_and_market(tmp_path: Path) -> None:
    order, state = "/api/v3/order", tmp_path / "state"
    process, said = _started(state)
    try:
        _ask(said, "POST", order, "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=500")
        for _ in range(5):
            _ask(said, "POST", "/admin/advance")
        limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=20000"
        _ask(said, "POST", order, limit)
        questions = ("openOrders", "account", "allOrders", "myTrades")
        queries = ["symbol=BTCUSDT" if name != "account" else "" for name in questions]
        told = [
            _ask(said, "GET", f"/api/v3/{n}", q) for n, q in zip(questions, queries, strict=True)
        ]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        process, again = _started(state)
        assert again["accounts"] == said["accounts"]
        now = [
            _ask(again, "GET", f"/api/v3/{n}", q) for n, q in zip(questions, queries, strict=True)
        ]
        assert now == told
    finally:
        process.kill()
        process.communicate(timeout=10)
    audit = [sys.executable, "-m", "bridge.cli", "audit", "exchange", str(state), "--json"]
    done = subprocess.run(audit, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["invariants"]["I7"]["violations"] == []
