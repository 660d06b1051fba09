"""Working orders: how they trade, rest, expire, wait for their stop, and how others end with them.

A taker's sweep is planned first and then traded piece by piece; what is left rests, or expires as
its type says. Before one leg of an OCO trades or triggers, the other ends. An order whose turn comes
while others trade (a stop that was met, a pending order) is put into `floor.due` and acts at the
quote that stands afterwards (`act`), so that no sweep is overtaken by its own consequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.execution.matching.clearing import Clearing
from workbench.execution.matching.contingency import Contingencies
from workbench.execution.matching.floor import Floor
from workbench.execution.matching.sweep import MARKET, Match, Quote, Sweep, Want
from workbench.execution.matching.triggers import Watch, is_met, waits_above
from workbench.execution.orders import (
    CONDITIONAL,
    ExpiryReason,
    Order,
    OrderEvent,
    OrderStatus,
    OrderType,
    PreventedMatch,
    Rejected,
    RejectReason,
    Report,
    ReportKind,
    SelfTrade,
    Side,
    TimeInForce,
    after,
)


class Working:
    """What happens to accepted orders on a floor."""

    def __init__(self, floor: Floor, clearing: Clearing, *, touch_fills: bool) -> None:
        self._floor = floor
        self._clearing = clearing
        self._lists = Contingencies(floor)
        self._touch_fills = touch_fills

    # -- an order begins to work

    def work(self, order_id: int, sweep: Sweep, now_ms: int) -> list[Report]:
        """Trade what a sweep says; rest or expire what is left."""
        order, reports = self._floor.orders[order_id], []
        kill = order.time_in_force is TimeInForce.FOK and sweep.lots < order.open_lots
        for match in () if kill else sweep.matches:
            reports.extend(self._trade(order_id, match, now_ms))
        reports.extend(self._settle(order_id, now_ms))
        return reports

    def wait(self, order: Order) -> None:
        """Let a conditional order wait for its stop."""
        floor = self._floor
        watch = Watch(
            order.order_id,
            order.side,
            waits_above(order.side, order.order_type),
            order.stop_ticks * floor.instruments[order.symbol].tick_e8,
            order.trailing_bips,
        )
        floor.watches[order.symbol].add(watch)
        if order.trailing_bips and not order.stop_ticks:
            watch.extreme_e8 = floor.market_e8(order.symbol)

    def hear(self, symbol: str, price_e8: int, now_ms: int) -> list[Report]:
        """Take a print in: stops that it meets are due, the other legs of their OCOs end."""
        reports: list[Report] = []
        watches = self._floor.watches[symbol]
        if not watches.waiting:
            return reports
        heard = watches.heard(price_e8)
        for order in [self._floor.orders[number] for number in watches.tracking()]:
            if order.trailing_ms < 0:
                self._floor.store(replace(order, trailing_ms=now_ms))
        for number in heard:
            if number not in watches.waiting:
                continue  # ended with another leg just now
            watches.drop(number)
            reports.extend(self._part(self._floor.orders[number], now_ms))
            self._floor.due[symbol].append(number)
        return reports

    def act(self, symbol: str, now_ms: int) -> list[Report]:
        """Let the orders whose turn has come work, and those that become due by that."""
        reports: list[Report] = []
        due = self._floor.due[symbol]
        while due:
            order = self._floor.orders[due.pop(0)]
            if not order.is_open:
                continue
            pending = order.status is OrderStatus.PENDING_NEW
            reports.extend((self._activate if pending else self._release)(order, now_ms))
        return reports

    # -- an order ends

    def close(
        self,
        order: Order,
        event: OrderEvent,
        now_ms: int,
        *,
        reason: ExpiryReason = ExpiryReason.NONE,
        refused: RejectReason = RejectReason.NONE,
    ) -> list[Report]:
        """End an open order that still has lots, and with it those of its list that must end."""
        floor = self._floor
        if order.price_ticks:
            floor.books[order.symbol].discard(order.side, order.price_ticks, order.order_id)
        floor.watches[order.symbol].drop(order.order_id)
        others = self._lists.ending_with(order, event)
        for one in (order, *others) if others else (order,):
            self._clearing.release(one)
        closed = replace(
            order, status=after(order.status, event), updated_ms=now_ms, expiry_reason=reason
        )
        floor.store(closed)
        reports = [Report(_KIND[event], closed, reason=refused)]
        theirs = event if event is not OrderEvent.PREVENT else OrderEvent.EXPIRE
        for other in others:
            if floor.orders[other.order_id].is_open:
                reports.extend(self.close(other, theirs, now_ms, refused=refused))
        return self._lists.announced(reports, now_ms) if order.list_id >= 0 else reports

    # -- resting orders meet the market

    def pass_by(
        self, symbol: str, ask_e8: int, bid_e8: int, capacity_lots: int, now_ms: int
    ) -> list[Report]:
        """Fill resting buys above `ask_e8` and sells below `bid_e8`, best and oldest first."""
        floor = self._floor
        book, tick = floor.books[symbol], floor.instruments[symbol].tick_e8
        reports: list[Report] = []
        if book.empty:
            return reports
        for side, level_e8, sign in ((Side.BUY, ask_e8, 1), (Side.SELL, bid_e8, -1)):
            passed: list[tuple[int, int, int]] = []
            for price, number, lots in book.orders(side):
                if (price * tick - level_e8) * sign < (0 if self._touch_fills else 1):
                    break
                passed.append((price, number, lots))
            for price, number, open_lots in passed:
                lots = min(open_lots, capacity_lots)
                if lots <= 0:
                    break
                capacity_lots -= lots
                floor.next_trade(symbol)
                reports.extend(self._make(Match(price, lots, number), now_ms))
        return reports

    def first_passed(self, symbol: str, before_e8: int, after_e8: int, *, falls: bool) -> int:
        """Return the price of the first order that a way from one price to another passes; 0 for none."""
        tick, sign = self._floor.instruments[symbol].tick_e8, 1 if falls else -1
        for price, _, _ in self._floor.books[symbol].orders(Side.BUY if falls else Side.SELL):
            beyond = (price * tick - after_e8) * sign
            if beyond < (0 if self._touch_fills else 1):
                break
            if (price * tick - before_e8) * sign <= 0:
                return price * tick
        return 0

    # -- inside

    def _trade(self, taker_id: int, match: Match, now_ms: int) -> list[Report]:
        """Execute one piece of a sweep: the resting user's side first, then the taker's."""
        taker = self._floor.orders[taker_id]
        if match.prevented:
            return self._prevent(taker, self._floor.orders[match.maker_id], match, now_ms)
        self._floor.next_trade(taker.symbol)
        reports: list[Report] = []
        if match.maker_id == MARKET:
            self._floor.quotes[taker.symbol].take(taker.side, match.lots)
        else:
            reports.extend(self._make(match, now_ms))
        reports.extend(self._fill(taker_id, match, now_ms, is_maker=False))
        return reports

    def _make(self, match: Match, now_ms: int) -> list[Report]:
        """Fill a resting order."""
        maker = self._floor.orders[match.maker_id]
        book = self._floor.books[maker.symbol]
        book.reduce(maker.side, maker.price_ticks, maker.order_id, match.lots)
        return self._fill(maker.order_id, match, now_ms, is_maker=True)

    def _fill(self, order_id: int, match: Match, now_ms: int, *, is_maker: bool) -> list[Report]:
        order = self._floor.orders[order_id]
        if order.list_id < 0:
            return [self._clearing.fill(order, match, now_ms, is_maker=is_maker)]
        reports = self._part(order, now_ms)
        reports.append(self._clearing.fill(order, match, now_ms, is_maker=is_maker))
        self._lists.filled(self._floor.orders[order_id])
        return self._lists.announced(reports, now_ms)

    def _part(self, order: Order, now_ms: int) -> list[Report]:
        """End the other leg of an OCO; the reserve that they shared is this order's now."""
        other = self._lists.other_leg(order)
        if other is None:
            return []
        for one in (order, other):
            self._clearing.release(one)
        self._clearing.reserve(order)
        self._floor.watches[other.symbol].drop(other.order_id)
        if other.price_ticks:
            self._floor.books[other.symbol].discard(other.side, other.price_ticks, other.order_id)
        expired = replace(other, status=after(other.status, OrderEvent.EXPIRE), updated_ms=now_ms)
        self._floor.store(expired)
        return [Report(ReportKind.EXPIRED, expired)]

    def _prevent(self, taker: Order, maker: Order, match: Match, now_ms: int) -> list[Report]:
        """Keep an account from trading with itself: expire the side that the taker's mode names."""
        floor, mode = self._floor, taker.self_trade
        number = floor.match_ids[taker.symbol]
        floor.match_ids[taker.symbol] += 1
        ends = {
            maker.order_id: maker.open_lots if mode is not SelfTrade.EXPIRE_TAKER else 0,
            taker.order_id: taker.open_lots if mode is not SelfTrade.EXPIRE_MAKER else 0,
        }
        prevented = PreventedMatch(
            number,
            taker.account,
            taker.symbol,
            taker.order_id,
            maker.order_id,
            mode,
            match.price_ticks,
            ends[taker.order_id],
            ends[maker.order_id],
            now_ms,
        )
        floor.prevented.append(prevented)
        reports: list[Report] = []
        for order in (maker, taker):
            lots = ends[order.order_id]
            if lots:
                marked = replace(order, prevented_lots=lots, prevented_match_id=number)
                floor.orders[order.order_id] = marked
                closed = self.close(marked, OrderEvent.PREVENT, now_ms)
                reports.append(replace(closed[0], prevented=prevented))
                reports.extend(closed[1:])
        return reports

    def _settle(self, order_id: int, now_ms: int) -> list[Report]:
        """Rest or expire what an order has left after its sweep."""
        order = self._floor.orders[order_id]
        if not order.is_open:
            return []
        if not order.price_ticks:
            reason = ExpiryReason.INSUFFICIENT_LIQUIDITY
        elif order.time_in_force is TimeInForce.GTC:
            book = self._floor.books[order.symbol]
            book.add(order.side, order.price_ticks, order_id, order.open_lots)
            return []
        else:
            reason = _EXPIRY[order.time_in_force]
        return self.close(order, OrderEvent.EXPIRE, now_ms, reason=reason)

    def _release(self, order: Order, now_ms: int) -> list[Report]:
        """Let a stop that was met work."""
        triggered = replace(order, working_ms=now_ms, updated_ms=now_ms)
        self._floor.store(triggered)
        reports = [Report(ReportKind.NEW, triggered)]
        sweep = self._plan(triggered)
        try:
            self._clearing.reserve(triggered, sweep)
        except Rejected:
            refused = RejectReason.INSUFFICIENT_BALANCES
            return reports + self.close(triggered, OrderEvent.EXPIRE, now_ms, refused=refused)
        return reports + self.work(order.order_id, sweep, now_ms)

    def _activate(self, order: Order, now_ms: int) -> list[Report]:
        """Place a pending order, with the other leg where it is one of an OCO, or reject it."""
        other = self._lists.other_leg(order)
        legs = [order] if other is None else [order, other]
        refused = next((why for leg in legs if (why := self._obstacle(leg))), None)
        if refused is None:
            try:
                self._reserve(legs)
            except Rejected:
                refused = RejectReason.INSUFFICIENT_BALANCES
        if refused is not None:
            return self.close(order, OrderEvent.REJECT, now_ms, refused=refused)
        reports = []
        for leg in legs:
            waits = leg.order_type in CONDITIONAL
            live = replace(
                leg,
                status=after(leg.status, OrderEvent.ACTIVATE),
                working_ms=-1 if waits else now_ms,
                trailing_ms=now_ms if leg.trailing_bips and not leg.stop_ticks else -1,
                updated_ms=now_ms,
            )
            self._floor.store(live)
            reports.append(Report(ReportKind.NEW, live))
        self._lists.updated(reports, now_ms)
        for leg in legs:
            if leg.order_type in CONDITIONAL:
                self.wait(self._floor.orders[leg.order_id])
            else:
                reports.extend(self.work(leg.order_id, self._plan(leg), now_ms))
        return reports

    def _reserve(self, legs: Sequence[Order]) -> None:
        if len(legs) == 2:
            self._clearing.reserve_pair(*legs)
        elif legs[0].order_type in CONDITIONAL:
            self._clearing.reserve(legs[0])
        else:
            self._clearing.reserve(legs[0], self._plan(legs[0]))

    def _obstacle(self, order: Order) -> RejectReason | None:
        """Return why a pending order cannot be placed now, None where it can."""
        tick = self._floor.instruments[order.symbol].tick_e8
        if order.order_type in CONDITIONAL and order.stop_ticks:
            above = waits_above(order.side, order.order_type)
            if is_met(above, order.stop_ticks * tick, self._floor.market_e8(order.symbol)):
                return RejectReason.STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY
        if order.order_type is OrderType.LIMIT_MAKER and self._plan(order).matches:
            return RejectReason.WOULD_MATCH_IMMEDIATELY
        return None

    def _plan(self, order: Order) -> Sweep:
        want = Want(order.side, order.open_lots, 0, order.price_ticks, order.self_trade)
        quote: Quote = self._floor.quotes[order.symbol]
        return self._floor.sweep(order.account, order.symbol, want, quote)


_KIND = {
    OrderEvent.CANCEL: ReportKind.CANCELED,
    OrderEvent.EXPIRE: ReportKind.EXPIRED,
    OrderEvent.PREVENT: ReportKind.TRADE_PREVENTION,
    OrderEvent.REJECT: ReportKind.REJECTED,
}
_EXPIRY = {
    TimeInForce.IOC: ExpiryReason.UNFILLED_IOC_QUANTITY_EXPIRED,
    TimeInForce.FOK: ExpiryReason.UNFILLED_FOK_ORDER_EXPIRED,
}
