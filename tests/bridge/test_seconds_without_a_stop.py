"""How many seconds base is without a stop, whatever message is lost: 3 at most, by the code's own clock.

Every answer takes 50 ms here, and a lost message is told of after 2 s, the order timeout. The exchange in
memory notes when base is there that no stop of ours covers, so the time that news need counts as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from bridge.exchanges.base import (
    Balance,
    Doubt,
    MarketOrder,
    OrderPair,
    OrderReport,
    RestingOrder,
    Side,
)
from bridge.gateway.desk import OrderDesk
from bridge.gateway.exits import LiveExits
from bridge.journal_rows import EXIT_STOP, TicketStatus
from tests.bridge.doubles import ONE, JumpingClock
from tests.bridge.test_exits import BOTH, HELD, Gateway
from tests.bridge.test_ladder import GRID
from tests.bridge.test_ladder_exits import STOPS, Protected, StrictExchange
from workbench.core.exits import REASON_STOP
from workbench.market.instruments import SCALE

TRIP = 0.05
ORDER_TIMEOUT = 2.0
PROMISED = 3.0
CRUMB_E8 = 5_000_000  # worth 5 USDT at 100: less than an order may be
LOST, UNHEARD = "drop_before", "drop_after"
Answer = TypeVar("Answer")


@dataclass
class TimedExchange(StrictExchange):
    """Answers after a while, and knows for how long base was without a stop."""

    lose_sales: list[str] = field(
        default_factory=list
    )  # what happens to market sales; others take `plan`
    longest: float = 0.0
    sent: list[str] = field(default_factory=list)
    bare_since: float | None = None

    async def send_resting_order(self, order: RestingOrder) -> OrderReport:
        """Take a while."""
        return await self._timed(super().send_resting_order(order))

    async def send_pair(self, pair: OrderPair) -> tuple[OrderReport, ...]:
        """Take a while."""
        return await self._timed(super().send_pair(pair))

    async def cancel_order(self, symbol: str, client_order_id: str) -> tuple[OrderReport, ...]:
        """Take a while."""
        return await self._timed(super().cancel_order(symbol, client_order_id))

    async def send_market_order(self, order: MarketOrder) -> OrderReport:
        """Take a while, and lose what shall be lost of the sales."""
        if order.side is Side.BUY:
            return await self._timed(super().send_market_order(order))
        self.sent.append(order.client_order_id)
        what = self.lose_sales.pop(0) if self.lose_sales else ""
        return await self._timed(self._sell(order, what))

    async def _sell(self, order: MarketOrder, what: str) -> OrderReport:
        if what != LOST:
            await self._demand(order.quantity_e8)
            self.accepted.append(order)
        if what:
            raise Doubt(what)
        return self.report(order)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Take a while."""
        return await self._timed(super().find_order(symbol, client_order_id))

    async def balances(self) -> dict[str, Balance]:
        """Take a while."""
        return await self._timed(super().balances())

    async def _demand(self, quantity_e8: int) -> None:
        if quantity_e8 > (await StrictExchange.balances(self))["BTC"].free_e8:
            await super()._demand(10**18)

    async def _timed(self, work: Awaitable[Answer]) -> Answer:
        await self.clock.sleep(TRIP)
        try:
            return await work
        except Doubt:
            self.note()
            await self.clock.sleep(ORDER_TIMEOUT - TRIP)
            raise
        finally:
            self.note()

    def note(self) -> None:
        """Note whether base is bare now."""
        told = [*self.reports.values(), *(self.report(order) for order in self.accepted)]
        base_e8 = sum(
            trade.quantity_e8 - trade.commission_e8 if one.side is Side.BUY else -trade.quantity_e8
            for one in told
            for trade in one.trades
        )
        under_e8 = sum(
            self.resting[name].quantity_e8 - one.executed_e8
            for name, one in self.reports.items()
            if not one.final and self.resting[name].kind in STOPS
        )
        bare = base_e8 - under_e8 > CRUMB_E8
        if self.bare_since is not None:
            self.longest = max(self.longest, self.clock.now - self.bare_since)
        self.bare_since = (self.bare_since or self.clock.now) if bare else None


def timed(gateway: Gateway) -> TimedExchange:
    """Put a gateway before such an exchange."""
    made = TimedExchange(gateway.clock)
    gateway.exchange = made
    gateway.desk = OrderDesk(gateway.books, made, gateway.clock, backend_timeout_ms=10_000)
    gateway.exits = LiveExits(gateway.book, gateway.books, gateway.desk, made, gateway.clock)
    return made


