"""Whatever happens on a day with everything in it, these things hold after every single step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings

from tests.execution.whole_days import (
    MAKER_E8,
    RULES,
    SYMBOL,
    TAKER_E8,
    USERS,
    Step,
    WholeDay,
    days,
)
from workbench.execution.order_lists import Contingency, ListStatus
from workbench.execution.orders import (
    CONDITIONAL,
    LIVE,
    STOPS,
    TRANSITIONS,
    Order,
    OrderEvent,
    OrderStatus,
    ReportKind,
    SelfTrade,
    Side,
)
from workbench.market.instruments import SCALE

EXAMPLES = settings(max_examples=60, deadline=None)


def naive_need(order: Order) -> tuple[str, int]:
    """Return what an order must have locked."""
    if order.side is Side.SELL:
        return RULES.base, order.open_lots * RULES.step_e8
    return RULES.quote, order.open_lots * order.price_ticks * RULES.unit_e8


@EXAMPLES
@given(days)
def test_no_asset_is_made_or_lost_and_locks_are_what_open_orders_need(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
        day.engine.ledger.check_conservation()
        for user in USERS:
            need = {RULES.base: 0, RULES.quote: 0}
            pairs: dict[int, tuple[str, int]] = {}
            for order in day.engine.open_orders(user):
                if order.status not in LIVE:
                    continue
                asset, amount = naive_need(order)
                if (
                    order.list_id >= 0
                    and order.order_id in day.engine.floor.lists[order.list_id].pair
                ):
                    dearest = max(amount, pairs.get(order.list_id, (asset, 0))[1])
                    pairs[order.list_id] = (asset, dearest)
                else:
                    need[asset] += amount
            for asset, amount in pairs.values():
                need[asset] += amount
            held = {name: one.locked_e8 for name, one in day.engine.balances(user).items()}
            assert held == need


@EXAMPLES
@given(days)
def test_the_book_holds_what_works_at_a_price_and_is_never_crossed(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
        book = day.engine.book(SYMBOL)
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        assert bid is None or ask is None or bid < ask
        opened = [order for user in USERS for order in day.engine.open_orders(user)]
        for side in Side:
            resting = {
                (order.price_ticks, order.order_id, order.open_lots)
                for order in opened
                if order.side is side and order.is_working
            }
            assert set(book.orders(side)) == resting
        waiting = day.engine.floor.watches[SYMBOL].waiting
        assert set(waiting) == {
            order.order_id
            for order in opened
            if order.order_type in CONDITIONAL and order.status in LIVE and not order.is_working
        }
        assert not day.engine.floor.due[SYMBOL]


@EXAMPLES
@given(days)
def test_a_maker_trades_only_when_everyone_before_him_is_out_of_the_way(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        before = {side: list(day.engine.book(SYMBOL).orders(side)) for side in Side}
        seen = len(day.engine.executions)
        day.play(number, step)
        made = [fill for fill in day.engine.executions[seen:] if fill.is_maker]
        for side in Side:
            queue = [order_id for _, order_id, _ in before[side]]
            hit = [fill.order_id for fill in made if fill.side is side and fill.order_id in queue]
            places = [queue.index(order_id) for order_id in hit]
            assert places == sorted(places)
            if places:
                ahead = [day.engine.orders[order_id] for order_id in queue[: places[-1]]]
                assert not any(order.is_open for order in ahead)


@EXAMPLES
@given(days)
def test_no_order_is_lost_and_its_reports_tell_its_whole_life(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
    for order in day.engine.orders.values():
        told = [report for report in day.reports if report.order.order_id == order.order_id]
        assert told[0].kind is ReportKind.NEW
        assert told[-1].order.status is order.status
        ends = [report for report in told if not report.order.is_open]
        assert len(ends) == (0 if order.is_open else 1)
        for earlier, later in pairwise(told):
            was, now = earlier.order.status, later.order.status
            assert was is now or any(TRANSITIONS.get((was, e)) is now for e in OrderEvent)
        fills = [report.execution for report in told if report.execution]
        assert sum(fill.lots for fill in fills) == order.filled_lots <= order.lots
        assert sum(fill.quote_e8 for fill in fills) == order.filled_quote_e8
        assert (order.status is OrderStatus.FILLED) == (order.filled_lots == order.lots)
        assert not fills or order.working_ms >= 0
        for fill in fills:
            better = (order.price_ticks - fill.price_ticks) * (1 if order.side is Side.BUY else -1)
            assert not order.price_ticks or better >= 0


@EXAMPLES
@given(days)
def test_commissions_are_taken_in_the_received_asset_or_at_a_quarter_off_in_bnb(
    steps: list[Step],
) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
    for fill in day.engine.executions:
        rate = MAKER_E8 if fill.is_maker else TAKER_E8
        buys = fill.side is Side.BUY
        got = fill.lots * RULES.step_e8 if buys else fill.quote_e8
        if fill.account != "cid" and buys:
            assert fill.commission_asset == "BNB"
            assert fill.commission_e8 == got * rate * 3 // (4 * SCALE)
        elif fill.account != "cid" and fill.commission_asset == "BNB":
            low, high = (59_000 * RULES.tick_e8, 61_000 * RULES.tick_e8)  # where BNB can stand
            assert got * rate * 3 // (4 * high) <= fill.commission_e8 <= got * rate * 3 // (4 * low)
        else:
            assert fill.commission_asset == (RULES.base if buys else RULES.quote)
            assert fill.commission_e8 == got * rate // SCALE


@EXAMPLES
@given(days)
def test_an_account_that_prevents_it_never_trades_with_itself(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
    by_trade: dict[int, list[Any]] = {}
    for fill in day.engine.executions:
        by_trade.setdefault(fill.trade_id, []).append(fill)
    for fills in by_trade.values():
        if len(fills) == 2 and fills[0].account == fills[1].account:
            taker = next(fill for fill in fills if not fill.is_maker)
            assert day.engine.orders[taker.order_id].self_trade is SelfTrade.NONE
    for match in day.engine.floor.prevented:
        taker, maker = day.engine.orders[match.taker_id], day.engine.orders[match.maker_id]
        assert taker.account == maker.account
        assert taker.self_trade is match.mode is not SelfTrade.NONE
        ended = OrderStatus.EXPIRED_IN_MATCH
        assert (maker.status is ended) == (match.maker_lots > 0) or match.maker_lots == 0
        if match.taker_lots:
            assert taker.status is ended


@EXAMPLES
@given(days)
def test_lists_do_what_they_promise(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
        for one in day.engine.floor.lists.values():
            members = [day.engine.orders[n] for n in one.numbers]
            assert (one.status is ListStatus.ALL_DONE) == (not any(o.is_open for o in members))
            pair = [day.engine.orders[n] for n in one.pair]
            if pair:
                assert pair[0].lots == pair[1].lots or not all(o.is_open for o in pair)
                moved = [o for o in pair if o.filled_lots]
                assert len(moved) <= 1
                if moved:
                    assert not any(o.is_open for o in pair if o is not moved[0])
            if one.contingency is Contingency.OTO:
                working, *pending = members
                for order in pending:
                    if working.status is not OrderStatus.FILLED:
                        assert order.working_ms < 0
                        assert not order.filled_lots
                    else:
                        assert order.status is not OrderStatus.PENDING_NEW
                    assert working.is_open or order.status is not OrderStatus.PENDING_NEW


def naive_trigger(order: Order, prints: list[int], market: int) -> bool:
    """Whether prints since an order began to wait have met its stop; the FAQ's rules, from scratch."""
    above = (order.order_type in STOPS) == (order.side is Side.BUY)
    stop = order.stop_ticks * RULES.tick_e8
    tracked: list[int] = [] if stop else [market]
    for price in prints:
        met = not stop or (price >= stop if above else price <= stop)
        if not order.trailing_bips:
            if met:
                return True
            continue
        if tracked or met:
            tracked.append(price)
            if order.side is Side.BUY:
                if price * 10_000 >= min(tracked) * (10_000 + order.trailing_bips):
                    return True
            elif price * 10_000 <= max(tracked) * (10_000 - order.trailing_bips):
                return True
    return False


