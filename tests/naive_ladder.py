"""A slow, obvious oracle of ladders: every order in one list, every price of the path one by one.

Decimal arithmetic of sixty digits throughout, nothing cached, no locks kept: what is reserved is
summed up anew each time from the orders that rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext

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
        self.base += quantity - fee
        self.fees += fee * price
        self.fills.append((self.now, "BUY", price, quantity))
        return quantity - fee

    def sell(self, price: Decimal, quantity: Decimal) -> None:
        fee = self.cut(quantity * price * self.rules.fee)
        self.base -= quantity
        self.cash += quantity * price - fee
        self.fees += fee
        self.fills.append((self.now, "SELL", price, quantity))

    # -- orders of rungs

    def place(self, rung: Rung) -> bool:
        """Rest the order whose turn it is, or refuse it for good (until another revision)."""
        rung.waits, wish, side = False, rung.wish, rung.side
        price = self.on_tick(Decimal(wish.pair if rung.turned else wish.price), side)
        quote = Decimal(wish.quote) + NEARLY * E8  # a float of whole cents may lie just below them
        quote = self.cut(quote) if self.rules.tick is not None else Decimal(wish.quote)
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
        else:
            self.place(rung)

    def meet(self, level: Decimal) -> None:
        """Fill all that a price has passed: the best buys first, then the best sales."""
        for side in (1, -1):
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
                self.fill(best, best.order.price)  # type: ignore[union-attr]

    # -- a candle

    def open(self, opening: Decimal) -> None:
        self.meet(opening)
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
        for rung in self.rungs:
            if not rung.waits or not self.place(rung):
                continue
            assert rung.order is not None
            if rung.side > 0 and rung.order.price >= ask:
                self.fill(rung, ask)
            elif rung.side < 0 and rung.order.price <= bid:
                self.fill(rung, bid)

    def lay(self, wishes: list[Wish]) -> None:
        """Keep the rungs that are wanted as they are; forget the others with their orders."""
        old = {rung.wish: rung for rung in self.rungs}
        self.rungs = [old.get(wish) or Rung(wish) for wish in wishes]
        for rung in self.rungs:
            rung.waits = rung.order is None and not rung.done

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
) -> LadderBook:
    """Trade ladders and targets written at each close (None: nothing new).

    A candle is (open, high, low, close, volume, candles missing before it).
    """
    with localcontext() as context:
        context.prec = 60
        book, written = LadderBook(Decimal(cash), rules), 0.0
        for t, (opening, high, low, close, volume, missing) in enumerate(candles):
            book.now = t
            if volume > 0 and missing == 0:
                book.open(Decimal(repr(opening)))
                for level in (low, high, close):
                    book.meet(Decimal(repr(level)))
            last = Decimal(repr(close))
            book.equity.append(book.cash + book.base * last)
            book.bases.append(book.base)
            book.filled.append(sum(1 << j for j, rung in enumerate(book.rungs) if rung.turned))
            wishes, target = ladders[t], targets[t]
            if wishes is not None:
                book.lay(wishes)
            if target is not None and target != written:
                written = target
                book.aim(Decimal(repr(target)), last)
    return book
