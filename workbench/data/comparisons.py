"""What only a second series can tell: another source's same candles, or finer ones of the same market.

Candles that two tellers of the same market give must be equal, prices and volumes alike. Where they
are not, nobody can say from here which is right, so it is a warning with the first of them. A sample
of 1 % in whole stretches is compared, because that costs one question a month and not one a candle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import polars as pl

from workbench.data.quality import Finding
from workbench.data.resample import resample
from workbench.data.schema import OPEN_TIME, PRICES, RAW
from workbench.data.sources.base import Source
from workbench.data.times import iso
from workbench.market.timeframes import Timeframe

SHARE = 0.01
_STRETCH = 1_000  # candles, a page of the REST API
_REL = 1e-12  # sums of volumes differ in their last bits


def sampled(
    opening_times: Sequence[int], timeframe: Timeframe, *, key: str, share: float = SHARE
) -> list[tuple[int, int]]:
    """Return stretches [start, end) that hold a share of the candles, at least one candle.

    The same times and key give the same stretches; each part of the series has its stretch.
    """
    count = len(opening_times)
    wanted = min(count, -int(-count * share // 1))
    if not wanted:
        return []
    parts = -(-wanted // _STRETCH)
    stretches = []
    for part in range(parts):
        low, high = count * part // parts, count * (part + 1) // parts
        length = min(high - low, -(-wanted // parts))
        digest = hashlib.sha256(f"{key} {opening_times[low]}".encode()).digest()
        first = low + int.from_bytes(digest[:8], "big") % (high - low - length + 1)
        end_ms = timeframe.next(opening_times[first + length - 1])
        stretches.append((opening_times[first], end_ms))
    return stretches


def overlap(
    frame: pl.DataFrame, timeframe: Timeframe, other: Source, *, named: str
) -> tuple[Finding, ...]:
    """Ask another source for a sample of a series' candles and return where the two disagree.

    `named` says whose candles the frame holds. Raises what the other source raises.
    """
    if frame.is_empty():
        return ()
    symbol = str(frame.item(0, "symbol"))
    times = frame["open_time"].to_physical().to_list()
    compared, differing = 0, list[int]()
    for start_ms, end_ms in sampled(times, timeframe, key=f"{symbol} {timeframe}"):
        pages = list(other.fetch(symbol, timeframe, start_ms, end_ms))
        theirs = pl.concat(pages) if pages else frame.clear()
        ours = frame.filter(_within(start_ms, end_ms))
        compared += len(ours)
        differing += differing_times(ours, theirs)
    return tuple(
        _finding(
            "overlap",
            differing,
            f"of {compared:,} sampled differ between {named} and {other.description}",
        )
    )


def rebuilt(
    coarse: pl.DataFrame, fine: pl.DataFrame, *, interval: Timeframe, finer: Timeframe
) -> tuple[Finding, ...]:
    """Return which coarse candles differ from those rebuilt from the finer series.

    Only the time that both cover is compared; a fine candle that is missing makes the coarse one
    differ, as it should.
    """
    built = resample(fine, finer, interval)
    if coarse.is_empty() or built.is_empty():
        return ()
    ours, theirs, fines = (one["open_time"].to_physical() for one in (coarse, built, fine))
    whole_ms = int(theirs[0])
    if whole_ms < int(fines[0]):  # the finer series begins inside the first
        whole_ms = interval.next(whole_ms)
    start_ms = max(whole_ms, int(ours[0]))
    end_ms = min(int(ours[-1]), int(theirs[-1])) + 1
    window = _within(start_ms, end_ms)
    differing = differing_times(coarse.filter(window), built.filter(window))
    return tuple(_finding("rebuilt", differing, f"differ from those rebuilt from {finer}"))


def differing_times(ours: pl.DataFrame, theirs: pl.DataFrame) -> list[int]:
    """Return the opening times at which two frames of one series do not hold the same candle.

    Prices must be equal, volumes to 1e-12 of their size; what one of them does not know is no
    difference, a candle that only one of them has is.
    """
    names = [n for n in (*PRICES, "volume", *RAW) if n in ours.columns and n in theirs.columns]
    joined = ours.select("open_time", *names, here=True).join(
        theirs.select("open_time", *names, there=True),
        on="open_time", how="full", coalesce=True, suffix="_theirs",
    )  # fmt: skip
    unequal = pl.any_horizontal(
        pl.any_horizontal(_unequal(name) for name in names).fill_null(False),
        pl.col("here").is_null(),
        pl.col("there").is_null(),
    )
    return joined.filter(unequal)["open_time"].sort().to_physical().to_list()


def _unequal(name: str) -> pl.Expr:
    ours, theirs = pl.col(name), pl.col(f"{name}_theirs")
    if name in PRICES:
        return (ours != theirs).fill_null(False)
    return ((ours - theirs).abs() > _REL * pl.max_horizontal(ours, theirs)).fill_null(False)


def _finding(kind: str, times: list[int], what: str) -> Iterator[Finding]:
    if times:
        at = tuple(iso(time) for time in times[:5])
        yield Finding(kind, len(times), at, f"{len(times)} candles {what}, the first at {at[0]}")


def _within(start_ms: int, end_ms: int) -> pl.Expr:
    return pl.col("open_time").is_between(
        pl.lit(start_ms).cast(OPEN_TIME), pl.lit(end_ms).cast(OPEN_TIME), closed="left"
    )
