"""The order desk: sends a journaled ticket once, and does not rest until its fate is known and booked.

Every way in which news of an order arrives (the reply, the user stream, a query) ends in `hear`,
which books each execution once, by (symbol, trade id). A ticket in doubt is searched for, never
sent again blindly.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.clock import Clock, back_off
from bridge.crash_points import crash
from bridge.exchanges.base import (
    Doubt,
    Exchange,
    MarketOrder,
    OrderReport,
    Refused,
    TradeReport,
    Unanswered,
)
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.journal_rows import (
    UNSETTLED,
    Event,
    FillRow,
    InstanceState,
    Row,
    Ticket,
    TicketStatus,
)
from bridge.reconcile import Inquiry, Truth
from workbench.errors import UsageError

BAD_TIMESTAMP = -1021
# Too many requests or orders, server overloaded: not taken in, and an exit may not stay undone for it.
COME_BACK_LATER = frozenset({-1003, -1008, -1015})
MOST_ATTEMPTS = 3
PATIENCE = 0.25  # seconds between two looks at an order that is neither final nor in doubt


class OrderDesk:
    """Sends and settles tickets of one account."""

    def __init__(
        self, books: Books, exchange: Exchange, clock: Clock, *, backend_timeout_ms: int
    ) -> None:
        self._books = books
        self._exchange = exchange
        self._clock = clock
        self._backend_timeout_ms = backend_timeout_ms
        self._doubtful: dict[str, str] = {}  # client order id -> symbol

    def in_doubt(self, symbol: str) -> bool:
        """Tell whether the fate of an order on that symbol is unknown."""
        return symbol in self._doubtful.values()

    async def carry_out(self, book: Book, ticket: Ticket) -> Ticket:
        """Send a ticket that was just journaled; return it settled."""
        crash("after_journal")
        try:
            report = await self._exchange.send_market_order(order_of(ticket))
        except Refused as refusal:
            return await self._refused(book, ticket, refusal)
        except Doubt as doubt:
            self._alarm(ticket, f"{doubt}; searching for it")
            truth = await self._search(book, ticket)
            if truth is Truth.PROVEN_ABSENT:
                return await self._lost(book, ticket)
        else:
            crash("after_reply")
            self.hear(report)
        return await self._settle(book, ticket)

    async def recover(self, book: Book, ticket: Ticket) -> Ticket:
        """Settle a ticket that an earlier process left behind: it may or may not have been sent."""
        if ticket.status is TicketStatus.WRITTEN:
            truth = await self._search(book, ticket)
            if truth is Truth.PROVEN_ABSENT:
                crash("before_void")
                return await self._lost(book, ticket)
        return await self._settle(book, ticket)

    def hear(self, report: OrderReport) -> None:
        """Take news of an order from anywhere; news of foreign orders and old news change nothing."""
        found = self._books.ticket(report.client_order_id)
        if found is None:
            return
        book, ticket = found
        try:
            fills = self._book_new(book, ticket, report.trades)
        except UsageError as error:
            self._fault(book, str(error))
            return
        booked = self._books.journal.booked_e8(ticket.client_order_id)
        booked += sum(fill.quantity_e8 for fill in fills)
        after = core.told(ticket, report, booked)
        if fills or after != ticket:
            told: list[Row] = [*fills, *(core.fill_event(fill) for fill in fills)]
            self._books.commit_ticket(book, after, told, self._clock.wall_ms())
            crash("after_book")
        self._doubtful.pop(ticket.client_order_id, None)

    async def reconcile(self) -> None:
        """Ask the exchange about every ticket that is not settled; what it says is booked."""
        for book in list(self._books.by_name.values()):
            for ticket in book.unsettled:
                await self._look(ticket)

    def _book_new(
        self, book: Book, ticket: Ticket, trades: tuple[TradeReport, ...]
    ) -> list[FillRow]:
        fills = []
        for trade in trades:
            if self._books.ledger.is_booked(trade.symbol, trade.trade_id):
                continue
            fill = core.fill_row(ticket, trade, book.instrument, self._clock.wall_ms())
            self._books.ledger.book_fill(core.ledger_fill(fill))
            fills.append(fill)
        return fills

    async def _look(self, ticket: Ticket) -> bool | None:
        """Ask for one order and book what is told; return whether it exists, None without an answer."""
        try:
            report = await self._exchange.find_order(ticket.symbol, ticket.client_order_id)
            if report is None:
                return False
            if report.executed_e8:
                trades = await self._exchange.trades_of(ticket.symbol, report.order_id)
                report = replace(report, trades=trades)
        except Unanswered:
            return None
        self.hear(report)
        return True

    async def _search(self, book: Book, ticket: Ticket) -> Truth:
        """Find out whether the exchange took a ticket. May last for ever: nothing is guessed."""
        inquiry = Inquiry.begin(self._clock.elapsed(), self._backend_timeout_ms)
        self._doubtful[ticket.client_order_id] = ticket.symbol
        failures = 0
        try:
            while True:
                if self._now(book, ticket).status is not TicketStatus.WRITTEN:
                    inquiry.saw_it()  # the user stream told first
                else:
                    found = await self._look(ticket)
                    failures = failures + 1 if found is None else 0
                    if found:
                        inquiry.saw_it()
                    elif found is False:
                        inquiry.was_told_absent(self._clock.elapsed())
                if inquiry.truth is not Truth.UNKNOWN:
                    return inquiry.truth
                pause = inquiry.next_question_in(self._clock.elapsed())
                await self._clock.sleep(max(pause, back_off(failures)))
        finally:
            self._doubtful.pop(ticket.client_order_id, None)

    async def _settle(self, book: Book, ticket: Ticket) -> Ticket:
        while True:
            now = self._now(book, ticket)
            if now.status not in UNSETTLED or book.row.state is InstanceState.FAULTED:
                return now
            await self._look(now)
            if self._now(book, ticket).status in UNSETTLED:
                await self._clock.sleep(PATIENCE)

    async def _refused(self, book: Book, ticket: Ticket, refusal: Refused) -> Ticket:
        no = _with(ticket, TicketStatus.REFUSED, str(refusal))
        alarm = Event("alarm", ticket.instance, ticket.candle_ms, {"reason": str(refusal)})
        self._books.commit_ticket(book, no, [alarm], self._clock.wall_ms())
        busy_exit = refusal.code in COME_BACK_LATER and ticket.quantity_e8 > 0
        if ticket.attempt >= MOST_ATTEMPTS or not (busy_exit or refusal.code == BAD_TIMESTAMP):
            return no
        if refusal.code == BAD_TIMESTAMP:
            await self._resync()
        else:
            await self._clock.sleep(PATIENCE * 4 * ticket.attempt)
        return await self._resend(book, no)  # proven not accepted

    async def _resync(self) -> None:
        try:
            await self._exchange.resync_clock()
        except (Unanswered, Refused):
            await self._clock.sleep(PATIENCE)

    async def _lost(self, book: Book, ticket: Ticket) -> Ticket:
        """Deal with a ticket that is proven absent: an exit goes again as the next attempt, an entry is given up."""
        if ticket.quantity_e8 and ticket.attempt < MOST_ATTEMPTS:
            gone = _with(ticket, TicketStatus.VOID, "never reached the exchange; sent again")
            self._books.commit_ticket(book, gone, [], self._clock.wall_ms())
            return await self._resend(book, gone)
        return self._void(
            book, ticket, "never reached the exchange: entry given up, the strategy decides anew"
        )

    async def _resend(self, book: Book, ticket: Ticket) -> Ticket:
        again = core.next_attempt(ticket, book.row.tag)
        self._books.commit_ticket(book, again, [], self._clock.wall_ms())
        return await self.carry_out(book, again)

    def _void(self, book: Book, ticket: Ticket, why: str) -> Ticket:
        self._books.commit(book, core.voided(book.row, ticket, why), self._clock.wall_ms())
        return self._now(book, ticket)

    def _fault(self, book: Book, reason: str) -> None:
        if book.row.state is not InstanceState.FAULTED:
            self._books.commit(book, core.faulted(book.row, reason), self._clock.wall_ms())

    def _now(self, book: Book, ticket: Ticket) -> Ticket:
        return book.tickets[ticket.client_order_id]

    def _alarm(self, ticket: Ticket, reason: str) -> None:
        data = {"reason": reason, "client_order_id": ticket.client_order_id}
        event = Event("alarm", ticket.instance, ticket.candle_ms, data)
        self._books.journal.write(self._clock.wall_ms(), [event])


def _with(ticket: Ticket, status: TicketStatus, note: str) -> Ticket:
    return replace(ticket, status=status, note=note)


def order_of(ticket: Ticket) -> MarketOrder:
    """Return what a ticket says to the exchange."""
    return MarketOrder(
        client_order_id=ticket.client_order_id,
        symbol=ticket.symbol,
        side=ticket.side,
        quote_e8=ticket.quote_e8,
        quantity_e8=ticket.quantity_e8,
    )
