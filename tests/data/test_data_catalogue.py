"""Which data is used: the rule, in its order, and said aloud every time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.unprivileged import run_workbench
from workbench.data import Places, available, load, load_frame, source_of
from workbench.data import places as places_module
from workbench.data.files import parts_in
from workbench.data.store import Store
from workbench.data.times import to_ms
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import parse_timeframe

HOUR_MS = 3_600_000


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Three places with ten, twenty and thirty hours of BTCUSDT, told apart by their length."""
    named, shared, datasets = tmp_path / "named", tmp_path / "shared", tmp_path / "datasets"
    for folder, count in ((named, 10), (shared, 30)):
        folder.mkdir()
        candle_frame(count).write_parquet(folder / "klines_1h.parquet")
    series = Store(datasets).series("binance", "BTCUSDT", parse_timeframe("1h"))
    series.add(candle_frame(20), collected_ms=0)
    return Places(named, datasets, shared)


def without(places: Places, *names: str) -> Places:
    kept = {
        name: None if name in names else getattr(places, name)
        for name in ("workbench_data", "datasets", "shared")
    }
    return Places(**kept)


def test_the_named_folder_comes_first(places: Places) -> None:
    candles = load("BTCUSDT", "1h", places=places)
    assert (len(candles), candles.source) == (10, "recorded Binance candles, WORKBENCH_DATA")
    assert not candles.synthetic


def test_the_projects_own_candles_come_next_where_they_cover_the_request(places: Places) -> None:
    places = without(places, "workbench_data")
    inside = load("BTCUSDT", "1h", start="2024-01-01", end="2024-01-01T20:00", places=places)
    assert (len(inside), inside.source) == (20, "recorded Binance candles, datasets")
    beyond = load("BTCUSDT", "1h", start="2024-01-01", end="2024-01-01T21:00", places=places)
    assert (len(beyond), beyond.source) == (21, "recorded Binance candles, shared/data")


def test_the_shared_folder_comes_before_the_synthetic_market(places: Places) -> None:
    places = without(places, "workbench_data", "datasets")
    assert source_of("BTCUSDT", "1h", places=places) == "recorded Binance candles, shared/data"
    nobody = without(places, "workbench_data", "datasets", "shared")
    made_up = load("BTCUSDT", "1h", start="2024-01-01", end="2024-01-03", places=nobody)
    assert made_up.source.startswith("SYNTHETIC")
    assert made_up.synthetic
    assert (len(made_up), made_up.first) == (48, 5_000)


def test_a_window_that_the_recording_does_not_fill_is_said_aloud(places: Places) -> None:
    candles = load("BTCUSDT", "1h", start="2023-01-01", end="2025-01-01", places=places)
    assert len(candles) == 10
    assert candles.source == (
        "recorded Binance candles, WORKBENCH_DATA, recorded only from 2024-01-01T00:00Z, "
        "recorded only until 2024-01-01T10:00Z"
    )


def test_what_lies_before_the_start_is_warm_up(places: Places) -> None:
    candles = load("BTCUSDT", "1h", start="2024-01-01T04:00", end="2024-01-01T08:00", places=places)
    assert (len(candles.records), candles.first, len(candles)) == (8, 4, 4)
    assert candles.window["open_time"].tolist() == [
        JANUARY_2024_MS + hour * HOUR_MS for hour in range(4, 8)
    ]


def test_an_interval_that_nobody_recorded_is_built_from_a_finer_one(places: Places) -> None:
    places = without(places, "workbench_data", "datasets")
    candles = load("BTCUSDT", "4h", places=places)
    assert candles.source == "recorded Binance candles, shared/data, resampled from 1h"
    assert len(candles) == 7  # thirty hours hold seven whole ones
    assert candles.records["high"][0] == candle_frame(30)["high"][:4].max()


def test_a_coarse_candle_whose_beginning_was_not_recorded_is_left_out(tmp_path: Path) -> None:
    candle_frame(30).slice(1).write_parquet(tmp_path / "klines_1h.parquet")
    candles = load("BTCUSDT", "4h", places=Places(tmp_path, None, None))
    assert candles.records["open_time"][0] == JANUARY_2024_MS + 4 * HOUR_MS


def test_candles_of_other_venues_are_used_only_when_asked_for(tmp_path: Path) -> None:
    hour = parse_timeframe("1h")
    Store(tmp_path).series("local", "BTCUSDT", hour).add(candle_frame(5), collected_ms=0)
    Store(tmp_path).series("synthetic", "BTCUSDT", hour).add(candle_frame(6), collected_ms=0)
    places = Places(None, tmp_path, None)
    assert source_of("BTCUSDT", "1h", places=places).startswith("SYNTHETIC market, seed")
    assert source_of("BTCUSDT", "1h", venue="local", places=places) == (
        "recorded candles of venue local, datasets"
    )
    assert load("BTCUSDT", "1h", venue="synthetic", places=places).synthetic


