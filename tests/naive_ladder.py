"""A slow, obvious oracle of ladders: every order in one list, every price of the path one by one.

Decimal arithmetic of sixty digits throughout, nothing cached, no locks kept: what is reserved is
summed up anew each time from the orders that rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext

from tests.naive_exits import Rules as GuardRules
from tests.naive_exits import Tale, held_back

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
E8 = Decimal("0.00000001")
NEARLY = Decimal("1e-9")
DIGITS = Decimal("1e-12")  # of the equity: less than the last digit of a float


@dataclass(frozen=True)
class Wish:
    """One rung as a strategy writes it; side +1 buys first, -1 sells first, pair 0 for none."""

    id: int
    side: int
    price: float
    quote: float
    pair: float


@dataclass(frozen=True)
class Rules:
    """Costs, and the exchange's steps where it has any (tick None for none)."""

    fee: Decimal = Decimal("0.001")
    slippage: Decimal = Decimal("0.0001")
    tick: Decimal | None = None
    step: Decimal = Decimal(0)
    least: Decimal = Decimal(0)
    touch: bool = False


@dataclass
class Order:
    """An order that rests: what it holds back is quote for a buy and base for a sale."""

    side: int
    price: Decimal
    quantity: Decimal
    value: Decimal
    age: int


@dataclass
class Rung:
    """A rung: what it wants, whether it has turned, what its last buy brought, and its order."""

    wish: Wish
    turned: bool = False
    kept: Decimal = Decimal(0)
    order: Order | None = None
    waits: bool = True
    done: bool = False
    shown: Decimal | None = None  # the price of its own order on the grid of ticks

    @property
    def side(self) -> int:
        return -self.wish.side if self.turned else self.wish.side


@dataclass(frozen=True)
class Levels:
    """Prices of a stop and a take-profit for whatever is held; None for none."""

    stop: float | None = None
    take_profit: float | None = None


