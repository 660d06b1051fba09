"""Orders that rest: sent once, cancelled for certain, and booked the same whoever tells of them first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exchanges.base import OrderKind, Side
from bridge.gateway import core
from bridge.gateway.books import Books
from bridge.gateway.ids import list_id
from bridge.gateway.tickets import resting_ticket
from bridge.journal_rows import Ticket, TicketStatus
from tests.bridge.doubles import ONE, ticket
from tests.bridge.test_desk import Bench
from workbench.market.instruments import SCALE

BTC = SCALE


async def holding(folder: Path) -> Bench:
    """Return a bench whose instance has bought 5 BTC (4.995 after the fee) for 500 USDT."""
    bench = Bench(folder)
    await bench.desk.carry_out(bench.book, bench.write(ticket()))
    return bench


def limit(bench: Bench, price: int, *, side: Side = Side.SELL, quantity: int = BTC) -> Ticket:
    """Journal a limit order of the instance's next seq."""
    row = replace(bench.book.row, seq=bench.book.row.seq + 1)
    one = resting_ticket(
        row, row.seq, side=side, kind=OrderKind.LIMIT, quantity_e8=quantity,
        price_e8=price * SCALE, reason="rung",
    )  # fmt: skip
    bench.books.commit(bench.book, core.Step(row, (row, one)), bench.clock.wall_ms())
    return one


def oco(bench: Bench, stop: int, gain: int, quantity: int = BTC) -> tuple[Ticket, Ticket]:
    """Journal a stop and a gain that end each other."""
    row = bench.book.row
    first = resting_ticket(
        row, row.seq + 1, side=Side.SELL, kind=OrderKind.STOP_LOSS, quantity_e8=quantity,
        stop_e8=stop * SCALE, reason="stop",
    )  # fmt: skip
    first = replace(first, list_id=list_id(first.client_order_id))
    second = resting_ticket(
        row, row.seq + 2, side=Side.SELL, kind=OrderKind.LIMIT_MAKER, quantity_e8=quantity,
        price_e8=gain * SCALE, reason="take_profit", pair_id=first.list_id,
    )  # fmt: skip
    row = replace(row, seq=row.seq + 2)
    bench.books.commit(bench.book, core.Step(row, (row, first, second)), bench.clock.wall_ms())
    return first, second


def folded_again(bench: Bench) -> None:
    """Demand that the journal alone gives the same books."""
    again = Books(bench.journal)
    book = again.open(bench.journal.instances()[0], ONE)
    assert again.ledger.account("one") == bench.books.ledger.account("one")
    assert book.tickets == bench.book.tickets
    bench.books.ledger.check_conservation()


async def test_a_resting_order_is_left_alone_and_its_partial_fills_are_booked(
    tmp_path: Path,
) -> None:
    """Buys of 2 and 3 BTC at 90: 180 and 270 USDT leave, 4.995 BTC come; the rest stays open."""
    bench = Bench(tmp_path)
    one = limit(bench, 90, side=Side.BUY, quantity=6 * BTC)
    (stands,) = await bench.desk.rest(bench.book, [one])
    assert stands.status is TicketStatus.OPEN
    assert bench.book.locked_quote_e8 == 540 * SCALE
    for quantity in (2, 3):
        bench.desk.hear(
            bench.exchange.trade(one.client_order_id, quantity * BTC, 90 * SCALE, 6_000)
        )
    owned = bench.books.ledger.account("one")
    assert (owned.cash_e8, owned.base_e8) == (550 * SCALE, 499_500_000)
    after = bench.book.tickets[one.client_order_id]
    assert (after.status, after.left_e8) == (TicketStatus.OPEN, BTC)
    assert bench.book.locked_quote_e8 == 90 * SCALE
    assert bench.book.news.is_set()
    folded_again(bench)


@pytest.mark.parametrize("mishap", ["drop_after", "drop_before", "refuse"])
async def test_a_pair_in_doubt_stands_once_whatever_happened_to_it(
    tmp_path: Path, mishap: str
) -> None:
    """A lost reply: found. Lost on the way: sent again, with new ids for both. -1021: sent again."""
    bench = await holding(tmp_path)
    bench.exchange.plan, bench.exchange.refusal = [mishap], -1021
    stands = await bench.desk.rest(bench.book, oco(bench, 80, 120))
    assert [one.status for one in stands] == [TicketStatus.OPEN] * 2
    assert {one.attempt for one in stands} == {1 if mishap == "drop_after" else 2}
    assert stands[0].list_id == stands[1].list_id == list_id(stands[0].client_order_id)
    assert len(bench.exchange.resting) == 2
    assert not bench.desk.in_doubt("BTCUSDT")
    folded_again(bench)


async def test_a_pair_that_is_refused_is_refused_for_both(tmp_path: Path) -> None:
    """-2010, would trigger immediately: nothing stands, and nothing is sent again."""
    bench = Bench(tmp_path, plan=["refuse"])
    no = await bench.desk.rest(bench.book, oco(bench, 80, 120))
    assert [one.status for one in no] == [TicketStatus.REFUSED] * 2
    assert all("-2010" in one.note for one in no)
    assert bench.exchange.resting == {}