def test_gaps_are_counted_and_never_filled(tmp_path: Path) -> None:
    frame = candle_frame(10)
    pl.concat([frame.head(3), frame.slice(5)]).write_parquet(tmp_path / "klines_1h.parquet")
    records = load("BTCUSDT", "1h", places=Places(tmp_path, None, None)).records
    assert records["missing_before"].tolist() == [0, 0, 0, 2, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "start",
    [
        "2024-01-01T04:00Z",
        "2024-01-01T06:00+02:00",
        "2024-01-01 04:00",
        datetime(2024, 1, 1, 4, tzinfo=UTC),
        datetime(2024, 1, 1, 4),
        JANUARY_2024_MS + 4 * HOUR_MS,
        np.int64(JANUARY_2024_MS + 4 * HOUR_MS),
        str(JANUARY_2024_MS + 4 * HOUR_MS),
    ],
)
def test_times_are_taken_in_every_usual_spelling(places: Places, start: str) -> None:
    frame = load_frame("BTCUSDT", "1h", start, places=places)
    assert frame["open_time"].to_physical()[0] == JANUARY_2024_MS + 4 * HOUR_MS
    assert "quote_volume" in frame.columns


def test_a_date_is_its_midnight_in_utc() -> None:
    assert to_ms(date(2024, 1, 1)) == JANUARY_2024_MS == to_ms("2024-01-01")


