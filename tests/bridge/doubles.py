"""Doubles for unit tests alone: an exchange in memory whose wire can be cut, and a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.exchanges.base import (
    Balance,
    BalanceUpdate,
    Doubt,
    Kline,
    MarketOrder,
    OrderKind,
    OrderPair,
    OrderReport,
    OrderRules,
    Refused,
    RestingOrder,
    Side,
    StreamBroken,
    TradeReport,
    Unanswered,
)
from bridge.gateway.books import Book, Books
from bridge.journal import Journal
from bridge.journal_rows import InstanceRow, InstanceState, Ticket, TicketStatus
from workbench.market.instruments import SCALE, Instrument

PRICE_E8 = 100 * SCALE
SETTLED = 12  # turns of the loop, in which whoever can do something does it
ONE = Instrument("BTCUSDT", "BTC", "USDT", 10**6, 10**3, 10**3, 10**17, 10**6, 10**17, 5 * SCALE, 0)


class JumpingClock:
    """Sleeping is free: time moves on to whoever wakes first, once nobody else has anything to do."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._alarms: list[float] = []
        self._changes = 0

    def wall_ms(self) -> int:
        """Return simulated wall time."""
        return int(self.now * 1000)

    def elapsed(self) -> float:
        """Return simulated elapsed time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Jump, when it is this sleeper's turn."""
        due = self.now + seconds
        self._alarms.append(due)
        self._changes += 1
        try:
            seen = -1
            while seen != self._changes or due > min(self._alarms):
                seen = self._changes
                for _ in range(SETTLED):
                    await asyncio.sleep(0)
        finally:
            self._alarms.remove(due)
            self._changes += 1
        self.now = max(self.now, due)


