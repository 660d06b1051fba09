"""Which exits an instance may have: what is refused at its start, and what faults it when its strategy writes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.config import GatewayConfig, StartRequest, Venue
from bridge.exchanges.base import OrderRules
from bridge.gateway.books import Books
from bridge.gateway.exit_rules import (
    AskedExits,
    demand_exits_that_can_stand,
    demand_stop_slot,
    demand_written_levels,
)
from bridge.gateway.ladder import no_ladder
from bridge.gateway.service import Service
from bridge.journal_rows import InstanceState
from tests.bridge.doubles import ONE, JumpingClock, MemoryExchange, instance_row, journal_in
from tests.bridge.test_driver import HOUR, candle, lived
from workbench import strategies
from workbench.core.records import empty_intent
from workbench.errors import UsageError

BOTH = "stop=10%,take_profit=20%"
BARE = OrderRules(pairs=False)
NO_STOPS = OrderRules(kinds=frozenset({"LIMIT", "LIMIT_MAKER"}))
# A stop where it holds something, once its window is full.
OWN = """
from numba import njit

PARAMS = {"below": (0.1, 0.0, 0.5), "always": (0, 0, 1)}
STATE = {"count": int}
WARM_UP = 3

@njit
def decide(state, candle, position, params, intent):
    state.count += 1
    if state.count > 3 and (position.quantity > 0.0 or params.always):
        intent.stop = candle.close * params.below
