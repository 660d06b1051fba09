"""Reading recorded trades in the format of Binance's archives, a CSV file or the zip of one.

Seven columns without a header: id, price, quantity, quote quantity, time, whether the buyer was the
maker, whether it was the best price. Times are in milliseconds before 2025, in microseconds after.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

from workbench.errors import DataError
from workbench.execution.matching.tape import e8_of_floats
from workbench.execution.matching.trades_tape import RecordedTrades, TradesTape
from workbench.market.candles import Candles, records_from_columns
from workbench.market.instruments import SCALE
from workbench.market.timeframes import parse_timeframe

COLUMNS = ("id", "price", "qty", "quote", "time", "buyer_made", "best")
MICROSECONDS = 10**14  # a time above this is in microseconds


def load_trades(symbol: str, interval: str, path: Path) -> tuple[Candles, TradesTape]:
    """Return a file's trades as a tape, and the candles that they make."""
    timeframe = parse_timeframe(interval)
    tape = TradesTape(symbol, timeframe, read_trades(path))
    made = list(tape.klines(timeframe, len(tape), start_ms=0, end_ms=None, limit=tape.candles))
    legs = np.array([[k.open_e8, k.high_e8, k.low_e8, k.close_e8, k.volume_e8] for k in made])
    columns = [legs[:, i] / SCALE for i in range(5)]
    records = records_from_columns(
        tape.open_ms, columns[0], columns[1], columns[2], columns[3], columns[4], timeframe
    )
    return Candles(symbol, timeframe, records, 0, f"recorded trades, {path.name}"), tape


def read_trades(path: Path) -> RecordedTrades:
    """Return the trades of a file; DataError for anything that is not one."""
    try:
        frame = pl.read_csv(
            _text(path),
            has_header=False,
            new_columns=list(COLUMNS),
            schema_overrides=[
                pl.Int64, pl.Float64, pl.Float64, pl.Float64, pl.Int64, pl.Utf8, pl.Utf8,
            ],
        )  # fmt: skip
        made = frame["buyer_made"].str.to_lowercase()
        if len(frame.columns) != len(COLUMNS) or frame.null_count().sum_horizontal()[0]:
            raise ValueError(f"rows must have {len(COLUMNS)} columns")
        if not made.is_in(["true", "false"]).all():
            raise ValueError("the sixth column must be True or False")
    except (OSError, ValueError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"trades file {path.name}: {reason}; it must be an archive's CSV, "
            "rows like 4361451942,94591.78,0.00015,14.188767,1735776000113701,True,True"
        ) from None
    times = frame["time"].to_numpy()
    return RecordedTrades(
        ids=frame["id"].to_numpy(),
        time_ms=np.where(times > MICROSECONDS, times // 1000, times),
        price_e8=e8_of_floats(frame["price"].to_numpy()),
        quantity_e8=e8_of_floats(frame["qty"].to_numpy()),
        quote_e8=e8_of_floats(frame["quote"].to_numpy()),
        buyer_takes=(made == "false").to_numpy(),
    )


def _text(path: Path) -> io.BytesIO | Path:
    if path.suffix != ".zip":
        return path
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        return io.BytesIO(archive.read(name))
