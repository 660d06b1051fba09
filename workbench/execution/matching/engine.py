"""The matching engine: user orders against each other and against the market's liquidity.

Sans-I/O: no clock, no chance, no sockets; `now_ms` is handed in. The market is not a crowd of
resting orders but a standing quote (`stand_at`): so many lots at the ask, so many at the bid.

- A user order that takes liquidity meets the best price first. At one price the orders of other
  users go before the market's, the oldest first. It pays what the maker asked for.
- A resting LIMIT order fills at its own price, when the tape trades through it (`walk`, a print
  beyond its price) or the standing quote passes it (`stand_at`). A touch alone fills nothing,
  unless the engine was told `touch_fills=True`. The volume of a print caps what it can fill.
- MARKET orders end at once: FILLED, or EXPIRED with what the liquidity gave. IOC expires what is
  left, FOK expires unless everything can trade at once.

Money is moved in `balances`, the received asset pays the commission, and a refusal (`Rejected`,
Binance's code and message) changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from workbench.core.costs import commission_e8
from workbench.execution.filters import check_lot_size, checked_limit
from workbench.execution.matching.balances import Balance, Balances
from workbench.execution.matching.book import Book
from workbench.execution.matching.sweep import MARKET, Match, Quote, Sweep, plan
from workbench.execution.orders import (
    Execution,
    ExpiryReason,
    NewOrder,
    Order,
    OrderEvent,
    OrderResult,
    OrderStatus,
    OrderType,
    Rejected,
    Report,
    ReportKind,
    Side,
    TimeInForce,
    after,
)
from workbench.market.instruments import Instrument

FULL_SHARE_BPS = 10_000
THIN_BOOK = "Order book liquidity is less than symbol minimum quantity."


class MatchingEngine:
    """One exchange: instruments, accounts, books and every order ever accepted."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        maker_rate_e8: int,
        taker_rate_e8: int,
        *,
        touch_fills: bool = False,
        share_bps: int = FULL_SHARE_BPS,
    ) -> None:
        self.instruments = dict(instruments)
        self.maker_rate_e8 = maker_rate_e8
        self.taker_rate_e8 = taker_rate_e8
        self.ledger = Balances()
        self.orders: dict[int, Order] = {}
        self.executions: list[Execution] = []
        self._touch_fills = touch_fills
        self._share_bps = share_bps
        self._quotes: dict[str, Quote] = {}
        self._books = {symbol: Book() for symbol in self.instruments}
        self._trade_ids: dict[str, int] = defaultdict(int)
        self._newest: dict[tuple[str, str, str], int] = {}  # by account, symbol, client order id
        self._open: dict[int, None] = {}

    # -- money

    def deposit(self, account: str, asset: str, amount_e8: int) -> None:
        """Credit an account from outside."""
        self.ledger.deposit(account, asset, amount_e8)

    def balances(self, account: str) -> dict[str, Balance]:
        """Return an account's balances by asset."""
        return self.ledger.of(account)

    # -- the market moves

    def stand_at(
        self, symbol: str, bid_ticks: int, ask_ticks: int, depth_lots: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Renew the standing quote; fill the resting orders that it passes, at their own prices."""
        if not 0 < bid_ticks <= ask_ticks:
            raise ValueError(
                f"{symbol}: bid {bid_ticks} must be above 0 and not above ask {ask_ticks}"
            )
        self._quotes[symbol] = Quote(bid_ticks, ask_ticks, depth_lots, depth_lots)
        tick = self.instrument(symbol).tick_e8
        return self._pass(symbol, ask_ticks * tick, bid_ticks * tick, depth_lots, now_ms)

    def walk(
        self, symbol: str, prices_e8: Sequence[int], volume_e8: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Print the prices one after the other; return the reports of resting orders that filled.

        Prices and volume are the tape's, at 1e-8, off the grid or not; the volume is for all of them.
        """
        lots = volume_e8 * self._share_bps // FULL_SHARE_BPS // self.instrument(symbol).step_e8
        reports: list[Report] = []
        for price_e8 in prices_e8:
            done = self._pass(symbol, price_e8, price_e8, lots, now_ms)
            lots -= sum(report.execution.lots for report in done if report.execution)
            reports.extend(done)
        return tuple(reports)

    def quote(self, symbol: str) -> Quote | None:
        """Return the standing quote with what is left of it, None before the market opened."""
        return self._quotes.get(symbol)

    def book(self, symbol: str) -> Book:
        """Return the resting orders of a symbol, to be read only."""
        return self._books[symbol]

    def instrument(self, symbol: str) -> Instrument:
        """Return a listed instrument; -1121 for any other symbol."""
        try:
            return self.instruments[symbol]
        except KeyError:
            raise Rejected(-1121, "Invalid symbol.") from None

    # -- orders

    def place(self, new: NewOrder, now_ms: int) -> OrderResult:
        """Accept, match and, where something is left of a GTC order, rest it."""
        instrument = self.instrument(new.symbol)
        price_ticks, sweep = self._examine(new, instrument)
        order = self._accept(new, sweep.wanted_lots, price_ticks, now_ms)
        reports = [Report(ReportKind.NEW, order)]
        if order.order_type is OrderType.LIMIT:
            self.ledger.lock(new.account, *self._stake(order, order.lots))
        kill = order.time_in_force is TimeInForce.FOK and sweep.lots < order.lots
        for match in () if kill else sweep.matches:
            reports.extend(self._trade(order.order_id, match, now_ms))
        reports.extend(self._settle(order.order_id, now_ms))
        return self._result(order.order_id, reports)

    def check(self, new: NewOrder) -> None:
        """Refuse an order as `place` would, without placing it."""
        self._examine(new, self.instrument(new.symbol))

    def cancel(
        self, account: str, symbol: str, order_id: int, now_ms: int, *, client_order_id: str = ""
    ) -> OrderResult:
        """Take an open order back; -2011 for one that is not this account's or not open.

        The report carries `client_order_id` as its new id (the cancel's own), the old in `replaces`.
        """
        order = self.orders.get(order_id)
        if order is None or not order.is_open or (order.account, order.symbol) != (account, symbol):
            raise Rejected(-2011, "Unknown order sent.")
        canceled = self._close(order, OrderEvent.CANCEL, now_ms)
        named = replace(canceled, client_order_id=client_order_id or canceled.client_order_id)
        report = Report(ReportKind.CANCELED, named, replaces=canceled.client_order_id)
        return OrderResult(canceled, (), (report,))

    def find(
        self, account: str, symbol: str, *, order_id: int | None, client_order_id: str | None
    ) -> Order | None:
        """Return an account's order by number, or the newest by client id; both must agree."""
        if order_id is not None:
            order = self.orders.get(order_id)
            if order is None or (order.account, order.symbol) != (account, symbol):
                return None
            return order if client_order_id in (None, order.client_order_id) else None
        number = self._newest.get((account, symbol, client_order_id or ""))
        return self.orders[number] if number else None

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Return an account's open orders, oldest first."""
        orders = (self.orders[number] for number in self._open)
        return [o for o in orders if o.account == account and symbol in (None, o.symbol)]

    # -- inside

    def _examine(self, new: NewOrder, instrument: Instrument) -> tuple[int, Sweep]:
        """Return (limit in ticks, sweep) of an order that is acceptable; change nothing."""
        namesake = self._newest.get((new.account, new.symbol, new.client_order_id))
        if namesake in self._open:
            raise Rejected(-2010, "Duplicate order sent.")
        quote = self._quotes.get(new.symbol)
        if quote is None:
            raise Rejected(-2010, "Market is closed.")
        limit = checked_limit(new, instrument, quote.against(new.side)[0])
        sweep = plan(new, quote, self._books[new.symbol], instrument, limit)
        if new.quote_e8:
            _check_quote_order(sweep, instrument, quote.against(new.side)[1])
        self._require_funds(new, instrument, limit, sweep)
        return limit, sweep

    def _require_funds(
        self, new: NewOrder, instrument: Instrument, limit: int, sweep: Sweep
    ) -> None:
        if new.side is Side.SELL:
            sold_e8 = sweep.wanted_lots * instrument.step_e8
            self.ledger.require(new.account, instrument.base, sold_e8)
            return
        cost_e8 = new.quote_e8 or sweep.wanted_lots * limit * instrument.unit_e8
        self.ledger.require(new.account, instrument.quote, cost_e8 or sweep.value_e8(instrument))

    def _accept(self, new: NewOrder, lots: int, price_ticks: int, now_ms: int) -> Order:
        number = len(self.orders) + 1
        order = Order(
            order_id=number,
            account=new.account,
            symbol=new.symbol,
            client_order_id=new.client_order_id or f"auto-{number}",
            side=new.side,
            order_type=new.order_type,
            time_in_force=new.time_in_force,
            price_ticks=price_ticks,
            lots=lots,
            quote_e8=new.quote_e8,
            status=OrderStatus.NEW,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        self.orders[number] = order
        self._newest[order.account, order.symbol, order.client_order_id] = number
        self._open[number] = None
        return order

    def _trade(self, taker_id: int, match: Match, now_ms: int) -> list[Report]:
        """Execute one piece of a sweep: the resting user's side first, then the taker's."""
        taker = self.orders[taker_id]
        self._trade_ids[taker.symbol] += 1
        reports = []
        if match.maker_id == MARKET:
            self._quotes[taker.symbol].take(taker.side, match.lots)
        else:
            maker = self.orders[match.maker_id]
            self._books[maker.symbol].reduce(
                maker.side, maker.price_ticks, maker.order_id, match.lots
            )
            reports.append(self._fill(maker, match, now_ms, is_maker=True))
        reports.append(self._fill(taker, match, now_ms, is_maker=False))
        return reports

    def _fill(self, order: Order, match: Match, now_ms: int, *, is_maker: bool) -> Report:
        """Move the money of one order's fill and record it."""
        instrument = self.instruments[order.symbol]
        value_e8 = match.lots * match.price_ticks * instrument.unit_e8
        quantity_e8 = match.lots * instrument.step_e8
        if order.side is Side.BUY:
            paid, got = (instrument.quote, value_e8), (instrument.base, quantity_e8)
        else:
            paid, got = (instrument.base, quantity_e8), (instrument.quote, value_e8)
        if order.order_type is OrderType.LIMIT:
            asset, locked_e8 = self._stake(order, match.lots)
            self.ledger.release(order.account, asset, locked_e8)
        self.ledger.pay_free(order.account, *paid)
        rate = self.maker_rate_e8 if is_maker else self.taker_rate_e8
        fee_e8 = int(commission_e8(got[1], rate))
        self.ledger.receive(order.account, *got, fee_e8)
        execution = Execution(
            trade_id=self._trade_ids[order.symbol],
            order_id=order.order_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price_ticks=match.price_ticks,
            lots=match.lots,
            quote_e8=value_e8,
            commission_e8=fee_e8,
            commission_asset=got[0],
            is_maker=is_maker,
            time_ms=now_ms,
        )
        self.executions.append(execution)
        event = OrderEvent.FILL if match.lots == order.open_lots else OrderEvent.PART
        filled = replace(
            order,
            status=after(order.status, event),
            filled_lots=order.filled_lots + match.lots,
            filled_quote_e8=order.filled_quote_e8 + value_e8,
            updated_ms=now_ms,
        )
        self._store(filled)
        return Report(ReportKind.TRADE, filled, execution)

    def _settle(self, order_id: int, now_ms: int) -> list[Report]:
        """Rest or expire what a new order has left after its sweep."""
        order = self.orders[order_id]
        if not order.is_open:
            return []
        reason = _EXPIRY.get((order.order_type, order.time_in_force))
        if reason is None:
            self._books[order.symbol].add(order.side, order.price_ticks, order_id, order.open_lots)
            return []
        expired = self._close(order, OrderEvent.EXPIRE, now_ms, reason=reason)
        return [Report(ReportKind.EXPIRED, expired)]

    def _close(
        self,
        order: Order,
        event: OrderEvent,
        now_ms: int,
        *,
        reason: ExpiryReason = ExpiryReason.NONE,
    ) -> Order:
        """End an open order that still has lots: out of the book, its reserve given back."""
        if event is OrderEvent.CANCEL:
            self._books[order.symbol].remove(order.side, order.price_ticks, order.order_id)
        if order.order_type is OrderType.LIMIT:
            self.ledger.release(order.account, *self._stake(order, order.open_lots))
        closed = replace(
            order, status=after(order.status, event), updated_ms=now_ms, expiry_reason=reason
        )
        self._store(closed)
        return closed

    def _pass(
        self, symbol: str, ask_e8: int, bid_e8: int, capacity_lots: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Fill resting buys above `ask_e8` and sells below `bid_e8`, best and oldest first."""
        book, tick = self._books[symbol], self.instrument(symbol).tick_e8
        reports: list[Report] = []
        for side, level_e8, sign in ((Side.BUY, ask_e8, 1), (Side.SELL, bid_e8, -1)):
            passed = [
                (price, number, lots)
                for price, number, lots in book.orders(side)
                if (price * tick - level_e8) * sign >= (0 if self._touch_fills else 1)
            ]
            for price, number, open_lots in passed:
                lots = min(open_lots, capacity_lots)
                if lots <= 0:
                    break
                capacity_lots -= lots
                self._trade_ids[symbol] += 1
                book.reduce(side, price, number, lots)
                match = Match(price, lots, number)
                reports.append(self._fill(self.orders[number], match, now_ms, is_maker=True))
        return tuple(reports)

    def _stake(self, order: Order, lots: int) -> tuple[str, int]:
        """Return what a LIMIT order reserves for that many lots: (asset, amount)."""
        instrument = self.instruments[order.symbol]
        if order.side is Side.BUY:
            return instrument.quote, lots * order.price_ticks * instrument.unit_e8
        return instrument.base, lots * instrument.step_e8

    def _store(self, order: Order) -> None:
        self.orders[order.order_id] = order
        if not order.is_open:
            del self._open[order.order_id]

    def _result(self, order_id: int, reports: list[Report]) -> OrderResult:
        fills = tuple(
            report.execution
            for report in reports
            if report.execution and report.execution.order_id == order_id
        )
        return OrderResult(self.orders[order_id], fills, tuple(reports))


_EXPIRY = {
    (OrderType.MARKET, TimeInForce.GTC): ExpiryReason.INSUFFICIENT_LIQUIDITY,
    (OrderType.LIMIT, TimeInForce.IOC): ExpiryReason.UNFILLED_IOC_QUANTITY_EXPIRED,
    (OrderType.LIMIT, TimeInForce.FOK): ExpiryReason.UNFILLED_FOK_ORDER_EXPIRED,
}


def _check_quote_order(sweep: Sweep, instrument: Instrument, market_lots: int) -> None:
    if not sweep.matches and not market_lots:
        raise Rejected(-2010, THIN_BOOK)
    if not sweep.lots:
        raise Rejected(-1013, "Filter failure: LOT_SIZE")
    check_lot_size(sweep.wanted_lots * instrument.step_e8, instrument)