@dataclass
class LadderBook:
    """The account, the ladder, and all that happened: fills are (candle, side, price, quantity)."""

    cash: Decimal
    rules: Rules
    base: Decimal = Decimal(0)
    dust: Decimal = Decimal(0)
    rungs: list[Rung] = field(default_factory=list)
    fills: list[tuple[int, str, Decimal, Decimal]] = field(default_factory=list)
    fees: Decimal = Decimal(0)
    equity: list[Decimal] = field(default_factory=list)
    bases: list[Decimal] = field(default_factory=list)
    filled: list[int] = field(default_factory=list)  # bit j: rung j has turned, at each close
    refused: int = 0
    orders: int = 0
    market: tuple[int, Decimal] | None = None  # side, and quote to spend or base to sell
    stop: Decimal | None = None
    goal: Decimal | None = None
    spent: bool = False
    ambiguous: int = 0
    at: Decimal = Decimal(0)  # where the price stands on its path
    held: bool = False  # a guard holds its buys back
    guarded: int = 0
    paid: Decimal = Decimal(0)  # for the base that is held
    profit: Decimal = Decimal(0)  # of the round trip that is open
    trips: list[tuple[int, float]] = field(default_factory=list)  # candle of the end, profit
    now: int = 0

    def free_cash(self) -> Decimal:
        held = sum(o.value for o in self.resting() if o.side > 0)
        return self.cash - held - (self.market[1] if self.market and self.market[0] > 0 else 0)

    def free_base(self) -> Decimal:
        held = sum(o.quantity for o in self.resting() if o.side < 0)
        return self.base - held - (self.market[1] if self.market and self.market[0] < 0 else 0)

    def resting(self) -> list[Order]:
        return [rung.order for rung in self.rungs if rung.order]

    def lots(self, quantity: Decimal) -> Decimal:
        if self.rules.tick is None:
            return quantity
        return (quantity / self.rules.step).to_integral_value(ROUND_FLOOR) * self.rules.step

    def on_tick(self, price: Decimal, side: int) -> Decimal:
        if self.rules.tick is None:
            return price
        ticks, way = price / self.rules.tick, ROUND_FLOOR if side > 0 else ROUND_CEILING
        return (ticks + side * NEARLY).to_integral_value(way) * self.rules.tick

    def cut(self, amount: Decimal) -> Decimal:
        return amount if self.rules.tick is None else amount.quantize(E8, ROUND_DOWN)

    # -- money moves

    def buy(self, price: Decimal, quantity: Decimal) -> Decimal:
        fee = self.cut(quantity * self.rules.fee)
        self.cash -= quantity * price
        self.paid += quantity * price
        self.base += quantity - fee
        self.spent = False
        self.fees += fee * price
        self.fills.append((self.now, "BUY", price, quantity))
        return quantity - fee

    def sell(self, price: Decimal, quantity: Decimal) -> None:
        fee = self.cut(quantity * price * self.rules.fee)
        cost = self.paid * quantity / self.base
        self.paid -= cost
        self.profit += quantity * price - fee - cost
        self.base -= quantity
        if self.base < max(self.rules.step, DIGITS):
            self.trips.append((self.now, float(self.profit)))
            self.profit = Decimal(0)
        self.cash += quantity * price - fee
        self.fees += fee
        self.fills.append((self.now, "SELL", price, quantity))

    # -- orders of rungs

    def place(self, rung: Rung) -> bool:
        """Rest the order whose turn it is, or refuse it for good (until another revision)."""
        rung.waits, wish, side = False, rung.wish, rung.side
        price = self.on_tick(Decimal(repr(wish.pair if rung.turned else wish.price)), side)
        exact = (
            self.rules.tick is not None
        )  # 777.77 is that many cents, not the float just below it
        quote = self.cut(Decimal(repr(wish.quote))) if exact else Decimal(wish.quote)
        order = self._sized(rung, side, price, quote) if price > 0 else None
        if order is None:
            self.refused += 1
            return False
        rung.order = order
        if not rung.turned:
            rung.shown = price
        return True

    def _sized(self, rung: Rung, side: int, price: Decimal, quote: Decimal) -> Order | None:
        free, exact = self.free_base(), self.rules.tick is not None
        if exact and rung.turned and rung.shown is not None and (price - rung.shown) * side >= 0:
            return None
        quantity, dust = self.lots(quote / price), self.dust
        if side < 0 and rung.kept:
            has = rung.kept + self.dust if exact else rung.kept
            quantity = self.lots(min(has, free))
            dust = has % self.rules.step if exact else self.dust
        value = quantity * price
        if quantity <= 0 or (exact and value < self.rules.least):
            return None
        if side > 0 and value > self.free_cash() + (0 if exact else NEARLY * value):
            return None
        if side < 0 and quantity > free + (0 if exact else NEARLY * quantity):
            return None
        if side < 0 and not exact:
            quantity = min(quantity, free)
        self.orders += 1
        self.dust = dust if side < 0 else self.dust
        return Order(side, price, quantity, value, self.orders)

    def fill(self, rung: Rung, price: Decimal) -> None:
        order, rung.order = rung.order, None
        assert order is not None
        if order.side > 0:
            rung.kept = self.buy(price, order.quantity)
        else:
            rung.kept = Decimal(0)
            self.sell(price, order.quantity)
        rung.turned = not rung.turned
        if rung.wish.pair == 0:
            rung.done = True
        elif self.held and rung.side > 0:
            rung.waits = True
        else:
            self.place(rung)

    def holds(self) -> bool:
        return self.base > DIGITS and self.base >= self.rules.step and not self.spent

    def meet(self, level: Decimal, *, opens: bool = False, exits: bool = True) -> None:
        """Fill all that a price has passed: the best buys down to the stop, then what lies above."""
        for side, bound in ((1, self.stop), (-1, self.goal)):
            self._meet_side(side, level, bound)
            if bound is None or not self.holds():
                continue
            at_goal = level > bound or (self.rules.touch and level == bound)
            if level <= bound if side > 0 else at_goal:
                if exits:
                    self._leave_first(side, level, bound, opens=opens)
                else:
                    self._forget_ladder()
                return
        self.at = level

    def _leave_first(self, side: int, level: Decimal, bound: Decimal, *, opens: bool) -> None:
        """Leave at the stop or the take-profit; at one that lies below what was just bought at once."""
        goal = self.goal
        above = goal is not None and (self.at > goal or (self.rules.touch and self.at == goal))
        if side > 0 and not opens and self.at > bound and above:
            assert goal is not None
            self._leave(-1, goal)
        elif side > 0:
            self._leave(1, level if opens else min(bound, self.at))
        else:
            self._leave(-1, bound)

    def _forget_ladder(self) -> None:
        for rung in self.rungs:
            rung.order, rung.waits, rung.kept = None, False, Decimal(0)
            rung.turned = rung.turned and rung.done
        self.dust = Decimal(0)

    def _leave(self, side: int, price: Decimal) -> None:
        """Sell everything at the stop, less slippage, or at the take-profit; forget the ladder."""
        self._forget_ladder()
        got = self.on_tick(price * (1 - self.rules.slippage), 1) if side > 0 else price
        lots = self.lots(self.base)
        if lots * got < self.rules.least:
            self.spent = True  # refused, and not tried again before another buy
        else:
            self.sell(got, lots)

    def _meet_side(self, side: int, level: Decimal, bound: Decimal | None) -> None:
        while True:
            passed = [
                rung
                for rung in self.rungs
                if rung.order
                and rung.order.side == side
                and (
                    (rung.order.price - level) * side > 0
                    or (self.rules.touch and rung.order.price == level)
                )
            ]
            if not passed:
                break
            best = min(passed, key=lambda r: (-r.order.price * side, r.order.age))  # type: ignore[union-attr]
            behind = bound is not None and (
                best.order.price <= bound if side > 0 else best.order.price > bound  # type: ignore[union-attr]
            )
            if behind and (self.holds() or side < 0):
                break
            self.at = best.order.price  # type: ignore[union-attr]
            self.fill(best, self.at)

    # -- a candle

    def open(self, opening: Decimal) -> None:
        self.meet(opening, exits=False)
        rules = self.rules
        ask, bid = opening * (1 + rules.slippage), opening * (1 - rules.slippage)
        if rules.tick is not None:
            ask, bid = self.on_tick(ask, -1), self.on_tick(bid, 1)
        if self.market:
            side, size = self.market
            self.market = None
            if side > 0:
                self.buy(ask, self.lots(size / ask))
            else:
                self.sell(bid, size)
        self.at = opening
        self.meet(opening, opens=True)
        for rung in self.rungs:
            if not rung.waits or (self.held and rung.side > 0) or not self.place(rung):
                continue
            assert rung.order is not None
            if rung.side > 0 and rung.order.price >= ask:
                self.fill(rung, ask)
            elif rung.side < 0 and rung.order.price <= bid:
                self.fill(rung, bid)

    def walk(
        self,
        whole: tuple[float, float, float, float, float, int],
        parts: list[tuple[float, float, float, float, float, int]],
    ) -> None:
        """Go along the finer candles, if those that traded reach as high and as low as the whole one."""
        traded = [part for part in parts if part[4] > 0 and part[5] == 0]
        reaching = (
            bool(traded)
            and max(part[1] for part in traded) >= whole[1]
            and min(part[2] for part in traded) <= whole[2]
        )
        open_question = False
        for part in traded if reaching else [whole]:
            opening, high, low, close = (Decimal(repr(price)) for price in part[:4])
            if part is not whole and part is not parts[0]:
                self.meet(opening, opens=True)
            ways = 0
            for level in (low, high, close):
                before = len(self.fills)
                self.meet(level)
                ways += len(self.fills) > before
            open_question = open_question or ways > 1
        self.ambiguous += open_question

    def lay(self, wishes: list[Wish]) -> None:
        """Keep the rungs that are wanted as they are; forget the others with their orders."""
        old = {rung.wish: rung for rung in self.rungs}
        self.rungs = [old.get(wish) or Rung(wish) for wish in wishes]
        for rung in self.rungs:
            rung.waits = rung.order is None and not rung.done

    def hold(self, held: bool) -> bool:
        """Take every buy back and let it wait while a guard holds; return whether there was one."""
        self.held = held
        buys = [rung for rung in self.rungs if held and rung.order and rung.order.side > 0]
        for rung in buys:
            rung.order, rung.waits = None, True
        return bool(buys)

    def aim(self, target: Decimal, close: Decimal) -> None:
        """Size a market order for a target, from what no rung has reserved."""
        self.market = None
        equity, value = self.cash + self.base * close, self.base * close
        if target * equity > value:
            nearly = E8 / 10**6 if self.rules.tick is not None else 0
            spend = self.cut(min(target * equity - value, self.free_cash()) + nearly)
            if spend > DIGITS * equity and spend >= self.rules.least:
                self.market = (1, spend)
            return
        wanted = self.free_base()
        if target:
            wanted = min(wanted, self.base - target * equity / close)
        sold = self.lots(wanted + NEARLY * self.rules.step)
        if sold * close > DIGITS * equity and sold * close >= self.rules.least:
            self.market = (-1, sold)


