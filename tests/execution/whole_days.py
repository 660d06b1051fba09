"""Random trading days with every order type, order lists, self-trade prevention and amendments.

`WholeDay` plays steps into an engine and keeps what an obvious oracle needs: every report, every
print, and how many prints had been made when an order began to wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from workbench.execution.filters import USUAL
from workbench.execution.matching import MatchingEngine
from workbench.execution.order_lists import Contingency
from workbench.execution.orders import (
    CONDITIONAL,
    PRICED,
    STOPS,
    NewList,
    NewOrder,
    Order,
    OrderType,
    Rejected,
    Report,
    SelfTrade,
    Side,
    TimeInForce,
)
from workbench.market.instruments import SCALE, Instrument, instrument

SYMBOL = "BNBUSDT"  # its base asset pays commissions, so that both come out of one balance
RULES: Instrument = instrument(SYMBOL)
MAKER_E8, TAKER_E8 = 100_000, 150_000
USERS = ("ann", "bob", "cid")
DEPTH_LOTS = 500

moves = st.integers(-400, 400)  # ticks of a cent, around 600.00
lots = st.integers(10, 1_000)  # of 0.001 BNB
users = st.sampled_from(USERS)
sides = st.sampled_from(Side)


@dataclass(frozen=True)
class Wish:
    """An order whose prices are distances from the market, so that most of them can come in."""

    user: str
    side: Side
    kind: OrderType
    lots: int
    away: int  # of the limit, to the passive side
    stop_away: int  # of the stop, to the side where it waits; 0 for none where it may trail
    bips: int
    mode: SelfTrade
    tif: TimeInForce

    def at(self, market: int) -> NewOrder:
        """Return the order at a market price in ticks."""
        passive = -1 if self.side is Side.BUY else 1
        up = 1 if (self.kind in STOPS) == (self.side is Side.BUY) else -1
        conditional = self.kind in CONDITIONAL
        stop = market + up * self.stop_away if self.stop_away or not self.bips else 0
        return NewOrder(
            self.user,
            SYMBOL,
            self.side,
            self.kind,
            quantity_e8=self.lots * RULES.step_e8,
            price_e8=(market + passive * self.away) * RULES.tick_e8 if self.kind in PRICED else 0,
            stop_e8=stop * RULES.tick_e8 if conditional else 0,
            trailing_bips=self.bips if conditional else 0,
            time_in_force=self.tif if self.kind in FREE_TIF else TimeInForce.GTC,
            self_trade=self.mode,
        )


FREE_TIF = PRICED - {OrderType.LIMIT_MAKER}
wishes = st.builds(
    Wish,
    users,
    sides,
    st.sampled_from(OrderType),
    lots,
    st.integers(-60, 200),
    st.integers(0, 200),
    st.sampled_from((0, 0, 10, 30)),
    st.sampled_from(SelfTrade),
    st.sampled_from((TimeInForce.GTC, *TimeInForce)),
)
bracket = st.sampled_from(
    [
        (stop, gain)
        for stop in sorted(STOPS)
        for gain in (OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
    ]
)
steps = st.one_of(
    st.tuples(st.just("place"), wishes),
    st.tuples(st.just("place"), wishes),
    st.tuples(st.just("money"), users, sides, st.integers(5, 1_000)),
    st.tuples(
        st.just("list"), st.sampled_from(("OCO", "OTO", "OTOCO")), wishes, wishes, wishes, bracket
    ),
    st.tuples(st.just("cancel"), st.integers(0, 99)),
    st.tuples(st.just("amend"), st.integers(0, 99), st.integers(1, 99)),
    st.tuples(st.just("print"), moves, st.integers(0, 2 * SCALE)),
    st.tuples(st.just("print"), moves, st.integers(0, 2 * SCALE)),
)
days = st.lists(steps, min_size=15, max_size=50)
Step = tuple[Any, ...]


@dataclass
class WholeDay:
    """An engine, and everything that it said."""

    engine: MatchingEngine = field(
        default_factory=lambda: MatchingEngine(
            {SYMBOL: RULES}, MAKER_E8, TAKER_E8, rules={SYMBOL: USUAL}
        )
    )
    reports: list[Report] = field(default_factory=list)
    printed: list[int] = field(default_factory=list)
    waits_from: dict[int, int] = field(default_factory=dict)
    refused: int = 0

    def __post_init__(self) -> None:
        for user in USERS:
            self.engine.deposit(user, "USDT", 3_000 * SCALE)
            self.engine.deposit(user, "BNB", 4 * SCALE)
        self.engine.clearing.pays_in_bnb.update(("ann", "bob"))
        self._print(0, 0, 0)

    def play(self, now_ms: int, step: Step) -> bool:
        """Do a step; False where the engine refused it."""
        kind, *rest = step
        try:
            self.hear(getattr(self, f"_{kind}")(now_ms, *rest))
        except Rejected:
            self.refused += 1
            return False
        return True

    def hear(self, reports: tuple[Report, ...]) -> None:
        self.reports.extend(reports)
        for report in reports:
            order = report.order
            waits = order.order_type in CONDITIONAL and not order.is_working
            if waits and order.status == "NEW":
                self.waits_from.setdefault(order.order_id, len(self.printed))

    @property
    def market(self) -> int:
        """The last price in ticks."""
        return self.printed[-1] // RULES.tick_e8

    def _place(self, now_ms: int, wish: Wish) -> tuple[Report, ...]:
        return self.engine.place(wish.at(self.market), now_ms).reports

    def _money(self, now_ms: int, user: str, side: Side, money: int) -> tuple[Report, ...]:
        new = NewOrder(user, SYMBOL, side, OrderType.MARKET, quote_e8=money * SCALE)
        return self.engine.place(new, now_ms).reports

    def _list(
        self,
        now_ms: int,
        kind: str,
        first: Wish,
        second: Wish,
        third: Wish,
        types: tuple[OrderType, OrderType],
    ) -> tuple[Report, ...]:
        stop = replace(second, user=first.user, kind=types[0])
        gain = replace(third, user=first.user, kind=types[1], side=stop.side, lots=stop.lots)
        works = OrderType.LIMIT_MAKER if first.lots % 3 == 0 else OrderType.LIMIT
        pair = (stop.at(self.market), replace(gain, away=abs(gain.away) + 5).at(self.market))
        working = replace(first, kind=works, lots=max(first.lots, stop.lots)).at(self.market)
        alone = replace(second, user=first.user).at(self.market)
        given = {"OCO": pair, "OTO": (working, alone), "OTOCO": (working, *pair)}[kind]
        contingency = Contingency.OCO if kind == "OCO" else Contingency.OTO
        asked = NewList(first.user, SYMBOL, contingency, given)
        return self.engine.place_list(asked, now_ms).reports

    def _chosen(self, index: int) -> Order | None:
        opened = [order for user in USERS for order in self.engine.open_orders(user)]
        return opened[index % len(opened)] if opened else None

    def _cancel(self, now_ms: int, index: int) -> tuple[Report, ...]:
        order = self._chosen(index)
        if order is None:
            return ()
        return self.engine.cancel(order.account, SYMBOL, order.order_id, now_ms).reports

    def _amend(self, now_ms: int, index: int, percent: int) -> tuple[Report, ...]:
        order = self._chosen(index)
        if order is None:
            return ()
        quantity_e8 = order.lots * percent // 100 * RULES.step_e8
        name = f"smaller-{order.order_id}-{now_ms}"
        return self.engine.amend(order, quantity_e8, now_ms, client_order_id=name).reports

    def _print(self, now_ms: int, move: int, volume_e8: int) -> tuple[Report, ...]:
        ticks = 60_000 + move
        self.printed.append(ticks * RULES.tick_e8)
        walked = self.engine.walk(SYMBOL, [ticks * RULES.tick_e8], volume_e8, now_ms)
        self.hear(walked)
        self.hear(self.engine.stand_at(SYMBOL, ticks - 40, ticks + 40, DEPTH_LOTS, now_ms))
        return ()