@pytest.mark.parametrize("mishap", ["", "drop_after", "drop_before", "refuse"])
async def test_a_cancel_is_repeated_until_the_order_has_ended(tmp_path: Path, mishap: str) -> None:
    """W10, W11: whatever becomes of the cancel, in the end the pair is gone, for certain and in the books."""
    bench = Bench(tmp_path)
    pair = await bench.desk.rest(bench.book, oco(bench, 80, 120))
    bench.exchange.plan, bench.exchange.refusal = [mishap], -1021
    ended = await bench.desk.withdraw(bench.book, pair[1])
    assert (ended.status, ended.executed_e8) == (TicketStatus.DONE, 0)
    assert bench.book.resting == []
    assert all(report.final for report in bench.exchange.reports.values())
    assert len(bench.exchange.cancels) == (2 if mishap in ("drop_before", "refuse") else 1)
    folded_again(bench)


async def test_a_cancel_that_comes_after_the_fill_finds_the_fill(tmp_path: Path) -> None:
    """FT#3647: "Unknown order sent" meant filled; nobody had told of it before."""
    bench = await holding(tmp_path)
    stop, gain = await bench.desk.rest(bench.book, oco(bench, 80, 120))
    bench.exchange.trade(stop.client_order_id, BTC, 80 * SCALE, 7_000)
    ended = await bench.desk.withdraw(bench.book, gain)
    assert (ended.status, ended.note) == (TicketStatus.DONE, "EXPIRED")
    assert bench.book.tickets[stop.client_order_id].executed_e8 == BTC
    assert bench.books.ledger.account("one").base_e8 == 399_500_000
    folded_again(bench)


@pytest.mark.parametrize("status", [TicketStatus.WRITTEN, TicketStatus.CANCELLING])
@pytest.mark.parametrize("arrived", [True, False])
async def test_what_a_dead_process_left_behind_is_cleared_up(
    tmp_path: Path, status: TicketStatus, arrived: bool
) -> None:
    """Sent or not is found out; a cancel that was written down is carried out; nothing is sent anew."""
    bench = Bench(tmp_path)
    one = limit(bench, 90, side=Side.BUY)
    if arrived:
        await bench.desk.rest(bench.book, [one])
    left = replace(one, status=status)
    bench.books.commit_ticket(bench.book, left, [], 1)
    after = await bench.desk.recover(bench.book, left)
    expected = TicketStatus.VOID
    if arrived:
        expected = TicketStatus.OPEN if status is TicketStatus.WRITTEN else TicketStatus.DONE
    assert after.status is expected
    assert len(bench.exchange.resting) == int(arrived)
    folded_again(bench)


async def test_a_fill_after_the_close_waits_for_the_decision_on_that_close(tmp_path: Path) -> None:
    """One trade before the frontier is booked, the other when the next candle is decided; never twice."""
    bench = Bench(tmp_path)
    one = limit(bench, 90, side=Side.BUY, quantity=3 * BTC)
    await bench.desk.rest(bench.book, [one])
    bench.book.frontier_ms = 7_000
    bench.exchange.trade(one.client_order_id, BTC, 90 * SCALE, 6_999)
    report = bench.exchange.trade(one.client_order_id, 2 * BTC, 90 * SCALE, 7_000)
    for _ in range(2):
        bench.desk.hear(report)
    await bench.desk.catch_up(bench.book)
    assert bench.cash_e8 == 910 * SCALE
    assert bench.book.tickets[one.client_order_id].status is TicketStatus.OPEN
    bench.desk.open_until(bench.book, 14_000)
    assert bench.cash_e8 == 730 * SCALE
    assert bench.book.tickets[one.client_order_id].status is TicketStatus.DONE
    folded_again(bench)


async def test_one_question_tells_how_all_open_orders_stand(tmp_path: Path) -> None:
    """Dropped events: a partial fill, a fill and an end that nobody told of are found by asking."""
    bench = Bench(tmp_path)
    some = [limit(bench, 90 + i, side=Side.BUY) for i in range(4)]
    for one in some:
        await bench.desk.rest(bench.book, [one])
    names = [one.client_order_id for one in some]
    bench.exchange.trade(names[0], BTC // 2, 90 * SCALE, 6_000)
    bench.exchange.trade(names[1], BTC, 91 * SCALE, 6_000)
    await bench.exchange.cancel_order("BTCUSDT", names[2])
    assert await bench.desk.catch_up(bench.book)
    states = [bench.book.tickets[name] for name in names]
    assert [one.status for one in states] == [
        TicketStatus.OPEN, TicketStatus.DONE, TicketStatus.DONE, TicketStatus.OPEN,
    ]  # fmt: skip
    assert [one.executed_e8 for one in states] == [BTC // 2, BTC, 0, 0]
    bench.exchange.silent_questions = 1
    assert not await bench.desk.catch_up(bench.book)
    folded_again(bench)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=10), st.integers(0, 3))
async def test_fills_between_candles_fold_to_the_same_books(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]], buys: int
) -> None:
    """Buys, sales and closes in any order: bars held, entry price and cash come out of the journal alone."""
    bench = Bench(tmp_path_factory.mktemp("fold"))
    for i in range(1 + buys):
        await bench.desk.rest(bench.book, [limit(bench, 90 + i, side=Side.BUY)])
    for i, (which, closes) in enumerate(steps):
        open_ones = bench.book.resting
        if open_ones:
            one = open_ones[which % len(open_ones)]
            price = one.price_e8
            report = bench.exchange.trade(one.client_order_id, one.left_e8, price, 6_000 + i)
            bench.desk.hear(report)
            if one.side is Side.BUY:
                after = limit(bench, 100, quantity=one.quantity_e8 * 999 // 1000 // 1000 * 1000)
                await bench.desk.rest(bench.book, [after])
        if closes:
            bench.books.ledger.end_candle("one")
            bench.write(replace(ticket(bench.book.row.seq + 1), status=TicketStatus.VOID))
    folded_again(bench)
    bench.journal.close()
