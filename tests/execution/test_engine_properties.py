"""Random trading days against an obvious oracle: a list of orders, sorted again at every step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.execution.matching import MatchingEngine
from workbench.execution.orders import (
    NewOrder,
    Order,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    TimeInForce,
)
from workbench.market.instruments import SCALE, Instrument, instrument

SYMBOL = "BTCUSDT"
FEE_E8 = 100_000
USERS = ("ann", "bob", "cid")
RULES: Instrument = instrument(SYMBOL)
DEPTH_LOTS = 300_000

prices = st.integers(9_900, 10_100)  # ticks of a cent around 100.00
lots = st.integers(6_000, 200_000)
steps = st.one_of(
    st.tuples(
        st.just("limit"),
        st.sampled_from(USERS),
        st.sampled_from(Side),
        prices,
        lots,
        st.sampled_from(TimeInForce),
    ),
    st.tuples(st.just("market"), st.sampled_from(USERS), st.sampled_from(Side), lots),
    st.tuples(st.just("quote"), st.sampled_from(USERS), st.sampled_from(Side), st.integers(5, 400)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("walk"), prices, st.integers(0, 3 * SCALE)),
    st.tuples(st.just("stand"), prices, st.integers(0, 20)),
)
days = st.lists(steps, max_size=40)


@dataclass
class Day:
    """An engine that plays steps, and every trade as (maker or 'market', taker, ticks, lots)."""

    engine: MatchingEngine = field(
        default_factory=lambda: MatchingEngine({SYMBOL: RULES}, FEE_E8, FEE_E8)
    )

    def __post_init__(self) -> None:
        for user in USERS:
            self.engine.deposit(user, "USDT", 1_000 * SCALE)
            self.engine.deposit(user, "BTC", 10 * SCALE)
        self.engine.stand_at(SYMBOL, 9_999, 10_001, DEPTH_LOTS, 0)

    def play(self, number: int, step: tuple) -> None:  # type: ignore[type-arg]
        kind, *rest = step
        with suppress(Rejected):
            getattr(self, f"_{kind}")(number, *rest)

    def _limit(
        self, now: int, user: str, side: Side, ticks: int, size: int, tif: TimeInForce
    ) -> None:
        new = NewOrder(
            user,
            SYMBOL,
            side,
            OrderType.LIMIT,
            quantity_e8=size * RULES.step_e8,
            price_e8=ticks * RULES.tick_e8,
            time_in_force=tif,
        )
        self.engine.place(new, now)

    def _market(self, now: int, user: str, side: Side, size: int) -> None:
        self.engine.place(
            NewOrder(user, SYMBOL, side, OrderType.MARKET, quantity_e8=size * RULES.step_e8), now
        )

    def _quote(self, now: int, user: str, side: Side, money: int) -> None:
        self.engine.place(
            NewOrder(user, SYMBOL, side, OrderType.MARKET, quote_e8=money * SCALE), now
        )

    def _cancel(self, now: int, index: int) -> None:
        order = self.engine.orders.get(index)
        if order is not None:
            self.engine.cancel(order.account, SYMBOL, index, now)

    def _walk(self, now: int, ticks: int, volume_e8: int) -> None:
        self.engine.walk(SYMBOL, [ticks * RULES.tick_e8], volume_e8, now)

    def _stand(self, now: int, ticks: int, spread: int) -> None:
        self.engine.stand_at(SYMBOL, ticks, ticks + spread, DEPTH_LOTS, now)

    def open_orders(self) -> list[Order]:
        return [order for user in USERS for order in self.engine.open_orders(user)]


def best_first(orders: list[Order], side: Side) -> list[Order]:
    sign = -1 if side is Side.BUY else 1
    mine = [order for order in orders if order.side is side]
    return sorted(mine, key=lambda order: (sign * order.price_ticks, order.order_id))


@settings(max_examples=150, deadline=None)
@given(days)
def test_no_asset_is_made_or_lost_and_locks_are_what_open_orders_need(steps: list) -> None:  # type: ignore[type-arg]
    day = Day()
    for number, step in enumerate(steps):
        day.play(number, step)
        day.engine.ledger.check_conservation()
    for user in USERS:
        need = {"USDT": 0, "BTC": 0}
        for order in day.engine.open_orders(user):
            if order.side is Side.BUY:
                need["USDT"] += order.open_lots * order.price_ticks * RULES.unit_e8
            else:
                need["BTC"] += order.open_lots * RULES.step_e8
        held = {asset: one.locked_e8 for asset, one in day.engine.balances(user).items()}
        assert held == need


@settings(max_examples=150, deadline=None)
@given(days)
def test_the_users_book_is_never_crossed_and_holds_exactly_the_open_orders(steps: list) -> None:  # type: ignore[type-arg]
    day = Day()
    for number, step in enumerate(steps):
        day.play(number, step)
        book = day.engine.book(SYMBOL)
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        assert bid is None or ask is None or bid < ask
        for side in Side:
            resting = [
                (o.price_ticks, o.order_id, o.open_lots)
                for o in best_first(day.open_orders(), side)
            ]
            assert list(book.orders(side)) == resting


@settings(max_examples=150, deadline=None)
@given(days)
def test_a_maker_trades_only_when_everyone_before_him_is_filled(steps: list) -> None:  # type: ignore[type-arg]
    day = Day()
    for number, step in enumerate(steps):
        before = day.open_orders()
        seen = len(day.engine.executions)
        day.play(number, step)
        made = [fill for fill in day.engine.executions[seen:] if fill.is_maker]
        for side in Side:
            queue = best_first(before, side)
            hit = [fill.order_id for fill in made if fill.side is side]
            assert hit == [order.order_id for order in queue[: len(hit)]]
            for order_id in hit[:-1]:
                assert day.engine.orders[order_id].status is OrderStatus.FILLED


@settings(max_examples=100, deadline=None)
@given(days)
def test_an_orders_fills_add_up_to_what_it_says(steps: list) -> None:  # type: ignore[type-arg]
    day = Day()
    for number, step in enumerate(steps):
        day.play(number, step)
    for order in day.engine.orders.values():
        fills = [fill for fill in day.engine.executions if fill.order_id == order.order_id]
        assert sum(fill.lots for fill in fills) == order.filled_lots <= order.lots
        assert sum(fill.quote_e8 for fill in fills) == order.filled_quote_e8
        assert (order.status is OrderStatus.FILLED) == (order.filled_lots == order.lots)
        if order.quote_e8:
            assert order.filled_quote_e8 <= order.quote_e8
        for fill in fills:
            got = fill.lots * RULES.step_e8 if fill.side is Side.BUY else fill.quote_e8
            assert fill.commission_e8 == got * FEE_E8 // SCALE
            if order.price_ticks:
                better = (order.price_ticks - fill.price_ticks) * (
                    1 if order.side is Side.BUY else -1
                )
                assert better >= 0


@settings(max_examples=50, deadline=None)
@given(days)
def test_the_same_day_played_twice_is_the_same(steps: list) -> None:  # type: ignore[type-arg]
    first, second = Day(), Day()
    for number, step in enumerate(steps):
        first.play(number, step)
        second.play(number, step)
    assert first.engine.orders == second.engine.orders
    assert first.engine.executions == second.engine.executions
