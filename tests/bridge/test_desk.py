"""The order desk against an exchange whose wire is cut at the worst moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exchanges.base import MarketOrder, OrderReport, Side
from bridge.gateway import core
from bridge.gateway.books import Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.tickets import order_of
from bridge.journal_rows import DecisionRow, InstanceState, Ticket, TicketStatus
from bridge.reconcile import Inquiry, Truth
from tests.bridge.doubles import (
    ONE,
    JumpingClock,
    MemoryExchange,
    books_with,
    instance_row,
    journal_in,
    ticket,
)
from workbench.market.instruments import SCALE


class Bench:
    """A desk, its exchange and its books."""

    def __init__(self, folder: Path, *, plan: list[str] | None = None) -> None:
        self.clock = JumpingClock()
        self.exchange = MemoryExchange(self.clock, plan=plan or [])
        self.journal = journal_in(folder)
        self.books, self.book = books_with(self.journal, instance_row())
        self.desk = OrderDesk(self.books, self.exchange, self.clock, backend_timeout_ms=10_000)

    def write(self, one: Ticket) -> Ticket:
        """Journal a ticket with its decision, as the driver does before sending."""
        decision = DecisionRow(
            "one", one.seq, 0, "bar", 1.0, True, one.side, 1000.0, 1000.0, 0.0, False, "", b"", ""
        )
        self.book.row = replace(self.book.row, seq=one.seq)
        self.journal.write(self.clock.wall_ms(), [self.book.row, one, decision])
        self.book.tickets[one.client_order_id] = one
        return one

    @property
    def cash_e8(self) -> int:
        """Return the instance's cash."""
        return self.books.ledger.account("one").cash_e8


async def test_a_plain_order_is_booked_from_its_reply(tmp_path: Path) -> None:
    """500 USDT at 100 buy 5 BTC, the fee is 10 bps of the BTC."""
    bench = Bench(tmp_path)
    done = await bench.desk.carry_out(bench.book, bench.write(ticket()))
    assert done.status is TicketStatus.DONE
    owned = bench.books.ledger.account("one")
    assert (owned.cash_e8, owned.base_e8) == (500 * SCALE, 5 * SCALE - 500_000)
    bench.books.ledger.check_conservation()


async def test_an_applied_order_whose_reply_is_lost_is_found_and_not_sent_again(
    tmp_path: Path,
) -> None:
    """F1: one order, one fill."""
    bench = Bench(tmp_path, plan=["drop_after"])
    done = await bench.desk.carry_out(bench.book, bench.write(ticket()))
    assert done.status is TicketStatus.DONE
    assert len(bench.exchange.accepted) == 1
    assert bench.cash_e8 == 500 * SCALE


async def test_absence_is_believed_only_after_the_horizon_and_twice(tmp_path: Path) -> None:
    """F2: the exchange may apply an order for recvWindow + 10 s; two spaced answers after that prove absence."""
    bench = Bench(tmp_path, plan=["drop_before"])
    sent_at = bench.clock.now
    done = await bench.desk.carry_out(bench.book, bench.write(ticket()))
    assert done.status is TicketStatus.VOID
    assert bench.exchange.accepted == []
    late = [at for at in bench.exchange.asked_absent_at if at >= sent_at + 12.5]
    assert len(late) == 2
    assert late[1] - late[0] >= 0.5
    assert bench.book.row.last_target == 0.0


async def test_a_lost_exit_goes_again_as_the_next_attempt(tmp_path: Path) -> None:
    """A sale that is proven absent may not be forgotten: the position would stay open."""
    bench = Bench(tmp_path)
    await bench.desk.carry_out(bench.book, bench.write(ticket(1)))
    bench.exchange.plan = ["drop_before"]
    sold = await bench.desk.carry_out(bench.book, bench.write(ticket(2, side=Side.SELL)))
    assert (sold.status, sold.attempt) == (TicketStatus.DONE, 2)
    assert [order.client_order_id for order in bench.exchange.accepted] == [
        "wb-00000abc-1-1",
        "wb-00000abc-2-2",
    ]


async def test_silence_is_never_taken_for_absence(tmp_path: Path) -> None:
    """While nobody answers the order stays in doubt, and entries on its symbol are blocked."""
    bench = Bench(tmp_path, plan=["drop_after"])
    bench.exchange.silent_questions = 40
    done = await bench.desk.carry_out(bench.book, bench.write(ticket()))
    assert done.status is TicketStatus.DONE
    assert len(bench.exchange.accepted) == 1
    assert not bench.desk.in_doubt("BTCUSDT")


async def test_a_refused_timestamp_raises_the_attempt(tmp_path: Path) -> None:
    """-1021 proves that the order was not accepted; the clock is measured anew."""
    bench = Bench(tmp_path, plan=["refuse"])
    bench.exchange.refusal = -1021
    done = await bench.desk.carry_out(bench.book, bench.write(ticket()))
    assert (done.status, done.attempt, bench.exchange.resyncs) == (TicketStatus.DONE, 2, 1)


async def test_an_exit_that_is_told_to_come_back_later_comes_back(tmp_path: Path) -> None:
    """-1015, too many orders: an entry is spent, a sale goes again as the next attempt."""
    bench = Bench(tmp_path)
    bench.exchange.refusal = -1015
    bench.exchange.plan = ["refuse", "", "refuse"]
    spent = await bench.desk.carry_out(bench.book, bench.write(ticket(1)))
    assert spent.status is TicketStatus.REFUSED
    await bench.desk.carry_out(bench.book, bench.write(ticket(2)))
    sold = await bench.desk.carry_out(bench.book, bench.write(ticket(3, side=Side.SELL)))
    assert (sold.status, sold.attempt) == (TicketStatus.DONE, 2)


