"""What one row of the table of operations says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.limits import Limits
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.venue import Venue
from workbench.execution.orders import Rejected

Public: TypeAlias = Callable[[Venue, Parameters, int], Json]
Signed: TypeAlias = Callable[[Venue, Parameters, Account], Json]
Counted: TypeAlias = Callable[[Limits, Account, int], Json]
Beyond: TypeAlias = Callable[[Venue, Parameters, Account, Rejected], None]
Weight: TypeAlias = "int | Callable[[Parameters], int]"

SIGNING = frozenset({"timestamp", "recvWindow", "signature"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation; exactly one of `public`, `signed` and `counted` is set.

    `orders` is how many orders it counts for; `beyond_limit` answers instead of it where those are
    too many. `trades` says that a key needs the permission to trade.
    """

    method: str
    path: str
    ws_method: str
    weight: Weight
    mandatory: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    public: Public | None = None
    signed: Signed | None = None
    counted: Counted | None = None
    orders: int = 0
    trades: bool = False
    free_on_success: bool = False
    beyond_limit: Beyond | None = None
    known: frozenset[str] = field(init=False)  # every parameter name that the operation reads

    def __post_init__(self) -> None:
        names = frozenset(self.mandatory) | frozenset(self.optional)
        object.__setattr__(self, "known", names | SIGNING if self.is_signed else names)

    @property
    def counts_order(self) -> bool:
        """Whether the answer tells the account's order counts."""
        return self.orders > 0

    @property
    def is_signed(self) -> bool:
        """Whether the request must be signed."""
        return self.public is None

    def cost(self, params: Parameters) -> int:
        """Return the request's weight."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def reading(
    path: str,
    ws_method: str,
    weight: Weight,
    *,
    public: Public | None = None,
    signed: Signed | None = None,
    mandatory: str = "",
    optional: str = "",
) -> Endpoint:
    """Return the row of a GET that changes nothing; parameter names are given as words."""
    return Endpoint(
        "GET",
        f"/api/v3/{path}",
        ws_method,
        weight,
        tuple(mandatory.split()),
        tuple(optional.split()),
        public=public,
        signed=signed,
    )