def demand_sound(gateway: Gateway) -> None:
    """What is left stands under its stop, and the books hold it."""
    assert set(gateway.standing().values()) == ({gateway.base_e8 // 1_000 * 1_000} - {0})
    assert gateway.book.unprotected == ""
    gateway.books.ledger.check_conservation()


@pytest.mark.parametrize("form", ["stop=10%", BOTH])
@pytest.mark.parametrize(
    ("stop", "sales", "most"),
    [
        ("", [], 0.2),
        (UNHEARD, [], 0.2),  # it stands from the beginning, and is found
        (LOST, [], 2.4),
        (LOST, [LOST], 2.7),
        (LOST, [LOST, LOST], 2.96),
        (LOST, [UNHEARD], 2.4),
        (LOST, [LOST, UNHEARD], 2.7),
    ],
)
async def test_after_an_entry(
    tmp_path: Path, form: str, stop: str, sales: list[str], most: float
) -> None:
    gateway = Gateway(tmp_path, form)
    exchange = timed(gateway)
    exchange.plan, exchange.lose_sales = ["", stop], list(sales)
    await gateway.buy()
    exchange.note()
    assert exchange.longest <= most, exchange.longest
    assert len(exchange.sent) == (sales.count(LOST) + 1 if stop == LOST else 0)
    assert len(set(exchange.sent)) <= 1
    assert (gateway.base_e8 < 1_000) is (stop == LOST)
    demand_sound(gateway)


@pytest.mark.parametrize("losses", [0, 1, 4, 6])
@pytest.mark.parametrize("last", ["", UNHEARD])
async def test_at_a_sale_of_all_that_is_held(tmp_path: Path, losses: int, last: str) -> None:
    """The stop is taken back for it: four copies a second, and from 1.5 s on its stop stands in for it."""
    gateway = Gateway(tmp_path, "stop=10%")
    exchange = timed(gateway)
    await gateway.buy()
    exchange.longest, exchange.lose_sales = 0.0, [LOST] * losses + [last]
    await gateway.exits.sell("signal")
    await gateway.exits.protect()
    exchange.note()
    assert exchange.longest <= min(0.4 + 0.35 * losses, PROMISED), exchange.longest
    assert gateway.base_e8 < 1_000
    assert len([one for one in exchange.accepted if one.side is Side.SELL]) == 1
    demand_sound(gateway)


@pytest.mark.parametrize(
    ("sale", "stop", "sales", "most"),
    [
        (LOST, "", [], 1.8),
        (LOST, LOST, [], 2.6),
        (LOST, LOST, [LOST], 2.7),
        (LOST, LOST, [LOST, LOST], 2.96),
        (LOST, UNHEARD, [], 1.8),
        (UNHEARD, "", [], 2.6),  # found when it was searched for
    ],
)
async def test_at_a_sale_of_a_part(
    tmp_path: Path, sale: str, stop: str, sales: list[str], most: float
) -> None:
    """The sale is lost, then the stop in its place, then the sale for that one: still in time."""
    gateway = Gateway(tmp_path, "stop=10%")
    exchange = timed(gateway)
    await gateway.buy()
    exchange.plan, exchange.lose_sales = ["", stop], [sale, *sales]
    exchange.longest = 0.0
    await gateway.exits.sell("signal", most_e8=SCALE)
    await gateway.exits.protect()
    exchange.note()
    assert exchange.longest <= most, exchange.longest
    assert (gateway.base_e8 < 1_000) if stop == LOST else (gateway.base_e8 == HELD - SCALE)
    demand_sound(gateway)


class TimedLadder(Protected):
    """A ladder with exits before an exchange whose answers take a while."""

    def load(self) -> None:
        """Fold the journal."""
        if not isinstance(self.exchange, TimedExchange):
            self.exchange = TimedExchange(self.clock)
        super().load()


async def grid(folder: Path, *bought: float) -> tuple[TimedLadder, TimedExchange]:
    """Return a gateway whose grid, stop 80 and take-profit 99, has bought at these prices."""
    gateway = TimedLadder(folder)
    exchange = TimedExchange(gateway.clock)
    gateway.exchange = exchange
    gateway.load()
    await gateway.close(1, *GRID, stop=80.0, gain=99.0)
    for price in bought:
        await gateway.fill(gateway.at(price))
    gateway.demand_protected()
    exchange.longest = 0.0
    return gateway, exchange


@pytest.mark.parametrize("bought", [(), (94.0, 92.0)])
@pytest.mark.parametrize(
    ("pair", "sales", "most"),
    [
        (UNHEARD, [], 0.6),
        (LOST, [], 2.6),
        (LOST, [LOST, LOST], 2.96),
        (LOST, [UNHEARD], 2.6),
    ],
)
async def test_after_a_rungs_buy_whose_sale_and_stop_are_of_unknown_fate(
    tmp_path: Path, bought: tuple[float, ...], pair: str, sales: list[str], most: float
) -> None:
    """What the lost pair would have locked is sold; others' pairs keep their stops until its fate is known."""
    gateway, exchange = await grid(tmp_path, *bought)
    before_e8 = gateway.base_e8
    exchange.plan, exchange.lose_sales = [pair], list(sales)
    await gateway.fill(gateway.at(96.0))
    exchange.note()
    assert exchange.longest <= most, exchange.longest
    if pair == UNHEARD:
        assert exchange.sent == []
        gateway.demand_protected()
        return
    assert [one.status for one in gateway.book.tickets.values() if one.reason == EXIT_STOP][:1] == [
        TicketStatus.DONE
    ]
    assert abs(gateway.base_e8 - before_e8) <= 2 * ONE.step_e8
    assert gateway.book.protection.reason == REASON_STOP or before_e8
    gateway.demand_protected(crumb_e8=2 * ONE.step_e8)
    assert gateway.sales() == (
        [(99.0, "LIMIT_MAKER", 80.0)] if before_e8 else []
    )  # no ladder any more


async def test_after_a_rungs_buy_while_the_fate_of_anothers_buy_is_unknown(tmp_path: Path) -> None:
    """The buy at 94 is laid anew and lost; meanwhile the one at 96 fills: the rest's stop covers it."""
    gateway, exchange = await grid(tmp_path)
    rungs = (*GRID[:2], (3, 1, 93.0, 200.0, 95.5), GRID[3])
    exchange.plan = ["", LOST]
    name = gateway.at(96.0)

    async def fill_later() -> None:
        await gateway.clock.sleep(4.0)
        gateway.trade(name, gateway.left_e8(name))
        exchange.note()

    filling = asyncio.ensure_future(fill_later())
    await gateway.close(2, *rungs, stop=80.0, gain=99.0)
    await filling
    await gateway.watch.hear()
    assert exchange.longest <= PROMISED, exchange.longest
    assert exchange.sent == []
    gateway.demand_protected()
    assert gateway.sales() == [(97.5, "LIMIT_MAKER", 80.0)]
    assert isinstance(gateway.clock, JumpingClock)
