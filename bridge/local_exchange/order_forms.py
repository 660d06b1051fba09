"""From the parameters of a request to the order that it describes, or Binance's refusal of them.

A table says what each type must have; what it must not have is everything else that orders know.
The legs of order lists are the same forms with other names: a prefix is put before each name.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.local_exchange.parameters import Parameters
from workbench.execution.orders import (
    CONDITIONAL,
    PRICED,
    NewOrder,
    OrderType,
    Rejected,
    SelfTrade,
    Side,
    TimeInForce,
)

STRATEGY_TYPES_FROM = 1_000_000
LIMITED = PRICED - {OrderType.LIMIT_MAKER}  # the types with a time in force
PEGS = ("pegPriceType", "pegOffsetType", "pegOffsetValue")
UNBUILT_MODES = frozenset({"DECREMENT", "TRANSFER"})


@dataclass(frozen=True, slots=True)
class Head:
    """What all orders of a request share."""

    account: str
    symbol: str
    self_trade: SelfTrade


@dataclass(frozen=True, slots=True)
class Form:
    """The names under which one order of a request is sent: `aboveStopPrice` and its like."""

    prefix: str = ""
    client_id: str = "newClientOrderId"

    def name(self, plain: str) -> str:
        """Return a parameter's name in this form."""
        return self.prefix + plain[0].upper() + plain[1:] if self.prefix else plain

    def order(
        self,
        params: Parameters,
        head: Head,
        side: Side,
        *,
        quantity_e8: int | None = None,
    ) -> NewOrder:
        """Return the order; a quantity that is given is shared by the orders of a list."""
        kind = self._kind(params)
        self._refuse_unbuilt(params)
        quote_e8 = 0
        if quantity_e8 is None:
            quantity_e8, quote_e8 = self._amounts(params, kind)
        stop_e8, bips = self._trigger(params, kind)
        tif = self._time_in_force(params, kind)
        price_e8 = self._price(params, kind)
        return NewOrder(
            head.account,
            head.symbol,
            side,
            kind,
            quantity_e8=quantity_e8,
            quote_e8=quote_e8,
            price_e8=price_e8,
            time_in_force=tif,
            client_order_id=params.client_id(self._client_id()) or "",
            stop_e8=stop_e8,
            trailing_bips=bips,
            self_trade=head.self_trade,
            strategy_id=params.integer(self.name("strategyId")),
            strategy_type=self._strategy_type(params),
        )

    def _client_id(self) -> str:
        return self.name("clientOrderId") if self.prefix else self.client_id

    def _kind(self, params: Parameters) -> OrderType:
        kind = params.text(self.name("type"))
        if kind not in OrderType.__members__:
            raise Rejected(-1116, "Invalid orderType.")
        return OrderType(kind)

    def _refuse_unbuilt(self, params: Parameters) -> None:
        if self.name("icebergQty") in params:
            raise Rejected(-1020, "This operation is not supported. (icebergs are not built yet)")
        if any(self.name(peg) in params for peg in PEGS):
            raise Rejected(-1020, "This operation is not supported. (pegs are not built yet)")

    def _amounts(self, params: Parameters, kind: OrderType) -> tuple[int, int]:
        quantity, quote = self.name("quantity"), "quoteOrderQty"
        if kind is not OrderType.MARKET or self.prefix:
            refuse(params, quote)
            return params.amount(quantity), 0
        if quantity not in params and quote not in params:
            raise both_empty(quantity, quote)
        if quantity in params:
            refuse(params, quote)
            return params.amount(quantity), 0
        quote_e8 = params.amount(quote)
        if not quote_e8:
            raise Rejected(-1013, "Invalid quantity.")
        return 0, quote_e8

    def _trigger(self, params: Parameters, kind: OrderType) -> tuple[int, int]:
        stop, trailing = self.name("stopPrice"), self.name("trailingDelta")
        if kind not in CONDITIONAL:
            refuse(params, stop, trailing)
            return 0, 0
        if stop not in params and trailing not in params:
            raise both_empty(stop, trailing)
        stop_e8, bips = params.optional_amount(stop), params.integer(trailing) or 0
        if stop in params and not stop_e8:
            raise Rejected(-1013, "Invalid price.")
        if trailing in params and not bips:
            raise Rejected(-1013, "Filter failure: TRAILING_DELTA")
        return stop_e8, bips

    def _time_in_force(self, params: Parameters, kind: OrderType) -> TimeInForce:
        name = self.name("timeInForce")
        if kind not in LIMITED:
            if name in params and kind is not OrderType.MARKET:
                raise Rejected(-1114, "TimeInForce parameter sent when not required.")
            refuse(params, name)
            return TimeInForce.GTC
        sent = params.text(name)
        if sent not in TimeInForce.__members__:
            raise Rejected(-1115, "Invalid timeInForce.")
        return TimeInForce(sent)

    def _price(self, params: Parameters, kind: OrderType) -> int:
        name = self.name("price")
        if kind in PRICED:
            return params.amount(name)
        refuse(params, name)
        return 0

    def _strategy_type(self, params: Parameters) -> int | None:
        name = self.name("strategyType")
        value = params.integer(name)
        if value is not None and value < STRATEGY_TYPES_FROM:
            raise Rejected(-1134, f"`{name}` was less than {STRATEGY_TYPES_FROM}.")
        return value


PLAIN = Form()


def read_head(params: Parameters, account: str) -> Head:
    """Return the account, the symbol and the self-trade mode of a request."""
    mode = params.optional("selfTradePreventionMode") or SelfTrade.NONE
    if mode in UNBUILT_MODES or mode not in SelfTrade.__members__:
        raise Rejected(
            -1013, "This symbol does not allow the specified self-trade prevention mode."
        )
    return Head(account, params.symbol(), SelfTrade(mode))


def read_side(params: Parameters, name: str = "side") -> Side:
    """Return the side; -1117 for what is none."""
    side = params.text(name)
    if side not in Side.__members__:
        raise Rejected(-1117, "Invalid side.")
    return Side(side)


def read_order(params: Parameters, account: str) -> NewOrder:
    """Return the order that a request describes, or the refusal of its parameters."""
    head, side = read_head(params, account), read_side(params)
    return PLAIN.order(params, head, side)


def refuse(params: Parameters, *names: str) -> None:
    """Refuse with -1106 the first of the names that was sent."""
    for name in names:
        if name in params:
            raise Rejected(-1106, f"Parameter '{name}' sent when not required.")


def both_empty(one: str, other: str) -> Rejected:
    """Return the refusal of a request that needs one of two parameters."""
    return Rejected(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")
