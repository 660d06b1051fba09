"""Protective exits of a live instance without processes: what stands, what a sale does, and what no answer means."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exchanges.base import Balance, MarketOrder, OrderKind, OrderReport, OrderRules
from bridge.gateway import core, desk, exits
from bridge.gateway.books import Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.driver import Driver
from bridge.gateway.exits import LiveExits
from bridge.journal_rows import DecisionRow, InstanceState, Ticket, TicketStatus
from bridge.runner_link import RunnerFactory
from tests.bridge.deaths import Deaths
from tests.bridge.doubles import ONE, JumpingClock, MemoryExchange, instance_row, journal_in, ticket
from tests.bridge.test_ladder_exits import StrictExchange
from workbench.core.exits import REASON_STOP, REASON_TAKE_PROFIT, REASON_TIME, REASON_TRAIL
from workbench.core.records import empty_intent
from workbench.market.instruments import SCALE

HELD = 499_500_000  # 5 BTC for 500 USDT, less the fee
BOTH = "stop=10%,take_profit=20%"


class Gateway:
    """One instance with 1,000 USDT and exits, and an exchange in memory; it may die and be born again."""

    def __init__(self, folder: Path, form: str, rules: OrderRules | None = None) -> None:
        self.clock = JumpingClock()
        self.exchange = MemoryExchange(self.clock)
        self.journal = journal_in(folder)
        self.journal.write(1, [instance_row(exits=form)])
        self.rules = rules or OrderRules()
        self.load()

    def load(self) -> None:
        """Fold the journal."""
        self.books = Books(self.journal)
        (row,) = self.journal.instances()
        self.book = self.books.open(row, ONE, self.rules)
        self.desk = OrderDesk(self.books, self.exchange, self.clock, backend_timeout_ms=10_000)
        self.exits = LiveExits(self.book, self.books, self.desk, self.exchange, self.clock)

    async def reborn(self) -> None:
        """Do what the driver does at a start."""
        self.load()
        for one in self.book.resting:
            await self.desk.recover(self.book, one)
        await self.desk.catch_up(self.book)
        await self.exits.protect_before_search()
        for one in self.book.unsettled:
            if not one.rests:
                await self.desk.recover(self.book, one)
        await self.exits.protect()

    def write(self, one: Ticket) -> Ticket:
        """Journal a market ticket."""
        row = replace(self.book.row, seq=one.seq)
        self.books.commit(self.book, core.Step(row, (row, one)), self.clock.wall_ms())
        return one

    async def buy(self, quote: int = 500) -> None:
        """Buy at 100 and protect."""
        seq = self.book.row.seq + 1
        await self.desk.carry_out(self.book, self.write(ticket(seq, quote_e8=quote * SCALE)))
        await self.exits.protect()

    async def close(self, high: float, **levels: float) -> None:
        """Let a candle close that reached `high`; the strategy writes these levels."""
        intent = empty_intent()
        for name, value in levels.items():
            intent[name] = value
        account = self.books.ledger.account("one")
        self.books.ledger.end_candle("one")
        self.book.protection.follow(intent.tobytes(), high, is_open=account.is_open)
        seq = self.book.row.seq + 1
        row = replace(self.book.row, seq=seq, plan=self.book.protection.saved())
        bar = DecisionRow("one", seq, seq, "bar", 1.0, False, "", 0.0, 0.0, 0.0, False, "", b"", "")
        self.books.commit(self.book, core.Step(row, (row, bar)), self.clock.wall_ms())
        await self.exits.act_if_due()
        await self.exits.protect()

    async def trade(self, name: str, quantity_e8: int) -> None:
        """Let a resting order trade at its own price; the news are heard and answered."""
        order = self.exchange.resting[name]
        price_e8 = order.price_e8 or order.stop_e8
        self.desk.hear(self.exchange.trade(name, quantity_e8, price_e8, 6_000))
        await self.exits.hear()

    def standing(self) -> dict[tuple[str, float], int]:
        """Return the quantity left of every order that stands, by kind and price."""
        return {
            (one.kind.value, (one.stop_e8 or one.price_e8) / SCALE): one.quantity_e8 - report.executed_e8
            for name, one in self.exchange.resting.items()
            if not (report := self.exchange.reports[name]).final
        }  # fmt: skip

    def name_of(self, kind: OrderKind) -> str:
        """Return the client order id of the one order of that kind that stands."""
        (name,) = [
            one.client_order_id
            for one in self.exchange.resting.values()
            if one.kind is kind and not self.exchange.reports[one.client_order_id].final
        ]
        return name

    @property
    def base_e8(self) -> int:
        """Return what the instance holds."""
        return self.books.ledger.account("one").base_e8

    def demand_sound(self) -> None:
        """What is held is protected once, or an alarm stands; the journal alone gives the same books."""
        quantities = list(self.standing().values())
        if self.books.ledger.account("one").is_open and not self.book.unprotected:
            assert set(quantities) == {self.base_e8 // 1_000 * 1_000}
            assert len(quantities) == 2
        else:
            assert quantities == []
        again = Books(self.journal)
        book = again.open(self.journal.instances()[0], ONE)
        assert again.ledger.account("one") == self.books.ledger.account("one")
        assert book.protection.saved() == self.book.protection.saved()
        self.books.ledger.check_conservation()


async def test_an_entry_is_followed_by_a_pair_of_the_net_quantity(tmp_path: Path) -> None:
    """P = 100: the stop at 90, the take-profit at 120, for 4.995 BTC of the 5 bought."""
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    assert gateway.standing() == {("STOP_LOSS", 90.0): HELD, ("LIMIT_MAKER", 120.0): HELD}
    await gateway.exits.protect()
    assert len(gateway.exchange.resting) == 2  # what stands is left alone
    gateway.demand_sound()


@pytest.mark.parametrize(
    ("form", "stands"),
    [("stop=10", {("STOP_LOSS", 90.0)}), ("take_profit=10", {("LIMIT_MAKER", 110.0)}), ("", set())],
)
async def test_a_single_exit_stands_alone(
    tmp_path: Path, form: str, stands: set[tuple[str, float]]
) -> None:
    gateway = Gateway(tmp_path, form)
    await gateway.buy()
    assert set(gateway.standing()) == stands


async def test_a_second_buy_renews_the_pair_for_the_average_price(tmp_path: Path) -> None:
    """Another 300 USDT at 100: still 90 and 120, for 7.992 BTC; the old pair is gone."""
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    await gateway.buy(300)
    assert set(gateway.standing().values()) == {799_200_000}
    assert len(gateway.exchange.resting) == 4
    gateway.demand_sound()


async def test_a_stop_sells_ends_its_partner_and_tells_its_reason(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    await gateway.trade(gateway.name_of(OrderKind.STOP_LOSS), HELD)
    assert gateway.standing() == {}
    assert gateway.book.protection.reason == REASON_STOP
    await gateway.close(100)
    assert gateway.standing() == {}  # the levels went with the position
    gateway.demand_sound()


async def test_a_take_profit_that_fills_in_part_leaves_the_rest_protected(tmp_path: Path) -> None:
    """The exchange ends the stop with the first fill: the rest gets a pair of its own at once."""
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    await gateway.trade(gateway.name_of(OrderKind.LIMIT_MAKER), 2 * SCALE)
    left = HELD - 2 * SCALE
    assert gateway.standing() == {("STOP_LOSS", 90.0): left, ("LIMIT_MAKER", 120.0): left}
    assert gateway.book.protection.reason == REASON_TAKE_PROFIT
    gateway.demand_sound()


async def test_a_trailing_stop_moves_when_a_candle_closes_and_gives_its_name(
    tmp_path: Path,
) -> None:
    """5 % below the highest high: 95, then 104.5 at a high of 110, and there it stays at a high of 105."""
    gateway = Gateway(tmp_path, "trail=5%,stop=10%")
    await gateway.buy()
    assert set(gateway.standing()) == {("STOP_LOSS", 95.0)}
    await gateway.close(110.0)
    assert set(gateway.standing()) == {("STOP_LOSS", 104.5)}
    await gateway.close(105.0)
    assert len(gateway.exchange.resting) == 2
    await gateway.trade(gateway.name_of(OrderKind.STOP_LOSS), HELD)
    assert gateway.book.protection.reason == REASON_TRAIL


async def test_levels_that_the_strategy_writes_win_over_the_overlay(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    await gateway.close(101.0, stop=97.0, take_profit=130.004)
    assert set(gateway.standing()) == {("STOP_LOSS", 97.0), ("LIMIT_MAKER", 130.01)}
    await gateway.close(101.0)
    assert set(gateway.standing()) == {("STOP_LOSS", 90.0), ("LIMIT_MAKER", 120.0)}


async def test_a_position_that_was_held_long_enough_is_sold_at_market(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "stop=10%,time_stop=2")
    await gateway.buy()
    await gateway.close(100.0)
    assert set(gateway.standing()) == {("STOP_LOSS", 90.0)}
    await gateway.close(100.0)
    assert gateway.standing() == {}
    assert gateway.base_e8 < 1_000
    assert gateway.book.protection.reason == REASON_TIME
    assert [one.side for one in gateway.exchange.accepted] == ["BUY", "SELL"]


async def test_a_signals_sale_takes_the_exits_back_and_sells_what_they_left(tmp_path: Path) -> None:
    """The stop traded 2 BTC that nobody had told of: 2.995 are left to sell; with all gone, nothing."""
    for traded, left in ((2 * SCALE, HELD - 2 * SCALE), (HELD, None)):
        folder = tmp_path / str(traded)
        folder.mkdir()
        gateway = Gateway(folder, BOTH)
        await gateway.buy()
        gateway.exchange.trade(gateway.name_of(OrderKind.STOP_LOSS), traded, 90 * SCALE, 6_000)
        sale = gateway.write(core.sale(replace(gateway.book.row, seq=9), HELD, "signal"))
        way = await gateway.exits.make_way(sale, was_open=True)
        assert (way.quantity_e8 if way else None) == left
        assert gateway.standing() == {}
        state = gateway.book.tickets[sale.client_order_id].status
        assert state is (TicketStatus.WRITTEN if left else TicketStatus.VOID)


@pytest.mark.parametrize("losses", [1, 2])
async def test_a_sale_of_all_that_is_held_goes_again_under_its_id_where_it_was_lost(
    tmp_path: Path, losses: int
) -> None:
    """Until no copy can arrive any more nothing is bought that it could sell."""
    gateway = Gateway(tmp_path, "stop=10%")
    await gateway.buy()
    gateway.exchange.plan = ["", *["drop_before"] * losses]
    await gateway.exits.sell("signal")
    (sale,) = [one for one in gateway.exchange.accepted if one.side == "SELL"]
    assert gateway.book.tickets[sale.client_order_id].attempt == 1
    assert gateway.base_e8 < 1_000
    assert gateway.desk.in_doubt("BTCUSDT")
    await gateway.clock.sleep(13)
    assert not gateway.desk.in_doubt("BTCUSDT")


@pytest.mark.parametrize("losses", [1, 2, 4])
async def test_a_sale_of_a_part_that_never_arrives_is_sold_anew_and_at_last_protected(
    tmp_path: Path, losses: int
) -> None:
    """A new ticket each time, at most four; while each is searched for the exits stand."""
    gateway = Gateway(tmp_path, "stop=10%")
    await gateway.buy()
    gateway.exchange.plan = ["", "drop_before", ""] * losses
    await gateway.exits.sell("signal", most_e8=SCALE)
    gateway.exchange.plan = []
    await gateway.exits.protect()
    sales = [one.status for one in gateway.book.tickets.values() if one.reason == "signal"][1:]
    assert sales == [TicketStatus.VOID] * losses + [TicketStatus.DONE] * (losses < 4)
    assert gateway.standing() == {("STOP_LOSS", 90.0): HELD - SCALE * (losses < 4)}


async def test_an_entry_after_a_stop_that_was_quicker_is_spent(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    more = gateway.write(ticket(9))
    await gateway.trade(gateway.name_of(OrderKind.STOP_LOSS), HELD)
    assert await gateway.exits.make_way(more, was_open=True) is None
    assert gateway.book.tickets[more.client_order_id].status is TicketStatus.VOID


@pytest.mark.parametrize(("form", "refusals"), [("stop=10%", 1), (BOTH, 2)])
async def test_a_stop_that_would_trigger_at_once_sells_at_market(
    tmp_path: Path, form: str, refusals: int
) -> None:
    """F21: -2010 says that the price has passed it already."""
    gateway = Gateway(tmp_path, form)
    gateway.exchange.plan = ["", *["refuse"] * refusals]
    await gateway.buy()
    assert gateway.standing() == {}
    assert [one.side for one in gateway.exchange.accepted] == ["BUY", "SELL"]
    assert gateway.book.protection.reason == REASON_STOP
    gateway.demand_sound()


async def test_a_take_profit_that_was_passed_sells_and_one_that_cannot_stand_is_told(
    tmp_path: Path,
) -> None:
    """The stop alone is accepted: so the pair failed for the other. -2010 sells, a filter alarms."""
    for code, sides in ((-2010, ["BUY", "SELL"]), (-1013, ["BUY"])):
        folder = tmp_path / str(code)
        folder.mkdir()
        gateway = Gateway(folder, BOTH)
        gateway.exchange.plan, gateway.exchange.refusal = ["", "refuse"], code
        await gateway.buy()
        assert [one.side for one in gateway.exchange.accepted] == sides
        if code == -1013:
            assert set(gateway.standing()) == {("STOP_LOSS", 90.0)}
            assert "no take-profit stands" in gateway.journal.alarms[-1]
            await gateway.exits.protect()
            assert len(gateway.exchange.resting) == 1  # nor is it tried at every candle


async def test_a_position_that_can_neither_be_protected_nor_sold_raises_the_alarm(
    tmp_path: Path,
) -> None:
    """Then it is tried again every 5 s, and said when it holds."""
    gateway = Gateway(tmp_path, BOTH)
    gateway.exchange.plan, gateway.exchange.refusal = ["", *["refuse"] * 3], -1000
    await gateway.buy()
    assert gateway.standing() == {}
    assert "UNPROTECTED" in gateway.journal.alarms[-1]
    assert gateway.exits.look_again_in == exits.TRY_AGAIN
    gateway.exchange.plan = ["refuse"] * 3
    await gateway.exits.hear()
    assert gateway.exits.look_again_in == 2 * exits.TRY_AGAIN
    await gateway.exits.hear()
    assert set(gateway.standing().values()) == {HELD}
    assert (gateway.book.unprotected, gateway.exits.look_again_in) == ("", None)
    gateway.demand_sound()


@pytest.mark.parametrize("mishap", ["drop_after", "drop_before"])
async def test_a_pair_in_doubt_ends_as_one_pair_or_what_it_did_not_lock_is_sold(
    tmp_path: Path, mishap: str
) -> None:
    gateway = Gateway(tmp_path, BOTH)
    gateway.exchange.plan = ["", mishap]
    await gateway.buy()
    pair = {("STOP_LOSS", 90.0): HELD, ("LIMIT_MAKER", 120.0): HELD}
    assert gateway.standing() == (pair if mishap == "drop_after" else {})
    gateway.demand_sound()


@pytest.mark.parametrize("foreign_e8", [0, SCALE])
async def test_a_restart_protects_before_it_searches_where_nobody_elses_base_is_at_stake(
    tmp_path: Path, foreign_e8: int
) -> None:
    """A sale may be on its way: while that is searched for a stop stands, or an alarm says that none does."""
    gateway = Gateway(tmp_path, "stop=10%")
    await gateway.buy()
    await gateway.exits.clear()
    sale = gateway.write(core.sale(replace(gateway.book.row, seq=9), HELD, "signal"))
    balances, sleep = gateway.exchange.balances, gateway.clock.sleep
    seen: list[tuple[bool, bool]] = []

    async def with_foreign() -> dict[str, Balance]:
        told = await balances()
        return told | {"BTC": Balance(told["BTC"].free_e8 + foreign_e8, 0)}

    async def look_and_sleep(seconds: float) -> None:
        seen.append((bool(gateway.standing()), bool(gateway.book.unprotected)))
        await sleep(seconds)

    gateway.exchange.balances = with_foreign  # type: ignore[method-assign]
    gateway.clock.sleep = look_and_sleep  # type: ignore[method-assign]
    await gateway.reborn()
    assert seen[0] == (foreign_e8 == 0, foreign_e8 != 0)
    assert (False, False) not in seen
    assert gateway.book.tickets[sale.client_order_id].status is TicketStatus.VOID
    assert set(gateway.standing()) == {("STOP_LOSS", 90.0)}
    assert gateway.book.unprotected == ""


@pytest.mark.parametrize(("foreign_e8", "sells"), [(0, True), (SCALE, False)])
async def test_a_stop_of_unknown_fate_is_not_waited_for_where_a_sale_cannot_double(
    tmp_path: Path, foreign_e8: int, sells: bool
) -> None:
    """After 3 s of silence: base that is all ours is sold; with other base beside it, only alarmed."""
    gateway = Gateway(tmp_path, "stop=10%")

    async def balances() -> dict[str, Balance]:
        return {"BTC": Balance(gateway.base_e8 + foreign_e8, 0)}

    gateway.exchange.balances = balances  # type: ignore[method-assign]
    await gateway.desk.carry_out(gateway.book, gateway.write(ticket()))
    await gateway.exits.sell_if_unknown(asyncio.ensure_future(gateway.clock.sleep(4)))
    assert (gateway.base_e8 < 1_000) is sells
    assert "UNPROTECTED" in gateway.book.unprotected or "unknown" in gateway.book.unprotected


@pytest.mark.parametrize(
    ("mishaps", "copies", "buys_e8"),
    [
        (["drop_before"], 2, 0),
        (["drop_before"] * 3, 4, 0),
        (["drop_after"], 1, 0),
        (["drop_after"], 1, 500 * SCALE),  # a neighbour buys as much again as was sold
        (["drop_after"], 1, 100 * SCALE),
        (["drop_before"], 1, 100 * SCALE),  # what is there is not this position's alone
    ],
)
async def test_the_sale_for_a_lost_stop_goes_again_only_where_the_base_is_seen_to_be_there_and_ours(
    tmp_path: Path, mishaps: list[str], copies: int, buys_e8: int
) -> None:
    """Four times a second under one id; never where it sold unheard, or could sell what another bought."""
    gateway = Gateway(tmp_path, "stop=10%")
    await gateway.desk.carry_out(gateway.book, gateway.write(ticket()))
    strict = StrictExchange(gateway.clock, plan=[*mishaps], accepted=gateway.exchange.accepted)
    sent: list[str] = []
    last = 0.0
    send = strict.send_market_order

    async def counted(order: MarketOrder) -> OrderReport:
        nonlocal last
        last = gateway.clock.now
        sent.append(order.client_order_id)
        try:
            return await send(order)
        finally:
            if buys_e8 and len(sent) == 1:
                own = gateway.exchange.accepted[0]
                strict.accepted.append(replace(own, client_order_id="neighbour", quote_e8=buys_e8))

    strict.send_market_order = counted  # type: ignore[method-assign]
    gateway.exchange = strict
    gateway.desk = OrderDesk(gateway.books, strict, gateway.clock, backend_timeout_ms=10_000)
    gateway.exits = LiveExits(gateway.book, gateway.books, gateway.desk, strict, gateway.clock)
    began = gateway.clock.now
    await gateway.exits.sell_if_unknown(asyncio.ensure_future(gateway.clock.sleep(4)))
    assert sent == [sent[0]] * copies
    sales = [one for one in strict.accepted if one.side == "SELL"]
    if mishaps == ["drop_before"] and buys_e8:
        assert not sales  # and the driver comes back to it
        assert "never reached the exchange" in gateway.book.unprotected
    else:
        assert len(sales) == 1
        assert last - began == 2.25 + 0.25 * (copies - 1)
        assert gateway.base_e8 < 1_000
    gateway.books.ledger.check_conservation()


async def test_a_faulted_instance_decides_no_more_but_stays_protected(tmp_path: Path) -> None:
    """Its take-profit fills in part, which ends the stop: the rest gets a pair, until a stop sells it."""
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    gateway.books.commit(gateway.book, core.faulted(gateway.book.row, "a test"), 1)
    driver = driver_of(gateway)
    living = asyncio.ensure_future(driver.run())
    name = gateway.name_of(OrderKind.LIMIT_MAKER)
    gateway.desk.hear(gateway.exchange.trade(name, 2 * SCALE, 120 * SCALE, 6_000))
    for _ in range(50):
        await asyncio.sleep(0)
    assert list(gateway.standing().values()) == [HELD - 2 * SCALE] * 2
    driver.request_stop("flatten")
    await asyncio.wait_for(living, 10)
    assert (gateway.standing(), gateway.book.row.state) == ({}, InstanceState.STOPPED)
    assert gateway.base_e8 < 1_000


def driver_of(gateway: Gateway) -> Driver:
    """Return a driver of the instance; it needs no runner where nothing is decided any more."""
    return Driver(
        gateway.book, gateway.books, exchange=gateway.exchange, desk=gateway.desk,
        runners=RunnerFactory(), clock=gateway.clock, tape_market=True, on_change=lambda: None,
    )  # fmt: skip


async def test_exits_that_a_stop_kept_stay_whole_and_one_taken_back_by_hand_stays_away(
    tmp_path: Path,
) -> None:
    """A part of the take-profit ends the stop: the rest gets a pair, also from the next process; then it is flat."""
    gateway = Gateway(tmp_path, BOTH)
    await gateway.buy()
    gateway.books.commit(gateway.book, core.faulted(gateway.book.row, "a test"), 1)
    driver = driver_of(gateway)
    living = asyncio.ensure_future(driver.run())
    await asyncio.sleep(0)
    driver.request_stop("keep")
    for part in (1, 2):
        for _ in range(50):
            await asyncio.sleep(0)
        assert gateway.book.row.state is InstanceState.STOPPED
        name = gateway.name_of(OrderKind.LIMIT_MAKER)
        report = gateway.exchange.trade(name, SCALE, 120 * SCALE, 6_000)
        gateway.desk.hear(gateway.exchange.reports[gateway.exchange.partner[name]])
        gateway.desk.hear(report)
        for _ in range(50):
            await asyncio.sleep(0)
        assert list(gateway.standing().values()) == [HELD - part * SCALE] * 2
        living.cancel()
        await asyncio.wait({living})
        gateway.load()
        living = asyncio.ensure_future(driver_of(gateway).run())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not living.done()
    for ended in await gateway.exchange.cancel_order(
        "BTCUSDT", gateway.name_of(OrderKind.STOP_LOSS)
    ):
        gateway.desk.hear(ended)
    await asyncio.wait_for(living, 10)
    assert gateway.standing() == {}
    assert "UNPROTECTED" in gateway.journal.alarms[-1]


async def test_without_plain_stops_a_stop_limit_stands_and_is_helped_when_it_slips(
    tmp_path: Path,
) -> None:
    """1 % below the stop, on the tick; the price passes it, 2 s later what is left is sold."""
    rules = OrderRules(kinds=frozenset({"LIMIT_MAKER", "STOP_LOSS_LIMIT"}))
    gateway = Gateway(tmp_path, "stop=9.99", rules)
    await gateway.buy()
    (order,) = gateway.exchange.resting.values()
    assert (order.kind, order.stop_e8, order.price_e8) == (
        OrderKind.STOP_LOSS_LIMIT, 9_001_000_000, 8_910_000_000,
    )  # fmt: skip
    gateway.exits.saw_price(90.5)
    assert gateway.exits.look_again_in is None
    gateway.exits.saw_price(89.0)
    assert gateway.exits.look_again_in == exits.SLIPS_THROUGH
    await gateway.exits.hear()
    assert len(gateway.exchange.accepted) == 1
    gateway.clock.now += 2.0
    await gateway.exits.hear()
    assert gateway.base_e8 < 1_000
    assert gateway.book.protection.reason == REASON_STOP


async def test_a_position_below_the_minimum_is_given_up_aloud(tmp_path: Path) -> None:
    """F23: 0.04 BTC at 100 is below 5 USDT; no order is tried for ever."""
    gateway = Gateway(tmp_path, "stop=10%")
    gateway.exchange.plan = ["", "refuse"]
    await gateway.buy(4)
    assert gateway.standing() == {}
    assert "below the exchange's minimum" in gateway.journal.alarms[-1]
    await gateway.exits.protect()
    assert len(gateway.journal.alarms) == 2


@settings(deadline=None, max_examples=15)
@given(data=st.data())
async def test_deaths_and_lost_messages_leave_one_protection(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Dead at any named place, any message lost: the next process protects all that is held, once."""
    gateway = Gateway(tmp_path_factory.mktemp("exits"), BOTH)
    deaths = Deaths(gateway.reborn)
    with pytest.MonkeyPatch.context() as patched:
        for module in (desk, exits):
            patched.setattr(module, "crash", deaths.crash)
        for _ in range(data.draw(st.integers(1, 6))):
            mishaps = st.lists(st.sampled_from(["", "drop_after", "drop_before"]), max_size=3)
            gateway.exchange.plan = data.draw(mishaps)
            deaths.countdown = data.draw(st.integers(0, 8))
            what = data.draw(st.sampled_from(["buy", "close", "stop", "gain", "part", "sell"]))
            names = [one.client_order_id for one in gateway.book.exits]
            if what == "buy" and gateway.books.ledger.account("one").cash > 100:
                await deaths.survive(gateway.buy(100))
            elif what == "close":
                await deaths.survive(
                    gateway.close(data.draw(st.sampled_from([100.0, 110.0])), stop=95.0)
                )
            elif what == "sell":
                await deaths.survive(gateway.exits.sell("signal"))
            elif len(names) == 2:
                kind = OrderKind.STOP_LOSS if what == "stop" else OrderKind.LIMIT_MAKER
                name = gateway.name_of(kind)
                left = gateway.exchange.resting[name].quantity_e8
                await deaths.survive(
                    gateway.trade(name, left // 2_000 * 1_000 if what == "part" else left)
                )
            gateway.exchange.plan, deaths.countdown = [], 0
            await deaths.survive(gateway.exits.hear())
            gateway.demand_sound()
    gateway.journal.close()
