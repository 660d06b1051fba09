"""One instance's life: load, warm up, then for each closed candle: Bar, Decision, one commit, ticket, settled.

The driver is the only one that moves its instance on, one candle after the other, so tickets of
an instance never overlap. A faulty runner faults the instance.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from bridge.clock import Clock, back_off
from bridge.crash_points import crash
from bridge.exchanges.base import Exchange, Refused, Side
from bridge.feed import ClosedCandles, late_after_ms, warm_up_candles
from bridge.gateway import core
from bridge.gateway.books import Book, Books, range_warm_up
from bridge.gateway.desk import ALWAYS_MS, OrderDesk
from bridge.gateway.exit_rules import demand_written_levels
from bridge.gateway.exits import LiveExits
from bridge.gateway.instance_runner import InstanceRunner
from bridge.gateway.kept_exits import stay_with
from bridge.gateway.ladder import LiveLadder
from bridge.gateway.ladder_exits import LadderExits
from bridge.journal_rows import (
    STANDING_EXITS,
    CandleRow,
    InstanceRow,
    InstanceState,
    TicketStatus,
)
from bridge.runner_link import RunnerFactory, RunnerFault
from workbench.core.intents import ERROR_RANGE, REASONS
from workbench.errors import ExchangeError, UsageError
from workbench.execution.instance import target_beside_exits
from workbench.market.instruments import SCALE
from workbench.market.timeframes import parse_timeframe


class Driver:
    """Drives one instance until it is stopped or faulted."""

    def __init__(
        self,
        book: Book,
        books: Books,
        *,
        exchange: Exchange,
        desk: OrderDesk,
        runners: RunnerFactory,
        clock: Clock,
        tape_market: bool,
        on_change: Callable[[], None],
    ) -> None:
        self.book = book
        self._books = books
        self._exchange = exchange
        self._desk = desk
        self._clock = clock
        self._tape_market = tape_market
        self._on_change = on_change
        self._timeframe = parse_timeframe(book.row.interval)
        self._ladder = LiveLadder(book, books, desk, clock)
        self._exits = LiveExits(book, books, desk, exchange, clock)
        self._watch = LadderExits(book, books, self._ladder, self._exits, clock)
        self._runner = InstanceRunner(book, runners, clock)
        self._stop = asyncio.Event()
        book.settled = False  # until what an earlier process left behind is known and answered
        if book.row.state is InstanceState.STOPPING:
            self._stop.set()

    def request_stop(self, policy: str) -> None:
        """Journal the wish to stop; the driver acts on it between two candles."""
        self._commit(core.begin_stop(self.book.row, policy, f"stop ({policy}) asked for"))
        self._stop.set()

    async def run(self) -> None:
        """Live until stopped. Only a broken journal (or a programming error) gets out of here."""
        await self._recover()
        try:
            if self._is_alive:
                await self._ladder.restore()
                await self._protect()
            self._settled()
            await self._trade_until_stop()
        except (RunnerFault, UsageError) as error:
            self._fault(str(error))
        finally:
            self._runner.let_go()
        if self.book.row.state is InstanceState.FAULTED:
            await self._ladder.take_back()  # nobody would answer its fills
            await self._exits.protect()
        while self.book.row.state is not InstanceState.STOPPED:
            await self._guard_until_stop()
            self._stop.clear()
            await self._end()
        await stay_with(self.book, self._exits, self._settled)

    async def _guard_until_stop(self) -> None:
        """Decide nothing more, but keep what is held protected, until somebody says stop."""
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            while not self._stop.is_set():
                news = asyncio.ensure_future(self.book.news.wait())
                either: set[asyncio.Future[Any]] = {stopping, news}
                soon = self._exits.look_again_in
                await asyncio.wait(either, timeout=soon, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if not self._stop.is_set():
                    self.book.news.clear()
                    self.book.settled = False
                    await self._exits.hear()
                    self._settled()
        finally:
            stopping.cancel()

    async def _recover(self) -> None:
        """Know what became of every ticket, and protect what is held, before anything else is decided."""
        try:
            self._ladder.load()
        except UsageError as error:
            self._fault(str(error))
        for ticket in self.book.resting:
            await self._desk.recover(self.book, ticket)
        row = self.book.row
        being_sold = row.state is InstanceState.STOPPING and row.stop_policy == "flatten"
        if self.book.unsettled and not being_sold:
            await self._desk.catch_up(self.book)
            await self._exits.protect_before_search()
        for ticket in self.book.unsettled:
            if ticket.rests:
                continue
            after = await self._desk.recover(self.book, ticket)
            lost = after.status is TicketStatus.VOID and after.side is Side.SELL
            if lost and self._is_alive:
                await self._exits.sell(after.reason, most_e8=after.quantity_e8)
        if self._is_alive:
            await self._exits.act_if_due()
        taken_back = row.state is InstanceState.STOPPED and not self.book.exits
        if not being_sold and not taken_back:
            await self._exits.protect()

    @property
    def _is_alive(self) -> bool:
        return self.book.row.state in (InstanceState.STARTING, InstanceState.RUNNING)

    async def _trade_until_stop(self) -> None:
        if not self._is_alive:
            return
        trading = asyncio.ensure_future(self._trade())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({trading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            while not trading.done() and not self.book.settled:
                await asyncio.wait({trading}, timeout=0.01)  # never in the middle of an order
        finally:
            stopping.cancel()
            trading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await trading

    async def _trade(self) -> None:
        if self.book.row.state is InstanceState.STARTING:
            await self._warm_up()
        else:
            await self._runner.loaded()
        if self.book.row.state is not InstanceState.RUNNING:
            return
        candles = ClosedCandles(
            self._exchange,
            self._clock,
            instance=self.book.row.name,
            symbol=self.book.row.symbol,
            timeframe=self._timeframe,
            last_ms=self.book.row.last_candle_ms,
            on_price=self._saw_price,
        )
        self._desk.open_until(self.book, self._frontier_ms())
        async with aclosing(self._candles_and_news(candles)) as happenings:
            async for candle in happenings:
                if candle is None:
                    await self._hear_news()
                else:
                    late = self._is_late(candle, candles.sequence.market_ms)
                    await self._on_candle(candle, late=late)
                if self._stop.is_set() or not self._is_alive:
                    return  # a market that is ahead of us would always have a next candle

    async def _candles_and_news(self, candles: ClosedCandles) -> AsyncGenerator[CandleRow | None]:
        """Yield each candle, and None whenever a resting order has traded or ended in between."""
        following = candles.follow()
        candle: asyncio.Future[CandleRow] = asyncio.ensure_future(anext(following))
        news = asyncio.ensure_future(self.book.news.wait())
        try:
            while True:
                either: set[asyncio.Future[Any]] = {candle, news}
                soon = self._exits.look_again_in
                await asyncio.wait(either, timeout=soon, return_when=asyncio.FIRST_COMPLETED)
                if not candle.done() and not news.done():
                    self.book.news.set()
                    await news
                if candle.done():
                    yield candle.result()
                    candle = asyncio.ensure_future(anext(following))
                if news.done():
                    yield None
                    news = asyncio.ensure_future(self.book.news.wait())
        except StopAsyncIteration:
            return
        finally:
            news.cancel()
            candle.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await candle

    async def _hear_news(self) -> None:
        """React to what resting orders did since the last time."""
        while self.book.news.is_set():
            self.book.news.clear()
            self.book.settled = False
            await self._on_news()
            self._settled()

    async def _on_news(self) -> None:
        """Do what a fill or an end of a resting order calls for."""
        await (self._watch.hear() if self._rests_a_ladder else self._exits.hear())

    async def _protect(self) -> None:
        """Make what is held protected, beside a ladder or without one."""
        await (self._watch.protect() if self._rests_a_ladder else self._exits.protect())

    @property
    def _rests_a_ladder(self) -> bool:
        return bool(self.book.row.ladder) and self._is_alive

    async def _warm_up(self) -> None:
        _, loaded = await self._runner.loaded()
        row = self.book.row
        ranged = max(range_warm_up(self.book.protection.range_period), self.book.guards.warm_up)
        failures = 0
        while True:
            try:
                closed = await warm_up_candles(
                    self._exchange,
                    instance=row.name,
                    symbol=row.symbol,
                    timeframe=self._timeframe,
                    count=max(
                        1, loaded.stable, ranged
                    ),  # the newest is the last that is not traded
                )
                break
            except Refused as refusal:
                raise UsageError(
                    f"{row.symbol} {row.interval}: the exchange says {refusal}"
                ) from None
            except ExchangeError:
                failures += 1
                await self._clock.sleep(back_off(failures))
        link, loaded = await self._runner.loaded()
        candles = closed[-loaded.stable :] if loaded.stable else []
        measured = closed[-ranged:] if ranged else []
        earlier = measured[: max(0, len(measured) - len(candles))]
        records = core.candle_records(candles).tobytes()
        state = await link.warm_up(loaded.initial_state, records, row.capital_e8 / SCALE)
        if self.book.row.state is not InstanceState.STARTING:
            return  # a stop came first
        newest = closed[-1] if closed else None
        layout = loaded.state_layout
        self._commit(
            core.warmed(self.book.row, candles, state, layout, newest=newest, earlier=earlier)
        )
        self._books.measure(self.book)
        self.book.last_price = self.book.row.last_close

    async def _on_candle(self, candle: CandleRow, *, late: bool) -> None:
        self.book.settled = False
        name = self.book.row.name
        await self._catch_up()
        await self._hear_news()
        self.book.settled = False
        if self._rests_a_ladder:
            held_before = self._books.ledger.account(name).bars_held > 0
            low = candle.low if held_before else candle.close  # a buy comes before the high
            await self._watch.leave_crumb(low, candle.high)
        self.book.frontier_ms = ALWAYS_MS  # what is heard from here on comes after the decision
        self._books.ledger.end_candle(name)
        position = self._books.ledger.position_bytes(
            name,
            candle.close,
            exit_reason=self.book.protection.reason,
            ladder_filled=self._ladder.filled,
        )
        answer = await self._runner.decide(candle, position)
        account = self._books.ledger.account(name)
        row = self._follow_levels(candle, answer, is_open=account.is_open)
        row, cancels = self._ladder.lay(row, answer.intent)
        account = self._books.ledger.account(name)
        self.book.guards.at_close(candle, account.equity(candle.close))
        guard = self.book.guards.objection()
        row, held = self._ladder.hold(row, guard)
        step = core.decide(
            row,
            account,
            candle,
            answer,
            late=late,
            in_doubt=self._desk.in_doubt(row.symbol),
            guards=self.book.guards,
            held_back=guard if held else "",
            more=[*cancels, *held],
        )
        self._demand_range(step)
        crash("before_journal")
        self._commit(step)
        self._desk.open_until(self.book, self._frontier_ms())
        await self._ladder.make_way(step.ticket)
        if step.ticket is not None:
            ticket = await self._exits.make_way(step.ticket, was_open=account.is_open)
            if ticket is not None:
                await self._exits.carry_out(ticket)
        await self._exits.act_if_due()
        if self._rests_a_ladder:
            await self._watch.leave_crumb(candle.close, candle.close)
        await self._ladder.place()
        await self._protect()
        await self._hear_news()
        self._settled()

    def _follow_levels(
        self, candle: CandleRow, answer: core.Answer, *, is_open: bool
    ) -> InstanceRow:
        """Move the exits on at a close; what they are then is journaled with the decision."""
        row = self.book.row
        # What cannot be executed is not followed.
        target_beside_exits(row.last_target, answer.intent, ladders=bool(row.ladder))
        others = self._books.by_name.values()
        demand_written_levels(self.book, answer.intent, others, is_open=is_open)
        if self.book.range_now is not None:
            self.book.range_now.see(candle.high, candle.low, candle.close)
        self.book.protection.follow(answer.intent, candle.high, is_open=is_open)
        return replace(row, plan=self.book.protection.saved())

    def _demand_range(self, step: core.Step) -> None:
        buys = step.ticket is not None and step.ticket.side is Side.BUY
        if buys and self.book.range_now is not None and math.isnan(self.book.range_now.value):
            raise UsageError(f"{self.book.row.strategy} wrote {REASONS[ERROR_RANGE]}")

    async def _catch_up(self) -> None:
        """Know what resting orders traded up to this close; without an answer go on with what was heard."""
        for failures in range(1, 4):
            if await self._desk.catch_up(self.book):
                return
            await self._clock.sleep(back_off(failures))

    def _frontier_ms(self) -> int:
        """Return when the candle closes that is to be decided next; 0 where none will be."""
        row = self.book.row
        if row.state is not InstanceState.RUNNING:
            return 0
        return self._timeframe.next(self._timeframe.next(row.last_candle_ms))

    async def _end(self) -> None:
        """Take back what rests, sell if the policy says so, then be STOPPED."""
        self._desk.open_until(self.book, 0)
        self.book.settled = False
        await self._ladder.take_back()
        flattens = self.book.row.stop_policy == "flatten"
        if not flattens:
            await self._exits.protect()
        for ticket in self.book.resting:
            if flattens or ticket.reason not in STANDING_EXITS:
                await self._desk.withdraw(self.book, ticket)
        if flattens:
            account = self._books.ledger.account(self.book.row.name)
            step = core.flatten(self.book.row, account)
            self._commit(step)
            if step.ticket is not None:
                await self._desk.carry_out(self.book, step.ticket)
        self._settled()
        if self.book.row.state is InstanceState.STOPPING:  # a fill that cannot be booked faults it
            self._commit(core.ended(self.book.row))

    def _is_late(self, candle: CandleRow, market_ms: int) -> bool:
        now_ms = market_ms if self._tape_market else max(market_ms, self._clock.wall_ms())
        close_ms = self._timeframe.next(candle.open_time_ms)
        return now_ms - close_ms > late_after_ms(self._timeframe)

    def _fault(self, reason: str) -> None:
        self.book.settled = True
        self._desk.open_until(self.book, 0)  # no decision will come that they could wait for
        if self._is_alive:
            self._commit(core.faulted(self.book.row, reason))

    def _commit(self, step: core.Step) -> None:
        self._books.commit(self.book, step, self._clock.wall_ms())
        self._on_change()

    def _settled(self) -> None:
        self.book.settled = True
        self._on_change()

    def _saw_price(self, price: float) -> None:
        self.book.last_price = price
        self._exits.saw_price(price)
