"""Every error and warning of the quality check, each with a sample that is bad in that way alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.data.conftest import candle_frame
from workbench.data import Places
from workbench.data.health import health
from workbench.data.quality import Limits, check
from workbench.data.sources.folder import Folder
from workbench.data.times import to_ms
from workbench.errors import DataError
from workbench.market.timeframes import TIMEFRAMES

PRICES = ("open", "high", "low", "close")


def kinds(findings: tuple) -> list[str]:
    return [one.kind for one in findings]


def put(frame: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    """Return the frame with some values of one row replaced."""
    index = pl.int_range(pl.len())
    return frame.with_columns(
        pl.when(index == row)
        .then(pl.lit(value, frame.schema[name]))
        .otherwise(pl.col(name))
        .alias(name)
        for name, value in values.items()
    )


def test_healthy_candles_have_nothing_to_report() -> None:
    report = check(candle_frame(200), "1h", now_ms=to_ms("2024-01-09T08:30"))
    assert (report.rows, report.errors, report.warnings, report.gaps) == (200, (), (), ())
    assert report.as_dict()["first"] == "2024-01-01T00:00Z"
    assert report.as_dict()["last"] == "2024-01-09T07:00Z"


def closes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return hours with the last millisecond of each, as the exchange writes it."""
    return frame.with_columns(close_time=pl.col("open_time").dt.epoch("ms") + 3_599_999)


BAD = {
    "duplicate": lambda f: pl.concat([f.head(11), f.slice(10)]),
    "unordered": lambda f: pl.concat([f.head(10), f.slice(11, 1), f.slice(10, 1), f.slice(12)]),
    "misaligned": lambda f: f.with_columns(pl.col("open_time") + timedelta(minutes=28)),
    "not_finite": lambda f: put(f, 10, volume=float("nan")),
    "null": lambda f: put(f, 10, volume=None),
    "high": lambda f: put(f, 10, high=f.item(10, "close") - 0.1, low=f.item(10, "close") - 1),
    "low": lambda f: put(f, 10, low=f.item(10, "close") + 0.01),
    "negative": lambda f: put(f, 10, taker_buy_base=-1.0),
    "price": lambda f: put(f, 10, low=0.0),
    "unit": lambda f: f.with_columns(pl.col("open_time").dt.offset_by("200y")),
}
BAD["close_time"] = lambda f: closes(f).with_columns(
    pl.when(pl.int_range(pl.len()) == 10).then(pl.col("close_time") + 1).otherwise("close_time")
)
SAYS = {
    "close_time": "1 candles do not close a millisecond before the next opens, the first at 2024-01-01T10:00Z",
    "duplicate": "2 candles share their open_time with another candle, the first at 2024-01-01T10:00Z",
    "unordered": "1 candles open before the candle stored ahead of them, the first at 2024-01-01T10:00Z",
    "misaligned": "100 candles do not open on a whole 1h, the first at 2024-01-01T00:28Z",
    "not_finite": "1 candles hold NaN or infinity, the first at 2024-01-01T10:00Z",
    "null": "1 candles have an empty field, the first at 2024-01-01T10:00Z",
    "high": "have a high below their open, close or low",
    "low": "have a low above their open or close",
    "negative": "1 candles have a negative volume or count",
    "price": "1 candles have a price of 0 or less",
    "unit": "seconds or microseconds were taken for milliseconds",
}


@pytest.mark.parametrize("kind", BAD)
def test_each_error_is_found_alone_and_says_where(kind: str) -> None:
    report = check(BAD[kind](candle_frame(100)), "1h")
    assert kinds(report.errors) == [kind]
    assert SAYS[kind] in report.errors[0].message
    with pytest.raises(DataError, match="BTCUSDT 1h"):
        report.refuse("BTCUSDT 1h")