@dataclass
class MemoryExchange:
    """Fills every market order at 100, lets others rest until `trade` or a cancel ends them.

    `plan` names what happens to the next orders and cancels, in their order.

    "" is filled; drop_before and drop_after lose it or its reply; refuse is a clear no.
    """

    clock: JumpingClock
    plan: list[str] = field(default_factory=list)
    silent_questions: int = 0
    refusal: int = -2010
    accepted: list[MarketOrder] = field(default_factory=list)
    asked_absent_at: list[float] = field(default_factory=list)
    frames: list[Kline | StreamBroken] = field(default_factory=list)
    history: list[Kline] = field(default_factory=list)
    resyncs: int = 0
    resting: dict[str, RestingOrder] = field(default_factory=dict)  # all that were ever accepted
    reports: dict[str, OrderReport] = field(default_factory=dict)  # as they stand, trades included
    partner: dict[str, str] = field(default_factory=dict)
    cancels: list[str] = field(default_factory=list)

    async def send_resting_order(self, order: RestingOrder) -> OrderReport:
        """Let the order rest, or do what the plan says."""
        self._happen(lambda: self._accept(order))
        return self.reports[order.client_order_id]

    async def send_pair(self, pair: OrderPair) -> tuple[OrderReport, ...]:
        """Let both orders rest, or do what the plan says."""
        both = (pair.stop, pair.gain)
        names = [order.client_order_id for order in both]
        self.partner |= dict(zip(names, reversed(names), strict=True))
        self._happen(lambda: [self._accept(order) for order in both])
        return tuple(self.reports[name] for name in names)

    async def cancel_order(self, symbol: str, client_order_id: str) -> tuple[OrderReport, ...]:
        """End the order and its partner, or do what the plan says; -2011 where it has ended."""
        self.cancels.append(client_order_id)
        names = [client_order_id, self.partner.get(client_order_id, "")]
        standing = [one for one in names if one in self.reports and not self.reports[one].final]
        self._happen(lambda: self._end(standing, "CANCELED"))
        if not standing:
            raise Refused(-2011, "Unknown order sent.")
        return tuple(replace(self.reports[name], trades=()) for name in standing)

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Return what stands."""
        if self.silent_questions:
            self.silent_questions -= 1
            raise Unanswered("silence")
        return tuple(replace(one, trades=()) for one in self.reports.values() if not one.final)

    def trade(self, name: str, quantity_e8: int, price_e8: int, market_ms: int) -> OrderReport:
        """Let a resting order trade, fee 10 bps of what is received; its partner ends."""
        order, before = self.resting[name], self.reports[name]
        bought = order.side is Side.BUY
        received_e8 = quantity_e8 if bought else quantity_e8 * price_e8 // SCALE
        trade = TradeReport(
            symbol=order.symbol,
            trade_id=10_000 + sum(len(one.trades) for one in self.reports.values()),
            order_id=before.order_id,
            price_e8=price_e8,
            quantity_e8=quantity_e8,
            commission_e8=received_e8 // 1000,
            commission_asset="BTC" if bought else "USDT",
            market_ms=market_ms,
            is_maker=order.kind in (OrderKind.LIMIT, OrderKind.LIMIT_MAKER),
        )
        executed_e8 = before.executed_e8 + quantity_e8
        self.reports[name] = replace(
            before,
            status="FILLED" if executed_e8 == order.quantity_e8 else "PARTIALLY_FILLED",
            executed_e8=executed_e8,
            market_ms=market_ms,
            trades=(*before.trades, trade),
        )
        self._end([self.partner.get(name, "")], "EXPIRED")
        return self.reports[name]

    def _happen(self, work: Callable[[], object]) -> None:
        what = self.plan.pop(0) if self.plan else ""
        if what == "refuse":
            raise Refused(self.refusal, "no")
        if what != "drop_before":
            work()
        if what:
            raise Doubt(what)

    def _accept(self, order: RestingOrder) -> None:
        name = order.client_order_id
        assert name not in self.resting, "an id was used twice"
        self.resting[name] = order
        self.reports[name] = OrderReport(
            name, 5_000 + len(self.resting), order.symbol, order.side, "NEW", 0, 5_000, ()
        )

    def _end(self, names: list[str], status: str) -> None:
        for name in names:
            if name in self.reports and not self.reports[name].final:
                self.reports[name] = replace(self.reports[name], status=status)

    async def send_market_order(self, order: MarketOrder) -> OrderReport:
        """Apply the order, or do what the plan says."""
        what = self.plan.pop(0) if self.plan else ""
        if what == "refuse":
            raise Refused(self.refusal, "no")
        if what != "drop_before":
            self.accepted.append(order)
        if what:
            raise Doubt(what)
        return self.report(order)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Answer from what was accepted."""
        if self.silent_questions:
            self.silent_questions -= 1
            raise Unanswered("silence")
        if client_order_id in self.reports:
            return replace(self.reports[client_order_id], trades=())
        for order in self.accepted:
            if order.client_order_id == client_order_id:
                return replace(self.report(order), trades=())
        self.asked_absent_at.append(self.clock.now)
        return None

    async def trades_of(self, symbol: str, order_id: int) -> tuple[TradeReport, ...]:
        """Return the trades of an order."""
        for report in self.reports.values():
            if report.order_id == order_id:
                return report.trades
        return self.report(self.accepted[order_id - 1]).trades

    async def resync_clock(self) -> None:
        """Count."""
        self.resyncs += 1

    async def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, now_ms: int, limit: int
    ) -> list[Kline]:
        """Return the history from a time on."""
        return [k for k in self.history if start_ms is None or k.open_ms >= start_ms][:limit]

    async def market_ms(self, symbol: str, interval: str) -> int:
        """Return nothing that would close a candle by itself."""
        return 0

    async def kline_stream(self, symbol: str, interval: str) -> AsyncIterator[Kline | StreamBroken]:
        """Yield the prepared frames."""
        for frame in self.frames:
            yield frame

    async def user_stream(self) -> AsyncIterator[OrderReport | BalanceUpdate | StreamBroken]:
        """Yield nothing."""
        return
        yield

    async def balances(self) -> dict[str, Balance]:
        """Return a rich account, and the base that its orders left it."""
        told = [*self.reports.values(), *(self.report(order) for order in self.accepted)]
        base_e8 = sum(
            trade.quantity_e8 - trade.commission_e8 if one.side is Side.BUY else -trade.quantity_e8
            for one in told
            for trade in one.trades
        )
        locked_e8 = min(base_e8, self.locked_e8())
        return {"USDT": Balance(10**15, 0), "BTC": Balance(base_e8 - locked_e8, locked_e8)}

    def locked_e8(self) -> int:
        """Return what standing sales have locked; an OCO locks its base once."""
        left = {
            name: self.resting[name].quantity_e8 - one.executed_e8
            for name, one in self.reports.items()
            if not one.final and one.side is Side.SELL
        }
        seconds = {self.partner[name] for name in left if self.partner.get(name, "") in left}
        both = sum(left[name] for name in left if name in seconds) // 2
        return both + sum(left[name] for name in left if name not in seconds)

    async def is_synthetic(self) -> bool:
        """Say that it is made up."""
        return True

    async def instrument(self, symbol: str) -> Instrument:
        """Return the one instrument."""
        return ONE

    async def order_rules(self, symbol: str) -> OrderRules:
        """Return rules that allow all."""
        return OrderRules()

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def report(self, order: MarketOrder) -> OrderReport:
        """Return what an accepted order became: filled in one trade, fee 10 bps of what is received."""
        order_id = self.accepted.index(order) + 1
        bought = order.side is Side.BUY
        quantity_e8 = (
            order.quote_e8 * SCALE // PRICE_E8 // 1000 * 1000 if bought else order.quantity_e8
        )
        received_e8 = quantity_e8 if bought else quantity_e8 * PRICE_E8 // SCALE
        trade = TradeReport(
            symbol=order.symbol,
            trade_id=order_id,
            order_id=order_id,
            price_e8=PRICE_E8,
            quantity_e8=quantity_e8,
            commission_e8=received_e8 // 1000,
            commission_asset="BTC" if bought else "USDT",
            market_ms=5_000,
            is_maker=False,
        )
        return OrderReport(
            order.client_order_id,
            order_id,
            order.symbol,
            order.side,
            "FILLED",
            quantity_e8,
            5_000,
            (trade,),
        )


