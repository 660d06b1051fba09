"""A live ladder without processes: what rests, what a fill is answered with, and what a death leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exchanges.base import Side
from bridge.gateway import core, desk, ladder
from bridge.gateway.books import Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.ladder import LiveLadder, no_ladder
from bridge.journal_rows import Ticket, TicketStatus
from tests.bridge.deaths import Deaths
from tests.bridge.doubles import ONE, JumpingClock, MemoryExchange, instance_row, journal_in
from workbench.core.records import empty_intent
from workbench.market.instruments import SCALE

Rung = tuple[int, int, float, float, float]
GRID: tuple[Rung, ...] = tuple((i + 1, 1, 90.0 + 2 * i, 200.0, 91.5 + 2 * i) for i in range(4))


class Gateway:
    """One instance with 1,000 USDT, its ladder and an exchange in memory; it may die and be born again."""

    def __init__(self, folder: Path, *, plan: list[str] | None = None) -> None:
        self.clock = JumpingClock()
        self.exchange = MemoryExchange(self.clock, plan=plan or [])
        self.journal = journal_in(folder)
        self.journal.write(1, [instance_row(strategy="grid", ladder=no_ladder())])
        self.load()

    def load(self) -> None:
        """Fold the journal."""
        self.books = Books(self.journal)
        (row,) = self.journal.instances()
        self.book = self.books.open(row, ONE)
        self.desk = OrderDesk(self.books, self.exchange, self.clock, backend_timeout_ms=10_000)
        self.ladder = LiveLadder(self.book, self.books, self.desk, self.clock)

    async def reborn(self) -> None:
        """Do what the driver does at a start."""
        self.load()
        self.ladder.load()
        for ticket in self.book.unsettled:
            await self.desk.recover(self.book, ticket)
        await self.ladder.restore()

    async def decide(self, revision: int, *rungs: Rung, guard: str = "") -> None:
        """Carry out a decision that lays a ladder, at a close at which that guard holds."""
        intent = empty_intent()
        intent["revision"], intent["n_ladder"] = revision, len(rungs)
        for place, rung in zip(intent["ladder"], rungs, strict=False):
            place["id"], place["side"], place["price"], place["quote"], place["pair_price"] = rung
        row, cancels = self.ladder.lay(self.book.row, intent.tobytes())
        row, held = self.ladder.hold(row, guard)
        row = replace(row, seq=row.seq + 1)
        self.books.commit(self.book, core.Step(row, (row, *cancels, *held)), self.clock.wall_ms())
        await self.ladder.make_way(None)
        await self.ladder.place()

    def trade(self, name: str, quantity_e8: int) -> None:
        """Let a resting order trade at its own price; the news are heard."""
        order = self.exchange.resting[name]
        self.desk.hear(self.exchange.trade(name, quantity_e8, order.price_e8, 6_000))

    async def fill(self, name: str) -> None:
        """Let all that is left of a resting order trade, and answer it."""
        left_e8 = self.exchange.resting[name].quantity_e8 - self.exchange.reports[name].executed_e8
        self.trade(name, left_e8)
        await self.ladder.hear()

    def standing(self) -> dict[str, tuple[str, float, int]]:
        """Return side, price and quantity left of every order that stands, by client order id."""
        return {
            name: (one.side.value, one.price_e8 / SCALE, one.quantity_e8 - report.executed_e8)
            for name, one in self.exchange.resting.items()
            if not (report := self.exchange.reports[name]).final
        }

    def at(self, price: float) -> str:
        """Return the one order that stands at a price."""
        (name,) = [name for name, one in self.standing().items() if one[1] == price]
        return name

    def demand_sound(self) -> None:
        """The exchange holds what the ladder says, once; the journal alone gives the same books."""
        wanted = self.ladder._ladder.resting()
        tickets = [
            one for one in self.book.tickets.values() if one.client_order_id in self.standing()
        ]
        assert sorted(one.seq for one in tickets) == sorted(wanted)
        for one in tickets:
            order = wanted[one.seq]
            assert one.reason == f"rung {order.id}"
            assert self.standing()[one.client_order_id] == (
                order.side.value, order.price_e8 / SCALE, order.quantity_e8,
            )  # fmt: skip
        rungs = [one.reason for one in tickets]
        assert len(rungs) == len(set(rungs)), "a rung has two orders"
        account = self.books.ledger.account("one")
        locked = [one for one in self.standing().values() if one[0] == "BUY"]
        assert account.cash_locked_e8 == sum(int(price * left + 0.5) for _, price, left in locked)
        again = Books(self.journal)
        book = again.open(self.journal.instances()[0], ONE)
        assert again.ledger.account("one").cash_e8 == account.cash_e8
        assert again.ledger.account("one").base_e8 == account.base_e8
        assert book.tickets == self.book.tickets
        self.books.ledger.check_conservation()


async def test_a_fill_is_answered_with_the_opposite_order_and_that_one_with_the_first_again(
    tmp_path: Path,
) -> None:
    """200 USDT at 94 buy 2.12765 BTC; less 0.1 % and the dust of a lot 2.12552 are sold at 95.5."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    assert {one[1] for one in gateway.standing().values()} == {90.0, 92.0, 94.0, 96.0}
    assert gateway.standing()[gateway.at(94.0)] == ("BUY", 94.0, 212_765_000)
    before = gateway.at(92.0)
    await gateway.fill(gateway.at(94.0))
    bought = 212_765_000 - 212_765
    sells = [one for one in gateway.standing().values() if one[0] == "SELL"]
    assert sells == [("SELL", 95.5, bought // 1_000 * 1_000)]
    assert gateway.ladder.filled == 0b0100
    gateway.demand_sound()
    (sale,) = [name for name, one in gateway.standing().items() if one[0] == "SELL"]
    await gateway.fill(sale)
    assert gateway.standing()[gateway.at(94.0)] == ("BUY", 94.0, 212_765_000)
    assert gateway.ladder.filled == 0
    assert gateway.at(92.0) == before
    gateway.demand_sound()


async def test_an_order_that_fills_in_parts_is_answered_once_when_all_of_it_has(
    tmp_path: Path,
) -> None:
    """The parts lower what is locked; the sale covers what both brought."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, (7, 1, 90.0, 180.0, 92.0))
    name = gateway.at(90.0)
    gateway.trade(name, SCALE // 2)
    await gateway.ladder.hear()
    assert gateway.books.ledger.account("one").cash_locked_e8 == 135 * SCALE
    assert len(gateway.standing()) == 1
    gateway.demand_sound()
    await gateway.reborn()
    gateway.demand_sound()
    await gateway.fill(name)
    assert list(gateway.standing().values()) == [("SELL", 92.0, 199_800_000)]
    assert gateway.book.tickets[name].reason == "rung 7"
    gateway.demand_sound()


async def test_a_new_revision_takes_back_only_what_has_changed(tmp_path: Path) -> None:
    """Rung 2 wants another price, rung 3 is gone, rung 5 is new: the others' orders stay as they were."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    kept = [gateway.at(price) for price in (90.0, 96.0)]
    changed = (GRID[0], (2, 1, 91.0, 200.0, 92.0), GRID[3], (5, 1, 80.0, 200.0, 81.0))
    await gateway.decide(1, *changed)
    assert gateway.at(92.0)  # the same revision says nothing new
    await gateway.decide(2, *changed)
    assert [gateway.at(price) for price in (90.0, 96.0)] == kept
    assert sorted(one[1] for one in gateway.standing().values()) == [80.0, 90.0, 91.0, 96.0]
    assert len(gateway.exchange.cancels) == 2
    gateway.demand_sound()
    await gateway.decide(3)
    assert gateway.standing() == {}
    assert gateway.books.ledger.account("one").cash_locked_e8 == 0
    gateway.demand_sound()


async def test_what_cannot_be_paid_and_what_the_exchange_refuses_is_off_with_an_alarm(
    tmp_path: Path,
) -> None:
    """1,000 USDT pay five rungs of 200. One that -1013 ends leaves its cash to the last; not so afterwards."""
    gateway = Gateway(tmp_path, plan=["", "refuse"])
    gateway.exchange.refusal = -1013
    rungs = [(i, 1, 90.0 - i, 200.0, 0.0) for i in range(6)]
    await gateway.decide(1, *rungs)
    paid = [85.0, 86.0, 87.0, 88.0, 90.0]
    assert sorted(one[1] for one in gateway.standing().values()) == paid
    assert any("-1013" in one for one in gateway.journal.alarms)
    gateway.demand_sound()
    await gateway.decide(2, *rungs)
    assert sorted(one[1] for one in gateway.standing().values()) == paid
    assert "below the exchange's minimum: 1; off" in gateway.journal.alarms[-1]
    gateway.demand_sound()
    await gateway.decide(3, *rungs[1:])
    assert sorted(one[1] for one in gateway.standing().values()) == [85.0, 86.0, 87.0, 88.0, 89.0]
    gateway.demand_sound()


async def test_an_order_that_somebody_else_took_back_is_off_with_an_alarm(tmp_path: Path) -> None:
    """Cancelled on the exchange's web site: it is not sent again behind the user's back."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    name = gateway.at(94.0)
    (ended,) = await gateway.exchange.cancel_order("BTCUSDT", name)
    gateway.desk.hear(ended)
    await gateway.ladder.hear()
    assert len(gateway.standing()) == 3
    assert "that rung is off until the strategy lays its ladder anew" in gateway.journal.alarms[-1]
    gateway.demand_sound()


async def test_orders_that_a_market_order_could_meet_step_aside_and_come_back(
    tmp_path: Path,
) -> None:
    """An account does not trade with itself: sales up to 1 % above the close make way for a buy."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    for price in (92.0, 94.0):
        await gateway.fill(gateway.at(price))
    gateway.book.row = replace(gateway.book.row, last_close=94.0)
    market = Ticket(
        "wb-00000abc-z-1", "one", 99, 1, "BTCUSDT", Side.BUY, 10 * SCALE, 0, "signal", 0, 0.0,
        TicketStatus.WRITTEN, 0, 0, "",
    )  # fmt: skip
    await gateway.ladder.make_way(market)
    assert sorted(one[:2] for one in gateway.standing().values()) == [
        ("BUY", 90.0), ("BUY", 96.0), ("SELL", 95.5),
    ]  # fmt: skip
    await gateway.ladder.place()
    assert ("SELL", 93.5) in [one[:2] for one in gateway.standing().values()]
    gateway.demand_sound()


async def test_a_ladder_that_is_taken_back_leaves_nothing_at_the_exchange(tmp_path: Path) -> None:
    """A stop, a kill and a fault end it, whatever it had come to; what was bought is free to be sold."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    await gateway.fill(gateway.at(92.0))
    await gateway.ladder.take_back()
    account = gateway.books.ledger.account("one")
    assert gateway.standing() == {}
    assert (account.cash_locked_e8, account.base_locked_e8) == (0, 0)
    assert account.base_e8 > 0
    await gateway.reborn()
    assert gateway.standing() == {}


async def test_a_guard_takes_buys_back_lets_sales_stand_and_places_the_buys_again_when_it_lets_go(
    tmp_path: Path,
) -> None:
    """What a sale would be answered with waits as well; a restart in between changes nothing."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    await gateway.fill(gateway.at(94.0))
    await gateway.decide(1, guard="drawdown")
    assert [one[:2] for one in gateway.standing().values()] == [("SELL", 95.5)]
    gateway.demand_sound()
    await gateway.fill(gateway.at(95.5))
    assert gateway.standing() == {}
    await gateway.reborn()
    await gateway.decide(1, guard="drawdown")
    assert gateway.standing() == {}
    gateway.demand_sound()
    await gateway.decide(1)
    assert {one[:2] for one in gateway.standing().values()} == {
        ("BUY", price) for price in (90.0, 92.0, 94.0, 96.0)
    }
    assert gateway.standing()[gateway.at(94.0)] == ("BUY", 94.0, 212_765_000)
    gateway.demand_sound()


async def test_a_buy_that_had_begun_to_fill_is_sold_for_what_it_got_when_a_guard_takes_it_back(
    tmp_path: Path,
) -> None:
    """1 of 2.12765 BTC bought, less 0.1 %: 0.999 are for sale at 95.5, and the rest is bought no more."""
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    gateway.trade(gateway.at(94.0), SCALE)
    await gateway.decide(1, guard="cooldown_bars")
    assert list(gateway.standing().values()) == [("SELL", 95.5, 99_900_000)]
    gateway.demand_sound()
    await gateway.decide(1)
    sides = [one[0] for one in gateway.standing().values()]
    assert (sides.count("BUY"), sides.count("SELL")) == (3, 1)
    gateway.demand_sound()


async def test_a_buy_that_fills_before_its_cancel_arrives_is_answered(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    await gateway.decide(1, *GRID)
    name = gateway.at(96.0)
    order = gateway.exchange.resting[name]
    gateway.exchange.trade(name, order.quantity_e8, order.price_e8, 6_000)  # and nobody told us
    await gateway.decide(1, guard="daily_loss")
    assert [one[:2] for one in gateway.standing().values()] == [("SELL", 97.5)]
    gateway.demand_sound()


@settings(deadline=None, max_examples=20)
@given(data=st.data())
async def test_deaths_and_lost_messages_never_double_a_rung_and_lose_no_fill(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Dead at any named place, any message lost: the next process ends where an undisturbed one does."""
    gateway = Gateway(tmp_path_factory.mktemp("ladder"))
    deaths = Deaths(gateway.reborn)
    deaths.countdown = data.draw(st.integers(0, 12))
    with pytest.MonkeyPatch.context() as patched:
        for module in (desk, ladder):
            patched.setattr(module, "crash", deaths.crash)
        revision = 1
        await deaths.survive(gateway.decide(1, *GRID))
        await gateway.decide(1, *GRID)
        for _ in range(data.draw(st.integers(1, 6))):
            mishaps = st.lists(st.sampled_from(["", "drop_after", "drop_before"]), max_size=3)
            gateway.exchange.plan = data.draw(mishaps)
            deaths.countdown = data.draw(st.integers(0, 8))
            names = sorted(gateway.standing())
            if not names or data.draw(st.integers(0, 4)) == 0:
                revision += 1
                await deaths.survive(gateway.decide(revision, *GRID))
            elif data.draw(st.integers(0, 3)) == 0:
                await deaths.survive(gateway.decide(revision, guard="drawdown"))
            else:
                await deaths.survive(gateway.fill(data.draw(st.sampled_from(names))))
            gateway.exchange.plan = []
            gateway.demand_sound()
        deaths.countdown = 0
        await gateway.decide(revision + 1, *GRID)
        gateway.demand_sound()
        sides = [one[0] for one in gateway.standing().values()]
        bought, sold = _turns(gateway)
        assert sides.count("SELL") == bought - sold
        assert len(sides) == len(GRID)


def _turns(gateway: Gateway) -> tuple[int, int]:
    """Return how many buys and sales have filled whole."""
    done = [
        gateway.exchange.resting[name].side
        for name, one in gateway.exchange.reports.items()
        if one.status == "FILLED"
    ]
    return done.count(Side.BUY), done.count(Side.SELL)
