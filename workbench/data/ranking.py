"""The largest pairs as of a date: by what was traded before it, among those that existed then.

Only candles that had closed by the date are counted, so a ranking of the past cannot know what came
after. Pairs that existed and are not recorded here might be larger than all that are: that is an
error, unless it is allowed by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from workbench.data.loading import load_frame
from workbench.data.places import Places, recorded
from workbench.data.resample import divides
from workbench.data.times import When, iso, to_ms
from workbench.data.universe import Listing, Universe, universe
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import DAY_MS, TIMEFRAMES


@dataclass(frozen=True, slots=True)
class Ranking:
    """The largest pairs as of a date; `unmeasured` existed too, but nobody recorded them."""

    as_of_ms: int
    days: int
    table: pl.DataFrame  # symbol, quote_volume, days, estimated, listed
    unmeasured: tuple[str, ...]
    source: str

    @property
    def symbols(self) -> list[str]:
        """Return the symbols, the largest first."""
        return self.table["symbol"].to_list()

    @property
    def note(self) -> str:
        """Return in words what the ranking is of."""
        told = f"as of {iso(self.as_of_ms)}, by quote volume of the {self.days} days before"
        if self.unmeasured:
            told += f"; {len(self.unmeasured)} pairs that existed then are not recorded"
        return f"{told} ({self.source})"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(self.note)}</p>{self.table._repr_html_()}"


def top(
    count: int,
    as_of: When,
    *,
    quote: str = "USDT",
    days: int = 30,
    venue: str = "binance",
    places: Places | None = None,
    allow_unmeasured: bool = False,
) -> Ranking:
    """Return the `count` largest pairs by what was traded in the days before `as_of`.

    Where no quote volume is recorded it is estimated as volume times close, and the table says so.
    Raises UsageError for a count or days below 1, DataError where nothing, or too little, is known.
    """
    if count < 1 or days < 1:
        raise UsageError(f"top {count} of {days} days: both must be at least 1")
    places, at_ms = places or Places.here(), to_ms(as_of, name="as_of")
    pairs = universe(venue=venue, places=places)
    existed = pairs.as_of(at_ms, quote=quote)
    if not existed:
        raise DataError(
            f"no {quote} pair of {venue} existed at {iso(at_ms)} by {pairs.source}; "
            "take a later date, another quote, or refresh the universe"
        )
    day = TIMEFRAMES["1d"]
    there = {
        one.symbol for one in recorded(places) if one.venue == venue and divides(one.timeframe, day)
    }
    rows = [
        row
        for one in existed
        if one.symbol in there and (row := _measured(one, at_ms, days, venue, places))
    ]
    unmeasured = tuple(
        sorted({one.symbol for one in existed} - {str(row["symbol"]) for row in rows})
    )
    if unmeasured and not allow_unmeasured:
        raise DataError(_unmeasured(count, at_ms, days, existed, unmeasured, pairs))
    if not rows:
        raise DataError(f"none of the {len(existed)} pairs has candles before {iso(at_ms)} here")
    table = pl.DataFrame(rows).sort("quote_volume", "symbol", descending=[True, False])
    return Ranking(at_ms, days, table.head(count), unmeasured, pairs.source)


def _measured(
    listing: Listing, at_ms: int, days: int, venue: str, places: Places
) -> dict[str, object] | None:
    """Return what one pair traded in whole days before a time, None where nothing is recorded."""
    end_ms = TIMEFRAMES["1d"].floor(at_ms)
    try:
        frame = load_frame(
            listing.symbol, "1d", end_ms - days * DAY_MS, end_ms, venue=venue, places=places
        )
    except DataError:
        return None
    estimated = "quote_volume" not in frame.columns or bool(frame["quote_volume"].null_count())
    traded = frame["volume"] * frame["close"] if estimated else frame["quote_volume"]
    listed = pl.Series([listing.listed_ms]).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    return {
        "symbol": listing.symbol,
        "quote_volume": float(traded.sum()),
        "days": len(frame),
        "estimated": estimated,
        "listed": listed[0],
    }


def _unmeasured(
    count: int, at_ms: int, days: int, existed: list[Listing], unmeasured: tuple[str, ...],
    pairs: Universe,
) -> str:  # fmt: skip
    shown = ",".join(unmeasured[:5]) + (",…" if len(unmeasured) > 5 else "")
    return (
        f"top {count} as of {iso(at_ms)}: {len(unmeasured)} of the {len(existed)} pairs that existed "
        f"then ({pairs.source}) have no daily candles here, and one of them may be among the largest; "
        f"run `workbench collect --symbols {shown} --intervals 1d --since "
        f"{iso(at_ms - days * DAY_MS)[:10]}`, or pass allow_unmeasured=True"
    )