def instance_row(name: str = "one", **changes: object) -> InstanceRow:
    """Return a running instance with 1,000 USDT."""
    row = InstanceRow(
        name=name, tag="00000abc", strategy="macd", code_sha="ab" * 32, params={"fast": 3}, symbol="BTCUSDT",
        interval="1h", capital_e8=1_000 * SCALE, late_entry="skip", started_ms=1, synthetic=True,
        state=InstanceState.RUNNING, reason="", seq=0, bars=0, first_warm_ms=0, last_candle_ms=0, last_close=100.0,
        last_target=0.0, strategy_state=b"state", state_layout="x", stop_policy="",
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


def ticket(seq: int = 1, *, side: Side = Side.BUY, **changes: object) -> Ticket:
    """Return a written ticket over 500 USDT or 1 BTC."""
    made = Ticket(
        client_order_id=f"wb-00000abc-{seq}-1", instance="one", seq=seq, attempt=1, symbol="BTCUSDT", side=side,
        quote_e8=500 * SCALE if side is Side.BUY else 0, quantity_e8=SCALE if side is Side.SELL else 0,
        reason="signal", candle_ms=0, target_before=0.0, status=TicketStatus.WRITTEN, order_id=0, executed_e8=0,
        note="",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def journal_in(folder: Path) -> Journal:
    """Return a journal in a test's folder, whatever disk that is on."""
    return Journal(folder / "journal.db", account="paper", allow_any_file_system=True)


def books_with(journal: Journal, row: InstanceRow) -> tuple[Books, Book]:
    """Return books that hold one journaled instance."""
    journal.write(1, [row])
    books = Books(journal)
    return books, books.open(row, ONE)