@pytest.mark.parametrize("kind", [*BAD, "zero_volume", "jump", "flat", "outlier", "volume_outlier"])
def test_a_long_series_in_files_is_judged_as_a_short_one_in_memory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long one is read lazily and in blocks; the edges of the blocks may not be seen."""
    still = candle_frame(200).with_columns(pl.lit(100.0).alias(name) for name in PRICES)
    spoil = {**BAD, **WARN, "flat": lambda f: pl.concat([f.head(90), still[90:120], f.slice(120)])}
    frame = spoil[kind](candle_frame(200))
    due = check(frame, "1h", now_ms=to_ms("2024-01-09T08:30"))
    assert kind in kinds((*due.errors, *due.warnings))
    frame.head(77).write_parquet(tmp_path / "1.parquet")
    frame.slice(77).write_parquet(tmp_path / "2.parquet")
    lazy = pl.scan_parquet([tmp_path / "1.parquet", tmp_path / "2.parquet"])
    for rows in (1, 10, 11, 50, 110):
        monkeypatch.setattr("workbench.data.quality._BLOCK", rows)
        assert check(lazy, "1h", now_ms=to_ms("2024-01-09T08:30")) == due


def test_infinity_is_an_error() -> None:
    report = check(put(candle_frame(100), 10, high=float("inf")), "1h")
    assert kinds(report.errors) == ["not_finite"]


def test_a_candle_that_is_still_open_is_an_error() -> None:
    frame = candle_frame(10)
    report = check(frame, "1h", now_ms=to_ms("2024-01-01T09:30"))
    assert kinds(report.errors) == ["unclosed"]
    assert "2024-01-01T09:00Z" in report.errors[0].message
    assert check(frame, "1h", now_ms=to_ms("2024-01-01T10:00")).errors == ()


@pytest.mark.parametrize(("interval", "start"), [("1w", "2024-01-01"), ("1M", "2024-01-01")])
def test_weeks_open_on_monday_and_months_on_the_first(interval: str, start: str) -> None:
    good = candle_frame(6, interval, start_ms=to_ms(start))
    assert check(good, interval).errors == ()
    late = good.with_columns(pl.col("open_time") + timedelta(days=1))
    assert kinds(check(late, interval).errors) == ["misaligned"]


WARN = {
    "zero_volume": lambda f: put(
        f, 10, volume=0.0, quote_volume=0.0, trades=0, taker_buy_base=0.0, taker_buy_quote=0.0
    ),
    "zero_trades": lambda f: put(f, 10, trades=0),
    "jump": lambda f: put(f, 10, close=160.0, high=161.0),
    "wick": lambda f: put(f, 10, high=f.item(10, "close") * 1.4),
    "volume_outlier": lambda f: put(f, 10, volume=1e9, quote_volume=1e9 * f.item(10, "close")),
    "quote_volume": lambda f: put(f, 10, quote_volume=f.item(10, "volume") * 50),
    "outlier": lambda f: put(
        f, 10, close=150.0, high=151.0, quote_volume=f.item(10, "volume") * 120.0
    ).pipe(put, 11, high=151.0),
}


@pytest.mark.parametrize("kind", WARN)
def test_each_warning_is_declared_and_stops_nothing(kind: str) -> None:
    report = check(
        WARN[kind](candle_frame(200)), "1h", limits=Limits(wick=0.3 if kind == "wick" else 9)
    )
    assert report.errors == ()
    assert kind in kinds(report.warnings)
    assert "2024-01-01T10:00Z" in next(w.message for w in report.warnings if w.kind == kind)


def test_a_price_that_does_not_move_for_twenty_candles_is_declared() -> None:
    frame = candle_frame(100)
    for row in range(40, 60):
        frame = put(frame, row, **dict.fromkeys(PRICES, 100.0))
    warning = next(w for w in check(frame, "1h").warnings if w.kind == "flat")
    assert (warning.count, warning.at[0]) == (20, "2024-01-02T16:00Z")
    shorter = put(frame, 50, high=100.5)
    assert "flat" not in kinds(check(shorter, "1h").warnings)


def test_a_stale_series_is_declared_with_its_age() -> None:
    report = check(candle_frame(10), "1h", now_ms=to_ms("2024-01-02T10:30"))
    warning = next(w for w in report.warnings if w.kind == "stale")
    assert warning.count == 24


@pytest.mark.parametrize("interval", ["1m", "1h", "1w", "1M"])
def test_gaps_have_exact_bounds(interval: str) -> None:
    frame = candle_frame(12, interval)
    holed = pl.concat([frame.head(3), frame.slice(5, 4), frame.slice(10)])
    times = frame["open_time"].to_physical()
    gaps = check(holed, interval).gaps
    assert [(g.first_missing_ms, g.last_missing_ms, g.bars) for g in gaps] == [
        (times[3], times[4], 2),
        (times[9], times[9], 1),
    ]


def test_the_gaps_of_recorded_bitcoin_hours_are_found_exactly(shared_data: Path) -> None:
    found = health("BTCUSDT", "1h", places=Places(shared_data, None, None))
    gaps = found.report.gaps
    assert (len(gaps), found.report.missing, found.report.errors) == (20, 59, ())
    assert found.report.rows == 65_653
    since = datetime(2021, 10, 1, tzinfo=UTC).timestamp() * 1000
    late = [gap for gap in gaps if gap.first_missing_ms >= since]
    at = to_ms("2023-03-24T13:00Z")
    assert [(g.first_missing_ms, g.last_missing_ms, g.bars) for g in late] == [(at, at, 1)]
    assert late[0].cause.startswith("exchange outage: missing in ADAUSDT BNBUSDT ETHUSDT")
    maintenance = next(g for g in gaps if g.first_missing_ms == to_ms("2019-05-15T03:00Z"))
    assert maintenance.last_missing_ms == to_ms("2019-05-15T12:00Z")


def test_the_gaps_of_recorded_hours_are_those_that_plain_counting_finds(shared_data: Path) -> None:
    """Another way: every hour from first to last that is not in the set of hours is missing."""
    hours = pl.read_parquet(shared_data / "klines_1h.parquet").filter(symbol="BTCUSDT")
    there = {int(at.timestamp()) // 3_600 for at in hours["open_time"]}
    missing = [hour for hour in range(min(there), max(there)) if hour not in there]
    runs: list[list[int]] = []
    for hour in missing:
        if runs and runs[-1][1] == hour - 1:
            runs[-1][1] = hour
        else:
            runs.append([hour, hour])
    found = health("BTCUSDT", "1h", places=Places(shared_data, None, None)).report.gaps
    bounds = [[g.first_missing_ms // 3_600_000, g.last_missing_ms // 3_600_000] for g in found]
    assert bounds == runs
    assert [gap.bars for gap in found] == [last - first + 1 for first, last in runs]
    assert (len(runs), len(missing)) == (20, 59)


def test_files_with_their_closing_times_are_held_to_them(tmp_path: Path) -> None:
    good = closes(candle_frame(30))
    for kept, kind in ((good, []), (good.with_columns(pl.col("close_time") + 1), ["close_time"])):
        kept.write_parquet(tmp_path / "klines_1h.parquet")
        report = health("BTCUSDT", "1h", places=Places(tmp_path, None, None)).report
        assert kinds(report.errors) == kind
    source = Folder(tmp_path)
    with pytest.raises(
        DataError, match=r"klines_1h.parquet: BTCUSDT 1h: 30 candles do not close a"
    ):
        list(source.fetch("BTCUSDT", TIMEFRAMES["1h"], 0, to_ms("2025-01-01")))
    good.write_parquet(tmp_path / "klines_1h.parquet")
    (page,) = source.fetch("BTCUSDT", TIMEFRAMES["1h"], 0, to_ms("2025-01-01"))
    assert page.equals(candle_frame(30))


@pytest.mark.parametrize("interval", ["1d", "4h"])
def test_recorded_coarse_candles_are_whole_and_correct(shared_data: Path, interval: str) -> None:
    for symbol in ("ADAUSDT", "BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"):
        report = health(symbol, interval, places=Places(shared_data, None, None)).report
        assert (report.errors, report.gaps) == ((), ())


def test_a_gap_in_one_series_alone_is_told_from_an_outage(tmp_path: Path) -> None:
    ether = candle_frame(10, symbol="ETHUSDT")
    bitcoin = candle_frame(10)
    pl.concat([bitcoin.head(4), bitcoin.slice(6), ether]).write_parquet(
        tmp_path / "klines_1h.parquet"
    )
    alone = health("BTCUSDT", "1h", places=Places(tmp_path, None, None)).report.gaps
    assert [gap.cause for gap in alone] == ["missing here only; ETHUSDT has candles there"]