@pytest.mark.parametrize(
    ("symbol", "interval", "window", "error", "message"),
    [
        ("FOOUSDT", "1h", {}, UsageError, "unknown symbol 'FOOUSDT': nobody recorded it"),
        ("btcusdt", "1h", {}, UsageError, "unknown symbol 'btcusdt'; write it BTCUSDT"),
        ("../BTC", "1h", {}, UsageError, "is not a symbol"),
        ("BTCUSDT", "7h", {}, UsageError, "unknown interval '7h'; use one of 1s 1m"),
        ("BTCUSDT", "1h", {"start": "soon"}, UsageError, "start='soon' is not a time"),
        ("BTCUSDT", "1h", {"start": 1_700_000_000}, UsageError, "looks like seconds"),
        ("BTCUSDT", "1h", {"start": 1_700_000_000_000_000}, UsageError, "looks like microseconds"),
        (
            "BTCUSDT",
            "1h",
            {"start": "2024-01-02", "end": "2024-01-01"},
            UsageError,
            "start 2024-01-02T00:00Z is not before end 2024-01-01T00:00Z",
        ),
        ("BTCUSDT", "1h", {"start": "2030-01-01"}, DataError, "reach from 2024-01-01T00:00Z to"),
        ("BTCUSDT", "1h", {"end": "2020-01-01"}, DataError, "asked for candles before 2020-01-01"),
    ],
)
def test_a_request_that_cannot_be_met_says_why_and_what_to_do(
    places: Places, symbol: str, interval: str, window: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        load(symbol, interval, places=places, **window)


def test_a_window_inside_a_gap_holds_nothing(tmp_path: Path) -> None:
    frame = candle_frame(10)
    pl.concat([frame.head(3), frame.slice(6)]).write_parquet(tmp_path / "klines_1h.parquet")
    with pytest.raises(DataError, match="no candle opens in"):
        load_frame(
            "BTCUSDT",
            "1h",
            "2024-01-01T03:00",
            "2024-01-01T05:00",
            places=Places(tmp_path, None, None),
        )


def test_bad_candles_are_not_loaded(tmp_path: Path) -> None:
    bad = candle_frame(10).with_columns(pl.lit(1.0).alias("high"))
    bad.write_parquet(tmp_path / "klines_1h.parquet")
    with pytest.raises(DataError, match="high must not lie below"):
        load("BTCUSDT", "1h", places=Places(tmp_path, None, None))


def test_a_folder_that_is_missing_or_empty_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        load("BTCUSDT", "1h", places=Places(tmp_path / "nowhere", None, None))
    with pytest.raises(UsageError, match="holds no candle files"):
        load("BTCUSDT", "1h", places=Places(tmp_path, None, None))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "klines_1h.parquet"
    candle_frame(50).write_parquet(whole)
    (tmp_path / "broken_1h.parquet").write_bytes(whole.read_bytes()[:-40])
    whole.unlink()
    with pytest.raises(DataError, match=r"broken_1h.parquet cannot be read"):
        load("BTCUSDT", "1h", places=Places(tmp_path, None, None))


def test_two_files_with_the_same_stretch_of_time_are_refused(tmp_path: Path) -> None:
    candle_frame(10).write_parquet(tmp_path / "a_1h.parquet")
    candle_frame(10).write_parquet(tmp_path / "b_1h.parquet")
    with pytest.raises(
        DataError, match=r"a_1h.parquet and b_1h.parquet both hold 2024-01-01T00:00Z"
    ):
        load("BTCUSDT", "1h", places=Places(tmp_path, None, None))


def test_several_files_of_a_series_are_joined_in_time(tmp_path: Path) -> None:
    frame = candle_frame(10)
    frame.slice(4).write_parquet(tmp_path / "a.parquet")
    frame.head(4).select(
        "symbol", "open_time", "open", "high", "low", "close", "volume"
    ).write_parquet(tmp_path / "b.parquet")
    candles = load("BTCUSDT", "1h", places=Places(tmp_path, None, None))
    assert candles.records["close"].tolist() == frame["close"].to_list()


def test_files_with_times_in_other_types_are_read_and_microseconds_in_integers_refused(
    tmp_path: Path,
) -> None:
    frame = candle_frame(10)
    time = pl.col("open_time")
    for at, spelled in enumerate(
        [
            time.cast(pl.Datetime("us", "UTC")),
            time.dt.replace_time_zone(None).cast(pl.Datetime("ns")),
            time.dt.epoch("ms"),
        ]
    ):
        folder = tmp_path / str(at)
        folder.mkdir()
        frame.with_columns(spelled).write_parquet(folder / "x_1h.parquet")
        loaded = load_frame("BTCUSDT", "1h", places=Places(folder, None, None))
        assert loaded["open_time"].equals(frame["open_time"])
    micro = tmp_path / "micro"
    micro.mkdir()
    frame.with_columns(time.dt.epoch("us")).write_parquet(micro / "x_1h.parquet")
    with pytest.raises(DataError, match="written in microseconds"):
        load("BTCUSDT", "1h", places=Places(micro, None, None))


def test_the_interval_is_read_from_the_candles_and_not_from_a_wrong_name(tmp_path: Path) -> None:
    candle_frame(10, "4h").write_parquet(tmp_path / "klines_1h.parquet")
    candle_frame(1, "1w").write_parquet(tmp_path / "single_1w.parquet")
    candle_frame(5, "1M").write_parquet(tmp_path / "months.parquet")
    both = pl.concat(
        [candle_frame(5, one).with_columns(interval=pl.lit(one)) for one in ("15m", "30m")]
    )
    both.write_parquet(tmp_path / "two.parquet")
    found = {part.timeframe.name: part.rows for part in parts_in(tmp_path)}
    assert found == {"4h": 10, "1w": 1, "1M": 5, "15m": 5, "30m": 5}
    assert len(load("BTCUSDT", "30m", places=Places(tmp_path, None, None))) == 5


def test_other_tables_in_the_folder_are_left_alone(places: Places) -> None:
    assert places.workbench_data is not None
    pl.DataFrame({"sharpe": [1.0]}).write_parquet(places.workbench_data / "results.parquet")
    assert len(load("BTCUSDT", "1h", places=places)) == 10


def test_the_list_names_every_series_with_its_place(places: Places) -> None:
    rows = available(places=places).select("symbol", "interval", "rows", "source").rows()
    assert rows == [
        ("BTCUSDT", "1h", 10, "recorded Binance candles, WORKBENCH_DATA"),
        ("BTCUSDT", "1h", 20, "recorded Binance candles, datasets"),
        ("BTCUSDT", "1h", 30, "recorded Binance candles, shared/data"),
    ]
    assert available(places=Places(None, None, None)).columns == [
        "symbol",
        "interval",
        "first",
        "last",
        "rows",
        "source",
    ]


def test_the_places_come_from_the_environment_and_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert Places.here().workbench_data == tmp_path
    monkeypatch.delenv("WORKBENCH_DATA")
    assert Places.here().workbench_data is None
    root = places_module.checkout_root()
    assert root is not None
    assert Places.here().datasets == root / "datasets"


def test_an_installed_wheel_looks_for_no_shared_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    site = tmp_path / "checkout" / ".venv" / "site-packages"
    (site / "workbench" / "data").mkdir(parents=True)
    (tmp_path / "checkout" / "pyproject.toml").write_text("")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    monkeypatch.setattr(places_module, "__file__", str(site / "workbench/data/places.py"))
    monkeypatch.chdir(tmp_path)
    places_module.checkout_root.cache_clear()
    try:
        assert Places.here() == Places(None, tmp_path / "datasets", None)
    finally:
        monkeypatch.undo()
        places_module.checkout_root.cache_clear()


def test_a_folder_without_permission_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    named = {"WORKBENCH_DATA": str(tmp_path / "locked")}
    done = run_workbench("data", "list", cwd=tmp_path, unprivileged=True, env=named)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: locked: Permission denied; give the folder read permission\n"


def test_recorded_hours_load_with_their_gaps(shared_data: Path) -> None:
    candles = load(
        "BTCUSDT",
        "1h",
        start="2024-10-01",
        end="2025-01-01",
        places=Places(shared_data, None, None),
    )
    assert len(candles) == 92 * 24
    assert candles.records["missing_before"].sum() == 59
    assert int(candles.records["open_time"][0]) == to_ms("2019-01-01")
