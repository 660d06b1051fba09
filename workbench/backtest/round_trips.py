"""Round trips: fills folded from flat to flat, each with what it earned after all fees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_EMPTY = 1e-12


def round_trips(fills: pl.DataFrame, *, step: float, last_close: float) -> pl.DataFrame:
    """Return one row a round trip, the open one last with null exits, marked at `last_close`.

    `step` is the smallest quantity that can be sold (0 without filters): a trip is closed when less
    than it is left. Prices are averages before fees, `pnl` and `return` after them, in quote and as
    a fraction of the quote paid; `exit_reason` is the one of the fill that closed it.
    """
    import polars as pl

    rows: list[tuple[object, ...]] = []
    trip: _Trip | None = None
    held = 0.0
    times = fills["time"].dt.epoch(
        "ms"
    )  # as numbers: a date object each would cost more than the rest
    names = ("side", "price", "quantity", "fee", "realised", "reason")
    for time, side, price, quantity, fee, realised, reason in zip(
        times.to_list(), *(fills[name].to_list() for name in names), strict=True
    ):
        if side == "BUY":
            if trip is None:
                trip = _Trip(opened=time)
            trip.bought += quantity
            trip.paid += price * quantity
            trip.fees += fee * price
            held += quantity - fee
            continue
        if trip is None:  # the last crumbs of a closed trip: less than can be told from rounding
            continue
        trip.sold += quantity
        trip.got += price * quantity
        trip.charged += fee
        trip.fees += fee
        trip.pnl += realised
        held -= quantity
        trip.exited = time
        if held < max(step, _EMPTY * trip.bought):
            rows.append(_row(trip, trip.pnl, reason))
            trip = None
    if trip is not None:
        trip.exited = None
        unrealised = trip.got - trip.charged + held * last_close - trip.paid
        rows.append(_row(trip, unrealised, None))
    schema = _schema()
    return pl.DataFrame(dict(zip(schema, zip(*rows, strict=True), strict=False)), schema=schema)


@dataclass(slots=True)
class _Trip:
    """What a round trip has bought and sold so far; times in milliseconds."""

    opened: int
    exited: int | None = None
    bought: float = 0.0
    paid: float = 0.0
    sold: float = 0.0
    got: float = 0.0
    charged: float = 0.0  # fees of the sales, in quote
    fees: float = 0.0
    pnl: float = 0.0


def _row(trip: _Trip, pnl: float, why: str | None) -> tuple[object, ...]:
    """Return the values of one row, in the order of the columns."""
    return (
        trip.opened,
        trip.exited,
        trip.paid / trip.bought,
        trip.got / trip.sold if trip.sold else None,
        trip.bought,
        trip.fees,
        pnl,
        pnl / trip.paid,
        why is None,
        why,
    )


def _schema() -> pl.Schema:
    import polars as pl

    time = pl.Datetime("ms", "UTC")
    fields: dict[str, pl.DataType] = {
        "entry_time": time,
        "exit_time": time,
        **dict.fromkeys(
            ("entry_price", "exit_price", "quantity", "fees", "pnl", "return"), pl.Float64()
        ),
        "is_open": pl.Boolean(),
        "exit_reason": pl.String(),
    }
    return pl.Schema(fields)