@EXAMPLES
@given(days)
def test_a_stop_works_exactly_when_the_prints_have_met_it(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        day.play(number, step)
    for order_id, start in day.waits_from.items():
        order = day.engine.orders[order_id]
        met = naive_trigger(order, day.printed[start:], day.printed[start - 1])
        if order.working_ms >= 0:
            assert met
        elif order.is_open:
            assert not met
        tracks = order.trailing_bips and not order.stop_ticks
        assert order.trailing_ms >= 0 if tracks else order.trailing_bips or order.trailing_ms < 0


@EXAMPLES
@given(days)
def test_a_refusal_changes_nothing(steps: list[Step]) -> None:
    day = WholeDay()
    for number, step in enumerate(steps):
        engine = day.engine
        before = (
            dict(engine.orders),
            len(engine.executions),
            dict(engine.floor.lists),
            {user: engine.balances(user) for user in USERS},
            dict(engine.clearing.held),
            list(engine.floor.watches[SYMBOL].waiting),
        )
        if not day.play(number, step):
            after = (
                dict(engine.orders),
                len(engine.executions),
                dict(engine.floor.lists),
                {user: engine.balances(user) for user in USERS},
                dict(engine.clearing.held),
                list(engine.floor.watches[SYMBOL].waiting),
            )
            assert after == before


@settings(max_examples=40, deadline=None)
@given(days)
def test_the_same_day_played_twice_is_the_same(steps: list[Step]) -> None:
    first, second = WholeDay(), WholeDay()
    for number, step in enumerate(steps):
        first.play(number, step)
        second.play(number, step)
    assert first.reports == second.reports
    assert first.engine.floor.lists == second.engine.floor.lists
    assert [first.engine.balances(u) for u in USERS] == [second.engine.balances(u) for u in USERS]


def test_days_reach_every_kind_of_report_and_most_orders_come_in() -> None:
    """Guard the generator itself: a property over days in which nothing happens proves nothing."""
    kinds: set[ReportKind] = set()
    statuses: set[OrderStatus] = set()
    counted = [0, 0]

    # Which days are drawn depends on the constants of all modules that are loaded: look until all is seen.
    @settings(max_examples=180, deadline=None, derandomize=True, database=None)
    @given(days)
    def look(steps: list[Step]) -> None:
        if sum(counted) > 600 and kinds == set(ReportKind) and statuses == set(OrderStatus):
            return
        day = WholeDay()
        for number, step in enumerate(steps):
            counted[day.play(number, step)] += 1
        kinds.update(report.kind for report in day.reports)
        statuses.update(report.order.status for report in day.reports)

    look()
    assert kinds == set(ReportKind)
    assert statuses == set(OrderStatus)
    assert counted[True] > counted[False]
