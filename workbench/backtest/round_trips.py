"""Round trips: fills folded from flat to flat, each with what it earned after all fees."""

from __future__ import annotations

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

    rows: list[dict[str, object]] = []
    trip: dict[str, float] = {}
    held = 0.0
    opened = exited = None
    why = ""
    for fill in fills.iter_rows(named=True):
        value = fill["price"] * fill["quantity"]
        if fill["side"] == "BUY":
            if not trip:
                trip = dict.fromkeys(
                    ("bought", "paid", "sold", "got", "charged", "fees", "pnl"), 0.0
                )
                opened = fill["time"]
            trip["bought"] += fill["quantity"]
            trip["paid"] += value
            trip["fees"] += fill["fee"] * fill["price"]
            held += fill["quantity"] - fill["fee"]
            continue
        if (
            not trip
        ):  # the last crumbs of a trip that is closed: less than can be told from rounding
            continue
        trip["sold"] += fill["quantity"]
        trip["got"] += value
        trip["charged"] += fill["fee"]
        trip["fees"] += fill["fee"]
        trip["pnl"] += fill["realised"]
        held -= fill["quantity"]
        exited, why = fill["time"], fill["reason"]
        if held < max(step, _EMPTY * trip["bought"]):
            rows.append(_row(trip, opened, exited, trip["pnl"], why))
            trip = {}
    if trip:
        unrealised = trip["got"] - trip["charged"] + held * last_close - trip["paid"]
        rows.append(_row(trip, opened, None, unrealised, None))
    return pl.DataFrame(rows, schema=_schema())


def _row(
    trip: dict[str, float], opened: object, exited: object, pnl: float, why: str | None
) -> dict[str, object]:
    return {
        "entry_time": opened,
        "exit_time": exited,
        "entry_price": trip["paid"] / trip["bought"],
        "exit_price": trip["got"] / trip["sold"] if trip["sold"] else None,
        "quantity": trip["bought"],
        "fees": trip["fees"],
        "pnl": pnl,
        "return": pnl / trip["paid"],
        "is_open": why is None,
        "exit_reason": why,
    }


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
