"""The order desk: sends a journaled ticket once, and knows no rest until its fate is known and booked.

Every way in which news of an order arrives (the reply, the user stream, a query) ends in `hear`,
which books each execution once, by (symbol, trade id). A ticket in doubt is searched for, never
sent again blindly. A market order is settled before `carry_out` returns. One that rests is known
to stand when `rest` returns, and final when `withdraw` does; what it does in between is heard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bridge.clock import Clock, back_off
from bridge.crash_points import crash
from bridge.exchanges.base import (
    Doubt,
    Exchange,
    OrderReport,
    Refused,
    Side,
    Unanswered,
)
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.gateway.desk_records import DeskRecords, with_status
from bridge.gateway.insistence import answer_of
from bridge.gateway.tickets import (
    before,
    next_attempts,
    order_of,
    pair_of,
    resting_order_of,
    told,
)
from bridge.journal_rows import (
    UNSETTLED,
    Event,
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
ALWAYS_MS = 1  # a frontier that every fill of a resting order lies behind


class OrderDesk:
    """Sends and settles tickets of one account."""

    def __init__(
        self, books: Books, exchange: Exchange, clock: Clock, *, backend_timeout_ms: int
    ) -> None:
        self._books = books
        self._exchange = exchange
        self._clock = clock
        self._backend_timeout_ms = backend_timeout_ms
        self._records = DeskRecords(books, clock)
        self._doubtful: dict[str, str] = {}  # client order id -> symbol
        self._on_its_way: dict[str, float] = {}  # symbol -> until when a lost copy may yet arrive

    def in_doubt(self, symbol: str) -> bool:
        """Tell whether the fate of an order on that symbol is unknown."""
        late = self._on_its_way.get(symbol, 0.0) > self._clock.elapsed()
        return late or symbol in self._doubtful.values()

    async def carry_out(
        self, book: Book, ticket: Ticket, *, attempts: int = MOST_ATTEMPTS
    ) -> Ticket:
        """Send a market ticket that was just journaled; return it settled.

        A sale that never arrived goes again, up to so many `attempts`; with fewer than usual it is
        VOID then, for whoever has to free its base before it goes again.
        """
        (sent,) = await self._send(book, [ticket], attempts)
        return await self._settle(book, sent)

    async def insist(
        self, book: Book, ticket: Ticket, may_repeat: Callable[[], Awaitable[bool]]
    ) -> Ticket:
        """Send a sale of all an account's free base until there is an answer; return it settled.

        A copy follows only where `may_repeat` says that the base is there still (see `insistence`). One
        that was lost on its way could still sell what is bought next: so long no entry is made.
        """
        crash("after_journal")
        copies = 0

        async def copy() -> tuple[OrderReport, ...]:
            nonlocal copies
            copies += 1
            if copies > 1:
                inquiry = Inquiry.begin(self._clock.elapsed(), self._backend_timeout_ms)
                self._on_its_way[ticket.symbol] = inquiry.since + inquiry.horizon_seconds
            return await self._call([ticket])

        self._doubtful[ticket.client_order_id] = ticket.symbol
        try:
            answer = await answer_of(copy, lambda: self._look(ticket), may_repeat, self._clock)
        finally:
            self._doubtful.pop(ticket.client_order_id, None)
        if answer is None:
            return await self._settle(book, (await self._sought(book, [ticket], 1))[0])
        if isinstance(answer, Refused):
            if not await self._look(ticket):
                return (await self._refused(book, [ticket], answer))[0]
        else:
            for report in answer:
                self.hear(report)
        return await self._settle(book, self._records.now(book, ticket))

    async def rest(
        self, book: Book, tickets: Sequence[Ticket], *, attempts: int = MOST_ATTEMPTS
    ) -> list[Ticket]:
        """Send one ticket that was just journaled and rests, or the stop and the gain of an OCO.

        Return as soon as it is known whether the exchange has them: OPEN (or DONE at once),
        REFUSED with its code in the note, or VOID after so many `attempts` that never arrived.
        """
        return await self._send(book, tickets, attempts)

    async def withdraw(self, book: Book, ticket: Ticket) -> Ticket:
        """Take back a ticket that rests, with its list; return it final, all its fills booked.

        Cancelling again does no harm, since an id of ours names one order for ever: it is asked
        for until the exchange says that the order has ended, however that came.
        """
        self._records.cancelling(book, ticket)
        crash("before_cancel")
        inquiry = Inquiry.begin(self._clock.elapsed(), self._backend_timeout_ms)
        failures = 0
        while left := self._records.still_open(book, ticket):
            self.open_until(book, 0)  # what it traded is needed now
            if failures:
                await self._clock.sleep(max(PATIENCE, back_off(failures)))
            await self._cancel(left[0])
            for leg in self._records.still_open(book, ticket):
                if await self._look(leg) is False:
                    inquiry.was_told_absent(self._clock.elapsed())
                    if inquiry.truth is Truth.PROVEN_ABSENT:
                        self._records.gone(book, leg)
            failures += 1
            if book.row.state is InstanceState.FAULTED and failures > MOST_ATTEMPTS:
                break  # a fill that cannot be booked: an alarm was raised
        crash("after_cancel")
        return self._records.now(book, ticket)

    async def recover(self, book: Book, ticket: Ticket) -> Ticket:
        """Settle a ticket that an earlier process left behind: it may or may not have been sent.

        One that rests, or sells what exits have locked, is given up where it never arrived: whoever wants
        it wants it anew.
        """
        if ticket.status is TicketStatus.WRITTEN:
            truth = await self._search(book, [ticket])
            if truth is Truth.PROVEN_ABSENT:
                crash("before_void")
                if ticket.rests or _may_be_locked(book, ticket):
                    return self._records.gone(book, ticket)
                (lost,) = await self._lost(book, [ticket])
                return await self._settle(book, lost)
        if not ticket.rests:
            return await self._settle(book, ticket)
        if self._records.now(book, ticket).status is TicketStatus.CANCELLING:
            return await self.withdraw(book, ticket)
        await self._look(ticket)
        return self._records.now(book, ticket)

    def hear(self, report: OrderReport) -> None:
        """Take news of an order from anywhere; news of foreign orders and old news change nothing."""
        found = self._books.ticket(report.client_order_id)
        if found is None:
            return
        book, ticket = found
        now = before(report, book.frontier_ms) if ticket.rests else report
        if now != report and report not in book.held:
            book.held.append(report)
        try:
            fills = self._records.book_new(book, ticket, now.trades)
        except UsageError as error:
            self._records.fault(book, str(error))
            return
        booked = self._books.journal.booked_e8(ticket.client_order_id)
        booked += sum(fill.quantity_e8 for fill in fills)
        after = told(ticket, now, booked)
        if fills or after != ticket:
            rows: list[Row] = [*fills, *(core.fill_event(fill) for fill in fills)]
            if fills:
                rows.append(replace(book.row, plan=book.protection.saved()))
            rows += self._records.left_bare(book, after)
            self._books.commit_ticket(book, after, rows, self._clock.wall_ms())
            crash("after_book")
        self._doubtful.pop(ticket.client_order_id, None)
        if ticket.rests and (fills or after.status not in UNSETTLED):
            book.news.set()

    def open_until(self, book: Book, frontier_ms: int) -> None:
        """Book what resting orders trade before that market time, held news included; 0 books all."""
        book.frontier_ms = frontier_ms
        held, book.held = book.held, []
        for report in held:
            self.hear(report)

    async def catch_up(self, book: Book) -> bool:
        """Learn by one question how an instance's open orders stand; False when nobody answers."""
        unsettled = book.unsettled
        if not unsettled:
            return True
        try:
            standing = await self._exchange.open_orders(book.row.symbol)
        except (Unanswered, Refused):
            return False
        reports = {report.client_order_id: report for report in standing}
        answered = True
        for ticket in unsettled:
            report = reports.get(ticket.client_order_id)
            if report is None or report.executed_e8 != ticket.executed_e8:
                answered &= await self._look(ticket) is not None
            else:
                self.hear(report)
        return answered

    async def reconcile(self) -> None:
        """Ask the exchange about every ticket that is not settled; what it says is booked."""
        for book in list(self._books.by_name.values()):
            await self.catch_up(book)

    async def _send(
        self, book: Book, tickets: Sequence[Ticket], attempts: int = MOST_ATTEMPTS
    ) -> list[Ticket]:
        crash("after_journal")
        try:
            reports = await self._call(tickets)
        except Refused as refusal:
            return await self._refused(book, tickets, refusal)
        except Doubt as doubt:
            self._records.alarm(tickets[0], f"{doubt}; searching for it")
            return await self._sought(book, tickets, attempts)
        crash("after_reply")
        for report in reports:
            self.hear(report)
        return [self._records.now(book, ticket) for ticket in tickets]

    async def _sought(self, book: Book, tickets: Sequence[Ticket], attempts: int) -> list[Ticket]:
        """Search for tickets in doubt; deal with those that never arrived."""
        if await self._search(book, tickets) is Truth.PROVEN_ABSENT:
            return await self._lost(book, tickets, attempts)
        return [self._records.now(book, ticket) for ticket in tickets]

    async def _call(self, tickets: Sequence[Ticket]) -> tuple[OrderReport, ...]:
        if len(tickets) == 2:
            return await self._exchange.send_pair(pair_of(tickets))
        ticket = tickets[0]
        if ticket.rests:
            return (await self._exchange.send_resting_order(resting_order_of(ticket)),)
        return (await self._exchange.send_market_order(order_of(ticket)),)

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

    async def _search(self, book: Book, tickets: Sequence[Ticket]) -> Truth:
        """Find out whether the exchange took a ticket (of a list: both). May last for ever: nothing is guessed."""
        ticket = tickets[0]
        inquiry = Inquiry.begin(self._clock.elapsed(), self._backend_timeout_ms)
        self._doubtful |= {one.client_order_id: one.symbol for one in tickets}
        failures = 0
        try:
            while True:
                if self._records.now(book, ticket).status is not TicketStatus.WRITTEN:
                    inquiry.saw_it()  # the user stream told first
                else:
                    found = await self._look(ticket)
                    failures = failures + 1 if found is None else 0
                    if found:
                        inquiry.saw_it()
                    elif found is False:
                        inquiry.was_told_absent(self._clock.elapsed())
                if inquiry.truth is not Truth.UNKNOWN:
                    break
                pause = inquiry.next_question_in(self._clock.elapsed())
                await self._clock.sleep(max(pause, back_off(failures)))
            if inquiry.truth is Truth.PROVEN_DONE:
                for other in tickets[1:]:
                    await self._look(other)
            return inquiry.truth
        finally:
            for one in tickets:
                self._doubtful.pop(one.client_order_id, None)

    async def _settle(self, book: Book, ticket: Ticket) -> Ticket:
        while True:
            now = self._records.now(book, ticket)
            if now.status not in UNSETTLED or book.row.state is InstanceState.FAULTED:
                return now
            await self._look(now)
            if self._records.now(book, ticket).status in UNSETTLED:
                await self._clock.sleep(PATIENCE)

    async def _cancel(self, ticket: Ticket) -> None:
        try:
            ended = await self._exchange.cancel_order(ticket.symbol, ticket.client_order_id)
        except Refused as refusal:  # it may have filled: whoever called looks
            if refusal.code == BAD_TIMESTAMP:
                await self._resync()
        except Doubt as doubt:
            self._records.alarm(ticket, f"cancel: {doubt}; asking again")
        else:
            for report in ended:
                self.hear(report)

    async def _refused(
        self, book: Book, tickets: Sequence[Ticket], refusal: Refused
    ) -> list[Ticket]:
        first = tickets[0]
        no = [with_status(ticket, TicketStatus.REFUSED, str(refusal)) for ticket in tickets]
        alarm = Event("alarm", first.instance, first.candle_ms, {"reason": str(refusal)})
        self._books.commit_tickets(book, no, [alarm], self._clock.wall_ms())
        busy_exit = refusal.code in COME_BACK_LATER and first.quantity_e8 > 0
        if first.attempt >= MOST_ATTEMPTS or not (busy_exit or refusal.code == BAD_TIMESTAMP):
            return no
        if refusal.code == BAD_TIMESTAMP:
            await self._resync()
        else:
            await self._clock.sleep(PATIENCE * 4 * first.attempt)
        return await self._resend(book, no)  # proven not accepted

    async def _resync(self) -> None:
        try:
            await self._exchange.resync_clock()
        except (Unanswered, Refused):
            await self._clock.sleep(PATIENCE)

    async def _lost(
        self, book: Book, tickets: Sequence[Ticket], attempts: int = MOST_ATTEMPTS
    ) -> list[Ticket]:
        """Deal with tickets that are proven absent: an exit goes again as the next attempt, an entry is given up."""
        if tickets[0].quantity_e8 and tickets[0].attempt < attempts:
            why = "never reached the exchange; sent again"
            gone = [with_status(ticket, TicketStatus.VOID, why) for ticket in tickets]
            self._books.commit_tickets(book, gone, [], self._clock.wall_ms())
            return await self._resend(book, gone)
        if tickets[0].rests or attempts < MOST_ATTEMPTS:
            return [self._records.gone(book, ticket) for ticket in tickets]
        why = "never reached the exchange: entry given up, the strategy decides anew"
        return [self._records.void(book, tickets[0], why)]

    async def _resend(self, book: Book, tickets: Sequence[Ticket]) -> list[Ticket]:
        again = next_attempts(tickets, book.row.tag)
        self._books.commit_tickets(book, again, [], self._clock.wall_ms())
        return await self._send(book, again)


def _may_be_locked(book: Book, ticket: Ticket) -> bool:
    """Tell whether exits may stand where a sale is to be sent anew; a stop that sells took them back before."""
    stopping = book.row.state is InstanceState.STOPPING
    return ticket.side is Side.SELL and not book.row.ladder and not stopping