def run_ladder(
    candles: list[tuple[float, float, float, float, float, int]],
    ladders: list[list[Wish] | None],
    targets: list[float | None],
    *,
    cash: float,
    rules: Rules,
    levels: Levels | None = None,
    finer: list[list[tuple[float, float, float, float, float, int]]] | None = None,
    guards: GuardRules | None = None,
    times: Sequence[int] = (),
) -> LadderBook:
    """Trade ladders and targets written at each close (None: nothing new).

    Stop and take-profit hold from the first close on, on the tick below and above.

    `guards` are judged at each close from the first ladder on; they need the `times` of the opens.

    A candle is (open, high, low, close, volume, candles missing before it); `finer` are the candles
    that each is made of.
    """
    with localcontext() as context:
        context.prec = 60
        book, written, laid = LadderBook(Decimal(cash), rules), -1.0, False
        for t, (opening, _, _, close, volume, missing) in enumerate(candles):
            book.now = t
            if volume > 0 and missing == 0:
                book.open(Decimal(repr(opening)))
                book.walk(candles[t], finer[t] if finer else [])
            last = Decimal(repr(close))
            book.equity.append(book.cash + book.base * last)
            book.bases.append(book.base)
            book.filled.append(sum(1 << j for j, rung in enumerate(book.rungs) if rung.turned))
            if levels is not None and levels.stop is not None:
                book.stop = book.on_tick(Decimal(repr(levels.stop)), 1)
            if levels is not None and levels.take_profit is not None:
                book.goal = book.on_tick(Decimal(repr(levels.take_profit)), -1)
            wishes, target = ladders[t], targets[t]
            if wishes is not None:
                book.lay(wishes)
                laid = True
            refuses = guards is not None and _refuses(book, guards, cash, times[: t + 1])
            took_back = laid and book.hold(refuses)
            if target is not None and target != written:
                written = target
                book.aim(Decimal(repr(target)), last)
                if refuses and book.market and book.market[0] > 0:
                    book.market, took_back = None, True
            book.guarded += took_back
    return book


def _refuses(book: LadderBook, guards: GuardRules, cash: float, times: Sequence[int]) -> bool:
    """Return whether a guard refuses a buy at the last of these hours."""
    equity = [float(one) for one in book.equity]
    today = (times[-1] + HOUR_MS) // DAY_MS
    yesterday = [worth for time, worth in zip(times, equity, strict=True) if time // DAY_MS < today]
    buys = [at for at, side, _, _ in book.fills if side == "BUY" and times[at] // DAY_MS == today]
    tale = Tale(cash, equity=equity, trips=book.trips)
    return held_back(tale, guards, len(times) - 1, cash, yesterday, len(buys))