"""
RANGE = {"unit": 1, "low": 0.8, "high": 0.95, "lines": 4}


def asked(form: str = "", **levels: float) -> AskedExits:
    """Return what this form and one intent ask for."""
    return AskedExits.of(form, "mine", [written(**levels)])


def written(**levels: float) -> bytes:
    """Return an intent with these levels."""
    intent = empty_intent()
    for name, level in levels.items():
        intent[name] = level
    return intent.tobytes()


@pytest.mark.parametrize(
    ("wish", "rules", "said"),
    [
        (asked("stop=2%"), NO_STOPS, "exits 'stop=2%': the exchange takes no stop orders"),
        (asked(BOTH), BARE, "takes no OCO"),
        (asked(trail=3.0), NO_STOPS, "the stop that mine writes itself: .* no stop orders"),
        (asked(stop=90.0, take_profit=99.0), BARE, "the stop and take-profit that mine writes"),
        (asked("stop=2%", take_profit=99.0), BARE, "'stop=2%' and the take-profit that mine .* no OCO"),
    ],
)  # fmt: skip
def test_exits_that_the_symbol_has_no_order_for_are_refused(
    wish: AskedExits, rules: OrderRules, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        demand_exits_that_can_stand(wish, rules, writes_ladder=False)
    for fine in (asked(), asked("time_stop=5"), asked("take_profit=2%"), asked(take_profit=9.0)):
        demand_exits_that_can_stand(fine, rules, writes_ladder=True)


def test_a_stop_beside_a_ladder_needs_an_oco_whoever_asks_for_it() -> None:
    for wish in (asked("stop=2%"), asked(stop=80.0), asked(trail=2.0)):
        with pytest.raises(UsageError, match=r"beside a ladder needs an OCO.*; leave the stop out"):
            demand_exits_that_can_stand(wish, BARE, writes_ladder=True)
        demand_exits_that_can_stand(wish, BARE, writes_ladder=False)
        demand_exits_that_can_stand(wish, OrderRules(), writes_ladder=True)


def books_with(folder: Path, **exits: str) -> Books:
    """Return books of running instances with these exits."""
    journal = journal_in(folder)
    books = Books(journal)
    for name, form in exits.items():
        row = instance_row(name, tag=f"tag{name}", exits=form)
        journal.write(1, [row])
        books.open(row, ONE)
    return books


def test_a_start_that_needs_a_stop_too_many_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    """MAX_NUM_ALGO_ORDERS counts stops, not take-profits; one instance uses at most one."""
    rules = OrderRules(most_stops=1)
    books = books_with(tmp_path, one="trail=2%").by_name.values()
    for wish in (asked("stop=2%"), asked(stop=90.0)):
        with pytest.raises(UsageError, match=r"takes 1 waiting stops .* \(one\): 1 \+ 1 is more"):
            demand_stop_slot("BTCUSDT", wish, rules, books)
    demand_stop_slot("BTCUSDT", asked("take_profit=2%"), rules, books)
    demand_stop_slot("ETHUSDT", asked("stop=2%"), rules, books)
    demand_stop_slot("BTCUSDT", asked("stop=2%"), replace(rules, most_stops=2), books)


def test_a_stop_that_a_strategy_writes_or_will_write_takes_a_slot(tmp_path: Path) -> None:
    """Five slots, five instances: by form, by a level in force, by first intents; one has stopped, one has none."""
    books = books_with(tmp_path, a="stop=2%", b="", c="", d="", e="trail=1%")
    rules = OrderRules(most_stops=3)
    books.by_name["b"].protection.follow(written(stop=90.0), 100.0, is_open=False)
    books.by_name["c"].expects_stop = True
    demand_stop_slot(
        "BTCUSDT", asked(stop=1.0), replace(rules, most_stops=5), books.by_name.values()
    )
    with pytest.raises(UsageError, match=r"4 instances may use one each \(a, b, c, e\): 4 \+ 1"):
        demand_stop_slot("BTCUSDT", asked(stop=1.0), rules, books.by_name.values())
    row = replace(books.by_name["a"].row, state=InstanceState.STOPPED)
    books.by_name["a"].row = row
    demand_stop_slot(
        "BTCUSDT", asked(stop=1.0), replace(rules, most_stops=4), books.by_name.values()
    )


def test_a_level_that_is_written_later_takes_the_last_slot_once_or_is_refused(
    tmp_path: Path,
) -> None:
    """Two slots, three instances that wrote no level at first: the third that does is refused, the second may go on."""
    books = books_with(tmp_path, a="", b="", c="")
    all_of_them = books.by_name.values()
    for book in all_of_them:
        book.rules = OrderRules(most_stops=2)

    def write(name: str, **levels: float) -> None:
        book, intent = books.by_name[name], written(**levels)
        demand_written_levels(book, intent, all_of_them, is_open=name == "c")
        book.protection.follow(intent, 100.0, is_open=False)

    write("c", take_profit=120.0)
    for name, stop in (("a", 90.0), ("b", 90.0), ("a", 91.0), ("b", 92.0)):
        write(name, stop=stop)
    with pytest.raises(UsageError, match=r"^UNPROTECTED: what is held has no stop; .* 2 \+ 1 is"):
        write("c", stop=90.0)
    write("b")  # no level any more
    write("c", stop=90.0)


class LateRules(MemoryExchange):
    """An exchange with rules of its own, for one symbol, and some candles."""

    rules = BARE

    async def order_rules(self, symbol: str) -> OrderRules:
        """Return them."""
        return self.rules


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """Return the gateway of an account that is connected; what it starts is not driven."""
    strategies.register("guarded", OWN)
    clock = JumpingClock()
    exchange = LateRules(clock, history=[candle(i) for i in range(6)])
    venue = Venue(name="local", rest="http://x", stream="ws://x", ws_api="ws://x")
    made = Service(
        GatewayConfig(account="paper", venue=venue), journal_in(tmp_path), exchange, clock
    )
    made.connected = True
    monkeypatch.setattr(made, "_drive", lambda book: None)
    yield made
    made._runners.close()


def request(name: str, exits: str = "", strategy: str = "guarded", **params: float) -> StartRequest:
    """Return the wish to start one."""
    return StartRequest(
        command_id=name, name=name, account="paper", strategy=strategy, params=dict(params),
        symbol="BTCUSDT", interval="1h", capital=Decimal(1_000), exits=exits,
    )  # fmt: skip


async def test_a_grid_with_a_stop_of_its_own_needs_an_oco_and_one_without_does_not(
    service: Service,
) -> None:
    with pytest.raises(UsageError, match=r"the stop that grid writes itself: .* leave the stop"):
        await service.start(request("no", strategy="grid", **RANGE, stop=0.7))
    assert service.books.by_name == {}
    status, _ = await service.start(request("bare", strategy="grid", **RANGE))
    assert (status, service.books.by_name["bare"].expects_stop) == (201, False)


async def test_a_start_sees_and_counts_the_stops_that_strategies_write_themselves(
    service: Service,
) -> None:
    """Only where it holds something, only after its warm-up. One slot: the second that writes one is refused."""
    with pytest.raises(UsageError, match=r"and the stop that guarded writes .* no OCO"):
        await service.start(request("no", "take_profit=2%"))
    service._exchange.rules = replace(BARE, most_stops=1)  # type: ignore[attr-defined]
    for name, below in (("without", 0.0), ("with", 0.1)):  # a stop alone needs no OCO
        await service.start(request(name, below=below))
        assert service.books.by_name[name].expects_stop is (below > 0)
    with pytest.raises(UsageError, match=r"stop that guarded writes .* \(with\): 1 \+ 1 is more"):
        await service.start(request("another"))
    assert list(service.books.by_name) == ["without", "with"]


@pytest.mark.parametrize(
    ("changes", "rules", "levels", "said"),
    [
        ({"ladder": no_ladder()}, BARE, {"stop": 80.0}, "beside a ladder needs an OCO"),
        ({}, BARE, {"stop": 80.0, "take_profit": 120.0}, "needs an OCO"),
        ({}, NO_STOPS, {"trail": 3.0}, "takes no stop orders"),
    ],
)
async def test_a_level_that_no_order_can_hold_faults_the_instance_aloud(
    tmp_path: Path,
    changes: dict[str, bytes],
    rules: OrderRules,
    levels: dict[str, float],
    said: str,
) -> None:
    """It bought at the first close; at the second its strategy wants what cannot stand: nothing is silent."""
    book, exchange, _ = await lived(
        tmp_path, [1.0, levels], until="FAULTED", rules=rules, **changes
    )
    assert book.row.state is InstanceState.FAULTED
    assert book.row.reason.startswith("UNPROTECTED: what is held has no stop; the ")
    assert said in book.row.reason
    assert [order.side for order in exchange.accepted] == ["BUY"]
    assert exchange.resting == {}
    assert book.row.last_candle_ms == 10 * HOUR
