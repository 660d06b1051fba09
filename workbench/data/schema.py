"""The columns of a candle file, and the one reading of files that spell them a little differently.

`open_time` is Datetime(ms, UTC). The five prices and volume are always there; the four raw columns
only where the source has them. Nothing is sorted, filled or clipped here.
"""

from __future__ import annotations

import polars as pl

from workbench.errors import DataError

OPEN_TIME = pl.Datetime("ms", "UTC")
PRICES = ("open", "high", "low", "close")
REQUIRED: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "open_time": OPEN_TIME,
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
}
RAW: dict[str, pl.DataType] = {
    "quote_volume": pl.Float64(),
    "trades": pl.Int64(),
    "taker_buy_base": pl.Float64(),
    "taker_buy_quote": pl.Float64(),
}
SCHEMA = REQUIRED | RAW
PROVENANCE = "provenance"  # where a stored candle came from: a mark beside the schema, not a value
REPAIRED = "repaired from "  # how the mark begins where another source filled a hole
STORED = SCHEMA | {PROVENANCE: pl.String()}


def conformed(
    lazy: pl.LazyFrame, *, symbol: str | None, label: str, keep: tuple[str, ...] = ()
) -> pl.LazyFrame:
    """Return a lazy frame with the schema's columns in their order and types, then those to `keep`.

    `symbol` stands in where the file has no such column (a partition names it). Raises DataError
    where a column is missing or has a type that cannot be read without guessing.
    """
    found = lazy.collect_schema()
    missing = [name for name in REQUIRED if name not in found and name != "symbol"]
    if "symbol" not in found and symbol is None:
        missing.insert(0, "symbol")
    if missing:
        raise DataError(
            f"{label}: no column {', '.join(missing)}; a candle file has {', '.join(REQUIRED)}"
        )
    columns = [
        pl.lit(symbol, pl.String).alias("symbol")
        if name == "symbol" and name not in found
        else _cast(name, wanted, found[name], label)
        for name, wanted in SCHEMA.items()
        if name in found or name == "symbol"
    ]
    return lazy.select(*columns, *keep)


def marked(frame: pl.DataFrame, provenance: str | None) -> pl.DataFrame:
    """Return the frame with where its candles came from; a mark that is there already stays."""
    if PROVENANCE in frame.columns:
        return frame
    return frame.with_columns(pl.lit(provenance, pl.String).alias(PROVENANCE))


def empty_frame() -> pl.DataFrame:
    """Return a frame without candles that has every column of the schema."""
    return pl.DataFrame(schema=SCHEMA)


def _cast(name: str, wanted: pl.DataType, found: pl.DataType, label: str) -> pl.Expr:
    if found == wanted:
        return pl.col(name)
    if name == "open_time":
        return _cast_time(found, label)
    if name == "symbol" and found in (pl.Categorical, pl.Enum):
        return pl.col(name).cast(pl.String)
    if name != "symbol" and found.is_numeric():
        return pl.col(name).cast(wanted)
    raise DataError(f"{label}: column {name} is {found}, not {wanted}; convert the file first")


def _cast_time(found: pl.DataType, label: str) -> pl.Expr:
    if isinstance(found, pl.Datetime):
        time = pl.col("open_time").dt.cast_time_unit("ms")
        if found.time_zone is None:
            return time.dt.replace_time_zone("UTC")
        return time.dt.convert_time_zone("UTC")
    if found == pl.Int64:  # milliseconds; microseconds land far beyond 2286 and are refused as such
        return pl.col("open_time").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    raise DataError(
        f"{label}: open_time is {found}; store it as Datetime(ms, UTC) or int64 milliseconds"
    )
