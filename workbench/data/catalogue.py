"""Which candles are used.

The rule, in this order: the folder that WORKBENCH_DATA names; the project's own `datasets/` where
they cover the request; the folder `shared/data` beside the checkout; the synthetic market. An
interval that nobody recorded is built from a finer recorded one before anything is made up. What
was taken is said in words, and so is a window that the recording does not cover.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.data.places import Places, Series, recorded
from workbench.data.resample import divides
from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.instruments import KNOWN
from workbench.market.timeframes import Timeframe

_SYMBOL = re.compile(r"\w{2,40}")


@dataclass(frozen=True, slots=True)
class Choice:
    """The series that answers a request: recorded, or None for the synthetic market."""

    series: Series | None
    timeframe: Timeframe
    source: str


def choose(
    symbol: str,
    timeframe: Timeframe,
    start_ms: int | None,
    end_ms: int | None,
    venue: str,
    places: Places,
) -> Choice:
    """Return what answers a request for the candles of [start, end).

    Raises UsageError for a symbol nobody has, DataError where the recording does not reach the window.
    """
    refuse_symbol(symbol)
    mine = [
        one
        for one in recorded(places)
        if one.symbol == symbol and (one.place != "datasets" or one.venue == venue)
    ]
    exact = [one for one in mine if one.timeframe == timeframe]
    reaching = [one for one in exact if _overlaps(one, start_ms, end_ms)]
    if reaching:
        return _recorded_choice(
            _first_by_rule(reaching, start_ms, end_ms), timeframe, start_ms, end_ms
        )
    if exact:
        raise DataError(_out_of_reach(exact, start_ms, end_ms))
    finer = [
        one
        for one in mine
        if divides(one.timeframe, timeframe) and _overlaps(one, start_ms, end_ms)
    ]
    if finer:
        coarsest = max(one.timeframe.mean_ms for one in finer)
        best = [one for one in finer if one.timeframe.mean_ms == coarsest]
        return _recorded_choice(_first_by_rule(best, start_ms, end_ms), timeframe, start_ms, end_ms)
    if venue != "binance" or symbol not in KNOWN:
        raise UsageError(_unknown(symbol, timeframe, venue, mine))
    from workbench.data.sources import synthetic

    return Choice(None, timeframe, synthetic.LABEL)


def recorded_series(
    symbol: str, timeframe: Timeframe, *, venue: str, places: Places
) -> tuple[Series, list[Series]]:
    """Return the recorded series that `load` takes without a window, and its place's other symbols.

    Raises UsageError where nobody recorded it.
    """
    refuse_symbol(symbol)
    everything = list(recorded(places))
    of_symbol = [
        one
        for one in everything
        if one.symbol == symbol and (one.place != "datasets" or one.venue == venue)
    ]
    for one in of_symbol:
        if one.timeframe == timeframe:
            others = [
                other
                for other in everything
                if (other.place, other.venue, other.timeframe) == (one.place, one.venue, timeframe)
                and other.symbol != symbol
            ]
            return one, others
    venues = sorted({one.venue for one in everything if one.symbol == symbol})
    if venues and not of_symbol:
        raise UsageError(
            f"{symbol} {timeframe}: nothing is recorded of venue {venue}, but of "
            f"{' '.join(venues)}; name one with --venue"
        )
    raise UsageError(_unknown(symbol, timeframe, venue, of_symbol))


def finer_series(series: Series, places: Places) -> list[Series]:
    """Return the recorded series of the same place and market from which this one can be rebuilt."""
    return [
        one
        for one in recorded(places)
        if (one.place, one.venue, one.symbol) == (series.place, series.venue, series.symbol)
        and one.timeframe.mean_ms < series.timeframe.mean_ms
        and divides(one.timeframe, series.timeframe)
    ]


def refuse_symbol(symbol: str) -> None:
    """Raise UsageError for a symbol that is not made of letters, digits and underscores."""
    if not _SYMBOL.fullmatch(symbol):
        raise UsageError(
            f"{symbol!r} is not a symbol; write a pair like BTCUSDT, without / or spaces"
        )


def _first_by_rule(series: list[Series], start_ms: int | None, end_ms: int | None) -> Series:
    """Return the first series in the order of the rule; datasets count only where they cover."""
    for one in series:
        if one.place != "datasets" or _covers(one, start_ms, end_ms):
            return one
    return series[0]


def _overlaps(series: Series, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or start_ms <= series.last_ms) and (
        end_ms is None or series.first_ms < end_ms
    )


def _covers(series: Series, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or series.first_ms <= start_ms) and (
        end_ms is None or end_ms <= series.end_ms
    )


def _recorded_choice(
    series: Series, timeframe: Timeframe, start_ms: int | None, end_ms: int | None
) -> Choice:
    source = series.source
    if series.timeframe != timeframe:
        source += f", resampled from {series.timeframe}"
    if start_ms and start_ms < series.first_ms:
        source += f", recorded only from {iso(series.first_ms)}"
    if end_ms is not None and end_ms > series.end_ms:
        source += f", recorded only until {iso(series.end_ms)}"
    return Choice(series, timeframe, source)


def _out_of_reach(exact: list[Series], start_ms: int | None, end_ms: int | None) -> str:
    one = exact[0]
    asked = f"from {iso(start_ms)}" if start_ms is not None else f"before {iso(end_ms or 0)}"
    return (
        f"{one.symbol} {one.timeframe}: asked for candles {asked}, but {one.source} reach from "
        f"{iso(one.first_ms)} to {iso(one.end_ms)}; ask inside that, or run `workbench collect`"
    )


def _unknown(symbol: str, timeframe: Timeframe, venue: str, mine: list[Series]) -> str:
    if mine:
        held = " ".join(sorted({one.timeframe.name for one in mine}))
        return f"{symbol} {timeframe}: recorded are only {held}; run `workbench collect` for it"
    if symbol.upper() in KNOWN and symbol.upper() != symbol:
        return f"unknown symbol {symbol!r}; write it {symbol.upper()}"
    where = "" if venue == "binance" else f" for venue {venue}"
    return (
        f"unknown symbol {symbol!r}{where}: nobody recorded it; the synthetic market has "
        f"{' '.join(KNOWN)}, others come with `workbench collect --symbols {symbol}`"
    )
