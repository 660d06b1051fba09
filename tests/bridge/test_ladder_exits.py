"""Exits beside a live ladder without processes: how the base is parted, and what a death or a lost message leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exchanges.base import (
    MarketOrder,
    OrderKind,
    OrderPair,
    OrderReport,
    OrderRules,
    Refused,
    RestingOrder,
    Side,
)
from bridge.gateway import core, desk, exits, ladder
from bridge.gateway.exits import LiveExits
from bridge.gateway.ladder_exits import LadderExits
from bridge.gateway.parting import Levels, Place, part
from tests.bridge.deaths import Deaths
from tests.bridge.doubles import ONE, MemoryExchange
from tests.bridge.test_ladder import GRID, Gateway, Rung
from workbench.core.exits import REASON_STOP, REASON_TAKE_PROFIT, REASON_TIME
from workbench.core.records import empty_intent
from workbench.execution.ladder import RungOrder
from workbench.execution.orders import Side as OrderSide
from workbench.market.instruments import SCALE

SLOTS = OrderRules(most_stops=3)
STOPS = (OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT)


class StrictExchange(MemoryExchange):
    """Refuses to sell what is not there or locked already; an OCO locks its base once."""

    async def _demand(self, quantity_e8: int) -> None:
        if quantity_e8 > (await self.balances())["BTC"].free_e8:
            raise Refused(-2010, "Account has insufficient balance for requested action.")

    async def send_resting_order(self, order: RestingOrder) -> OrderReport:
        """Look at the balance first."""
        if order.side is Side.SELL:
            await self._demand(order.quantity_e8)
        return await super().send_resting_order(order)

    async def send_pair(self, pair: OrderPair) -> tuple[OrderReport, ...]:
        """Look at the balance first."""
        await self._demand(pair.stop.quantity_e8)
        return await super().send_pair(pair)

    async def send_market_order(self, order: MarketOrder) -> OrderReport:
        """Look at the balance first."""
        if order.side is Side.SELL:
            await self._demand(order.quantity_e8)
        return await super().send_market_order(order)


class Protected(Gateway):
    """A ladder with exits: what its driver does, without a driver."""

    def __init__(self, folder: Path, form: str = "", rules: OrderRules = SLOTS) -> None:
        self.rules, self.form = rules, form
        super().__init__(folder)
        self.exchange = StrictExchange(self.clock)
        self.load()

    def load(self) -> None:
        """Fold the journal."""
        super().load()
        if self.book.row.exits != self.form:
            row = replace(self.book.row, exits=self.form)
            self.journal.write(1, [row])
            super().load()
        self.book.rules = self.rules
        parts = (self.book, self.books, self.desk, self.exchange, self.clock)
        self.exits = LiveExits(*parts)
        self.watch = LadderExits(self.book, self.books, self.ladder, self.exits, self.clock)

    async def reborn(self) -> None:
        """Do what the driver does at a start."""
        self.load()
        self.ladder.load()
        for ticket in self.book.resting:
            await self.desk.recover(self.book, ticket)
        if self.book.unsettled:
            await self.desk.catch_up(self.book)
            await self.exits.protect_before_search()
        for ticket in self.book.unsettled:
            if not ticket.rests:
                await self.desk.recover(self.book, ticket)
        await self.exits.act_if_due()
        await self.exits.protect()
        await self.ladder.restore()
        await self.watch.protect()

    async def close(
        self, revision: int, *rungs: Rung, high: float = 97.0, stop: float = 0.0, gain: float = 0.0
    ) -> None:
        """Carry out a decision that lays a ladder and writes levels."""
        intent = empty_intent()
        intent["revision"], intent["n_ladder"] = revision, len(rungs)
        intent["stop"], intent["take_profit"] = stop, gain
        for place, rung in zip(intent["ladder"], rungs, strict=False):
            place["id"], place["side"], place["price"], place["quote"], place["pair_price"] = rung
        await self.watch.hear()
        self.book.protection.follow(intent.tobytes(), high, is_open=self.exits.is_open)
        row, cancels = self.ladder.lay(self.book.row, intent.tobytes())
        row = replace(row, seq=row.seq + 1, plan=self.book.protection.saved())
        self.books.commit(self.book, core.Step(row, (row, *cancels)), self.clock.wall_ms())
        await self.ladder.make_way(None)
        await self.exits.act_if_due()
        await self.ladder.place()
        await self.watch.protect()

    async def fill(self, name: str) -> None:
        """Let all that is left of an order trade at its own price, and answer it."""
        await self.part(name, self.left_e8(name))

    async def part(self, name: str, quantity_e8: int) -> None:
        """Let a part of an order trade at its own price, and answer it."""
        self.trade(name, quantity_e8)
        if name in self.exchange.partner:
            self.desk.hear(self.exchange.reports[self.exchange.partner[name]])
        await self.watch.hear()

    def left_e8(self, name: str) -> int:
        """Return how much of an order has not traded."""
        return self.exchange.resting[name].quantity_e8 - self.exchange.reports[name].executed_e8

    async def stop_out(self) -> None:
        """Let the price fall to the stops: all that stand sell, the news of each heard as it comes."""
        for name in [one for one in self.standing() if self.exchange.resting[one].kind in STOPS]:
            stop_e8 = self.exchange.resting[name].stop_e8
            report = self.exchange.trade(name, self.left_e8(name), stop_e8, 6_000)
            partner = self.exchange.partner.get(name)
            if partner:
                self.desk.hear(self.exchange.reports[partner])  # the end of the sale is told first
            self.desk.hear(report)
            await self.watch.hear()

    def sales(self) -> list[tuple[float, str, float]]:
        """Return (price, kind, stop beside it) of every sale that stands, the stop of a pair not for itself."""
        found = []
        for name in self.standing():
            one = self.exchange.resting[name]
            partner = self.exchange.resting.get(self.exchange.partner.get(name, ""))
            if one.side is Side.BUY or (one.kind in STOPS and partner is not None):
                continue
            stop_e8 = partner.stop_e8 if partner else one.stop_e8
            found.append((one.price_e8 / SCALE, one.kind.value, stop_e8 / SCALE))
        return sorted(found)

    def stops_e8(self) -> int:
        """Return what stands in stops."""
        return sum(
            self.left_e8(one) for one in self.standing() if self.exchange.resting[one].kind in STOPS
        )

    @property
    def base_e8(self) -> int:
        """Return the whole lots that the instance owns."""
        return self.books.ledger.account("one").base_e8 // ONE.step_e8 * ONE.step_e8

    def demand_protected(self, *, crumb_e8: int = 0) -> None:
        """All that is owned (but a crumb) has one stop, no rung two orders, and the books hold it."""
        assert 0 <= self.base_e8 - self.stops_e8() <= crumb_e8
        assert self.book.unprotected == ""
        live = [one for one in self.book.resting if one.reason.startswith("rung")]
        assert len({one.reason for one in live}) == len(live)
        assert {one.client_order_id for one in self.book.resting} == set(self.standing())
        self.books.ledger.check_conservation()


async def filled(folder: Path, *prices: float, **more: object) -> Protected:
    """Return a gateway whose grid, stop 80 and take-profit 99, has bought at these prices."""
    gateway = Protected(folder, **more)  # type: ignore[arg-type]
    await gateway.close(1, *GRID, stop=80.0, gain=99.0)
    for price in prices:
        await gateway.fill(gateway.at(price))
        gateway.demand_protected()
    return gateway


async def test_the_nearest_sales_rest_with_a_stop_and_all_others_base_in_one_order(
    tmp_path: Path,
) -> None:
    """Three slots: three sales take them all; with a fourth, two sales, and a pair of the exits for the others."""
    gateway = await filled(tmp_path, 96.0, 94.0, 92.0)
    assert gateway.sales() == [(one, "LIMIT_MAKER", 80.0) for one in (93.5, 95.5, 97.5)]
    await gateway.fill(gateway.at(90.0))
    gateway.demand_protected()
    assert gateway.sales() == [(one, "LIMIT_MAKER", 80.0) for one in (91.5, 93.5, 99.0)]
    await gateway.fill(gateway.at(91.5))  # its buy rests again, and those held back move up
    gateway.demand_protected()
    assert gateway.sales() == [(one, "LIMIT_MAKER", 80.0) for one in (93.5, 95.5, 97.5)]
    assert gateway.ladder.filled == 0b1110


async def test_a_stop_that_trades_ends_the_ladder_and_another_begins_with_nothing(
    tmp_path: Path,
) -> None:
    gateway = await filled(tmp_path, 96.0, 94.0, 92.0)
    await gateway.stop_out()
    assert gateway.standing() == {}
    assert gateway.base_e8 == 0
    assert gateway.book.protection.reason == REASON_STOP
    assert gateway.exchange.accepted == []  # the exchange alone has sold
    assert not any("exchange ended" in one for one in gateway.journal.alarms)
    await gateway.close(1, *GRID, stop=80.0)  # the same revision says nothing new
    assert gateway.standing() == {}
    await gateway.close(2, *GRID, stop=80.0)
    assert {one[0] for one in gateway.standing().values()} == {"BUY"}
    await gateway.fill(gateway.at(96.0))
    gateway.demand_protected(crumb_e8=ONE.step_e8)  # the dust of both positions makes a lot
    assert gateway.sales() == [(97.5, "LIMIT_MAKER", 80.0)]


async def test_what_reaches_the_take_profit_leaves_in_one_order(tmp_path: Path) -> None:
    """A sale above the take-profit is held back for ever: the price comes to that one first."""
    gateway = Protected(tmp_path)
    await gateway.close(1, (1, 1, 90.0, 200.0, 91.5), (2, 1, 92.0, 200.0, 120.0), gain=99.0)
    await gateway.fill(gateway.at(92.0))
    await gateway.fill(gateway.at(90.0))
    assert gateway.sales() == [(91.5, "LIMIT", 0.0), (99.0, "LIMIT_MAKER", 0.0)]
    await gateway.fill(gateway.at(91.5))
    await gateway.fill(gateway.at(99.0))
    assert gateway.standing() == {}
    assert gateway.book.protection.reason == REASON_TAKE_PROFIT
    assert (gateway.base_e8, gateway.exchange.accepted) == (0, [])


async def test_parts_of_a_buy_and_of_a_sale_leave_nothing_without_a_stop(tmp_path: Path) -> None:
    """A part of a pair's sale ends its stop: what is left gets another pair."""
    gateway = await filled(tmp_path, 96.0)
    name = gateway.at(94.0)
    await gateway.part(name, gateway.left_e8(name) // 2 // 1000 * 1000)
    gateway.demand_protected()
    sale = gateway.at(97.5)
    left_e8 = gateway.left_e8(sale)
    await gateway.part(sale, SCALE)
    gateway.demand_protected()
    assert gateway.left_e8(gateway.at(97.5)) == left_e8 - SCALE


async def test_a_stop_that_moves_takes_all_pairs_with_it(tmp_path: Path) -> None:
    """5 % below the highest high: every pair is placed anew, and no more than that."""
    gateway = Protected(tmp_path, "trail=5%")
    await gateway.close(1, *GRID)
    for price in (96.0, 94.0):
        await gateway.fill(gateway.at(price))
    assert gateway.sales() == [(95.5, "LIMIT_MAKER", 91.2), (97.5, "LIMIT_MAKER", 91.2)]
    await gateway.close(1, *GRID, high=97.0)
    assert gateway.sales() == [(95.5, "LIMIT_MAKER", 92.15), (97.5, "LIMIT_MAKER", 92.15)]
    gateway.demand_protected()
    orders = len(gateway.exchange.resting)
    await gateway.close(1, *GRID, high=96.5)
    assert len(gateway.exchange.resting) == orders


async def test_a_time_stop_sells_all_at_market_and_ends_the_ladder(tmp_path: Path) -> None:
    gateway = Protected(tmp_path, "stop=10%,time_stop=2")
    await gateway.close(1, *GRID)
    await gateway.fill(gateway.at(96.0))
    for _ in range(2):
        gateway.books.ledger.end_candle("one")
        await gateway.close(1, *GRID)
    assert gateway.standing() == {}
    assert gateway.base_e8 == 0
    assert gateway.book.protection.reason == REASON_TIME


async def test_a_pair_that_is_refused_sells_alone_or_waits_under_the_rests_stop(
    tmp_path: Path,
) -> None:
    """A foreign stop has taken a slot: the sale is held back; nothing is without a stop, nothing is off."""
    gateway = await filled(tmp_path, 96.0, 94.0)
    gateway.exchange.refusal, gateway.exchange.plan = -1013, ["refuse"]
    await gateway.fill(gateway.at(92.0))
    assert gateway.exchange.plan == []
    gateway.demand_protected()
    assert len(gateway.sales()) == 3


@pytest.mark.parametrize(
    ("low", "high", "ends"), [(80.0, 95.0, True), (81.0, 95.0, False), (81.0, 99.5, True)]
)
async def test_a_crumb_that_no_order_can_hold_ends_the_ladder_where_a_level_is_reached(
    tmp_path: Path, low: float, high: float, ends: bool
) -> None:
    """4 USDT of base are left of a part of a buy: the backtests' exit is refused there, and takes the ladder back."""
    gateway = await filled(tmp_path)
    await gateway.part(gateway.at(96.0), 4_000_000)
    gateway.demand_protected(crumb_e8=4_000_000)
    await gateway.watch.leave_crumb(low, high)
    assert (gateway.standing() == {}) is ends
    assert any("below the exchange's minimum" in one for one in gateway.journal.alarms) is ends
    assert (gateway.book.protection.stop_e8 == 0) is ends


async def test_what_is_bare_while_the_gateway_is_down_is_told_with_its_figure(
    tmp_path: Path,
) -> None:
    """Four buys rest for 200 each, to the lot: less than 800 USDT; two of them filled, less than 400."""
    gateway = await filled(tmp_path)
    (said,) = [one for one in gateway.journal.alarms if "UNPROTECTED IF DOWN" in one]
    assert "may spend 799.99" in said
    for price in (96.0, 94.0):
        await gateway.fill(gateway.at(price))
    assert gateway.book.exposed_if_down_e8 // SCALE == 399
    without = Protected(tmp_path / "other") if (tmp_path / "other").mkdir() is None else gateway
    await without.close(1, *GRID, gain=99.0)
    assert without.book.exposed_if_down_e8 == 0


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_parting_covers_all_base_once_and_counts_its_slots(data: st.DataObject) -> None:
    """Whatever sales, base and levels: the stops are at most the slots, the nearest sales are the ones that stand."""
    lots = st.integers(60_000, 500_000).map(lambda lot: lot * ONE.step_e8)
    count = data.draw(st.integers(0, 8))
    sales = [
        RungOrder(
            i + 1, i, OrderSide.SELL, data.draw(st.integers(90, 130)) * SCALE, data.draw(lots), 0
        )
        for i in range(count)
    ]
    free_e8 = data.draw(st.integers(0, 3 * SCALE))
    base_e8 = sum(one.quantity_e8 for one in sales) + free_e8
    levels = Levels(
        data.draw(st.sampled_from([0, 80 * SCALE])), data.draw(st.sampled_from([0, 110 * SCALE]))
    )
    slots = data.draw(st.integers(1, 5))
    found = part(sales, levels, base_e8=base_e8, slots=slots, rules=ONE)
    placed = [one for one in sales if found.places[one.rung] is not Place.HELD_BACK]
    assert found.spoken_e8 == sum(one.quantity_e8 for one in placed)
    rest_e8 = (base_e8 - found.spoken_e8) // ONE.step_e8 * ONE.step_e8
    worth_e8 = rest_e8 * (levels.stop_e8 or levels.gain_e8) // SCALE
    crumb = worth_e8 < ONE.min_notional_e8
    if levels.stop_e8:
        assert len(placed) + (not crumb) <= slots
    if (
        levels.any and rest_e8 and crumb
    ):  # what cannot have an order of its own is left by one sale alone
        assert len(placed) <= 1
    if levels.gain_e8:
        assert all(one.price_e8 <= levels.gain_e8 for one in placed)
    held = [
        one
        for one in sales
        if one not in placed and not (levels.gain_e8 and one.price_e8 > levels.gain_e8)
    ]
    assert max((one.price_e8 for one in placed), default=0) <= min(
        (one.price_e8 for one in held), default=2**62
    )
    if not levels.any:
        assert placed == sales


@settings(deadline=None, max_examples=25)
@given(data=st.data())
async def test_deaths_and_lost_messages_leave_all_base_under_one_stop_each(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Dead at any named place, any message lost: no sale twice, none beyond what is owned, all protected again."""
    gateway = await filled(tmp_path_factory.mktemp("levels"))
    deaths, revision = Deaths(gateway.reborn), 1
    with pytest.MonkeyPatch.context() as patched:
        for module in (desk, ladder, exits):
            patched.setattr(module, "crash", deaths.crash)
        for _ in range(data.draw(st.integers(1, 7))):
            mishaps = st.lists(st.sampled_from(["", "drop_after", "drop_before"]), max_size=3)
            gateway.exchange.plan = data.draw(mishaps)
            deaths.countdown = data.draw(st.integers(0, 10))
            what = data.draw(st.sampled_from(["fill", "fill", "fill", "part", "close", "stop"]))
            names = sorted(
                name for name in gateway.standing() if gateway.exchange.resting[name].price_e8
            )
            if what == "stop":
                await deaths.survive(gateway.stop_out())
            elif what == "close" or not names:
                revision += not names
                await deaths.survive(gateway.close(revision, *GRID, stop=80.0, gain=99.0))
            else:
                name = data.draw(st.sampled_from(names))
                left_e8 = gateway.left_e8(name)
                half_e8 = left_e8 // 2000 * 1000 or left_e8
                await deaths.survive(gateway.part(name, left_e8 if what == "fill" else half_e8))
            gateway.exchange.plan, deaths.countdown = [], 0
            await deaths.survive(gateway.watch.hear())
            gateway.demand_protected(crumb_e8=ONE.min_notional_e8 // 80)
    gateway.journal.close()