async def test_a_fill_that_cannot_be_booked_faults_the_instance_alone(tmp_path: Path) -> None:
    """A commission in a third asset is told, not guessed."""
    bench = Bench(tmp_path)
    one = bench.write(ticket())
    bench.exchange.accepted.append(order_of(one))
    report = bench.exchange.report(bench.exchange.accepted[0])
    trade = replace(report.trades[0], commission_asset="BNB")
    bench.desk.hear(replace(report, trades=(trade,)))
    assert bench.book.row.state is InstanceState.FAULTED
    assert "commission in BNB" in bench.book.row.reason
    assert "commission in BNB" in bench.journal.alarms[0]


async def test_a_fill_that_cannot_be_booked_after_a_stop_is_an_alarm_once(tmp_path: Path) -> None:
    """Exits that a stop has kept may fill as well; the instance has ended and stays so."""
    bench = Bench(tmp_path)
    one = bench.write(ticket())
    bench.books.commit(bench.book, core.begin_stop(bench.book.row, "keep", ""), 1)
    bench.books.commit(bench.book, core.ended(bench.book.row), 1)
    bench.exchange.accepted.append(order_of(one))
    report = bench.exchange.report(bench.exchange.accepted[0])
    trade = replace(report.trades[0], commission_asset="BNB")
    for _ in range(2):
        bench.desk.hear(replace(report, trades=(trade,)))
    assert bench.book.row.state is InstanceState.STOPPED
    assert len([alarm for alarm in bench.journal.alarms if "commission in BNB" in alarm]) == 1


async def test_a_refused_order_is_final(tmp_path: Path) -> None:
    """Insufficient balance is an answer, not a doubt."""
    bench = Bench(tmp_path, plan=["refuse"])
    done = await bench.desk.carry_out(bench.book, bench.write(ticket()))
    assert done.status is TicketStatus.REFUSED
    assert bench.exchange.asked_absent_at == []


async def test_an_entry_that_expires_without_a_fill_leaves_its_target_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did arrive, unlike one that is void: the strategy must write another target."""
    bench = Bench(tmp_path)
    bench.book.row = replace(bench.book.row, last_target=1.0)
    left = bench.write(ticket())

    async def expire(order: MarketOrder) -> OrderReport:
        return OrderReport(order.client_order_id, 1, order.symbol, order.side, "EXPIRED", 0, 0, ())

    monkeypatch.setattr(bench.exchange, "send_market_order", expire)
    done = await bench.desk.carry_out(bench.book, left)
    assert done.status is TicketStatus.DONE
    assert (bench.book.row.last_target, bench.cash_e8) == (1.0, 1000 * SCALE)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_ticket_of_a_dead_process_is_resolved_by_asking(
    tmp_path: Path, arrived: bool
) -> None:
    """F8 and F9: adopted when it arrived, given up when it did not, never sent by the recovery of an entry."""
    bench = Bench(tmp_path)
    left = bench.write(ticket())
    if arrived:
        await bench.exchange.send_market_order(order_of(left))
    done = await bench.desk.recover(bench.book, left)
    assert done.status is (TicketStatus.DONE if arrived else TicketStatus.VOID)
    assert len(bench.exchange.accepted) == int(arrived)
    assert bench.cash_e8 == (500 if arrived else 1000) * SCALE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["NEW", "PARTIALLY_FILLED", "FILLED"]), min_size=1, max_size=8))
async def test_duplicated_and_reordered_news_give_the_same_books(
    tmp_path_factory: pytest.TempPathFactory, order_of_news: list[str]
) -> None:
    """G4: fills are booked once, a final order never comes back to life, and a replay of the journal agrees."""
    bench = Bench(tmp_path_factory.mktemp("news"))
    one = bench.write(ticket())
    bench.exchange.accepted.append(order_of(one))
    full = bench.exchange.report(bench.exchange.accepted[0])
    for status in [*order_of_news, "FILLED", *order_of_news]:
        trades = full.trades if status != "NEW" else ()
        executed = full.executed_e8 if status == "FILLED" else 0
        bench.desk.hear(replace(full, status=status, trades=trades, executed_e8=executed))
    assert bench.book.tickets[one.client_order_id].status is TicketStatus.DONE
    assert len(bench.journal.fills("one")) == 1
    replayed = Books(bench.journal)
    replayed.open(bench.book.row, ONE)
    assert replayed.ledger.account("one") == bench.books.ledger.account("one")
    bench.journal.close()


async def test_news_of_foreign_orders_changes_nothing(tmp_path: Path) -> None:
    """F15: a manual order on the account is not ours."""
    bench = Bench(tmp_path)
    one = bench.write(ticket())
    done = await bench.desk.carry_out(bench.book, one)
    report = bench.exchange.report(bench.exchange.accepted[0])
    bench.desk.hear(replace(report, client_order_id="web_123"))
    assert bench.book.tickets == {one.client_order_id: done}
    assert bench.cash_e8 == 500 * SCALE


def test_two_early_denials_prove_nothing() -> None:
    """W4: the answer comes from a database that lags behind the engine."""
    inquiry = Inquiry.begin(100.0, 10_000)
    for at in (100.1, 105.0, 112.4):
        inquiry.was_told_absent(at)
    assert inquiry.truth is Truth.UNKNOWN
    inquiry.was_told_absent(112.6)
    inquiry.was_told_absent(112.7)
    assert inquiry.truth is Truth.UNKNOWN
    inquiry.was_told_absent(113.2)
    assert inquiry.truth is Truth.PROVEN_ABSENT
    inquiry.saw_it()
    assert inquiry.truth is Truth.PROVEN_DONE
