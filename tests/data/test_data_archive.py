"""The bulk archives: the real file, every way to spoil it, and which files are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import shared_path
from tests.data.archive_server import ArchiveServer, day_file, rows_of, zipped
from tests.data.conftest import candle_frame
from workbench.data.collect import Collected, collect
from workbench.data.quality import check
from workbench.data.sources.archive_file import candles_in, month_file
from workbench.data.sources.binance_archive import BinanceArchive
from workbench.data.sources.patience import Patience
from workbench.data.store import Store
from workbench.data.times import to_ms
from workbench.errors import DataError, ExchangeError, UsageError
from workbench.market.timeframes import DAY_MS, TIMEFRAMES, parse_timeframe

NEW_YEAR_MS = 1_735_689_600_000  # 2025-01-01
REAL_DAY = day_file("BTCUSDT", "1m", NEW_YEAR_MS + DAY_MS)


@pytest.fixture
def archives() -> Iterator[ArchiveServer]:
    with ArchiveServer() as server:
        yield server


def source(server: ArchiveServer, now: str = "2025-01-04") -> BinanceArchive:
    patience = Patience(attempts=3, sleep=lambda _: None)
    return BinanceArchive(server.url, patience, clock_ms=lambda: to_ms(now))


def fetched(server: ArchiveServer, interval: str, start: str, end: str, **kw: str) -> pl.DataFrame:
    archive = source(server, **kw)
    pages = list(archive.fetch("BTCUSDT", parse_timeframe(interval), to_ms(start), to_ms(end)))
    archive.close()
    return pl.concat(pages) if pages else candle_frame(1).clear()


def collected(server: ArchiveServer, folder: Path) -> Collected:
    (done,) = collect(
        source(server),
        Store(folder),
        symbols=["BTCUSDT"],
        intervals=["1m"],
        since_ms=REAL_DAY.start_ms,
        until_ms=REAL_DAY.end_ms,
        clock_ms=lambda: 0,
        progress=False,
    )
    return done


def test_the_real_day_is_read_candle_for_candle(archives: ArchiveServer) -> None:
    folder = shared_path("fixtures/archives/klines/BTCUSDT/1m")
    told = json.loads((folder / f"{REAL_DAY.name}.zip.provenance.json").read_text())
    archives.put(
        REAL_DAY, (folder / f"{REAL_DAY.name}.zip").read_bytes(), checksum=told["archive_sha256"]
    )
    frame = fetched(archives, "1m", "2025-01-02", "2025-01-03")
    assert len(frame) == told["member_line_count"] == 1_440
    lines = (folder / f"{REAL_DAY.name}.head32.csv").read_text().splitlines()
    for line, row in zip(lines, frame.iter_rows(named=True), strict=False):
        raw = line.split(",")
        assert int(row["open_time"].timestamp() * 1_000_000) == int(raw[0])
        assert [row[n] for n in ("open", "high", "low", "close", "volume")] == [
            float(text) for text in raw[1:6]
        ]
        assert (row["quote_volume"], row["trades"]) == (float(raw[7]), int(raw[8]))
        assert (row["taker_buy_base"], row["taker_buy_quote"]) == (float(raw[9]), float(raw[10]))


def test_the_real_day_equals_the_recorded_minutes(archives: ArchiveServer) -> None:
    shared = shared_path("data/klines_1m_BTCUSDT_2025-01.parquet")
    zip_path = shared_path(f"fixtures/archives/klines/BTCUSDT/1m/{REAL_DAY.name}.zip")
    archives.put(REAL_DAY, zip_path.read_bytes())
    frame = fetched(archives, "1m", "2025-01-02", "2025-01-03")
    time = pl.col("open_time").dt.epoch("ms")
    recorded = pl.read_parquet(shared).filter(
        time.is_between(REAL_DAY.start_ms, REAL_DAY.end_ms - 1)
    )
    names = ["open_time", "open", "high", "low", "close", "volume"]
    assert frame.select(names).equals(recorded.select(names))


def test_the_last_day_of_milliseconds_is_read_in_milliseconds(archives: ArchiveServer) -> None:
    head = shared_path("fixtures/archives/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12-31.head32.csv")
    file = day_file("BTCUSDT", "1m", NEW_YEAR_MS - DAY_MS)
    archives.put(file, zipped(file, head.read_text().splitlines()))
    frame = fetched(archives, "1m", "2024-12-31", "2025-01-01", now="2025-01-01")
    assert frame["open_time"].to_physical().to_list() == [
        file.start_ms + 60_000 * row for row in range(32)
    ]


# What each spoilt file of the fixtures is refused with, by its corruption's name.
REFUSED = {
    "spot_klines_header_prepended": r"begins with a header \('open_time'\); spot archives have none",
    "spot_klines_first_epoch_zeroed": r"the first candle opens at 0, which in microseconds is no time of "
    "2025-01-02",
    "spot_klines_rows_out_of_order": "1 candles open before the candle stored ahead of them, the first at "
    "2025-01-02T00:00Z",
    "spot_klines_high_below_close": "1 candles have a high below their open, close or low, the first at "
    "2025-01-02T12:00Z",
    "spot_klines_negative_volume": "1 candles have a negative volume or count, the first at 2025-01-02T08:00Z",
    "futures_klines_header_stripped": "counts in milliseconds, but spot archives of 2025 count in microseconds",
}
FLAGGED = {"spot_klines_gapped_bar_block", "spot_klines_08_log_return"}


def spoilt(name: str) -> tuple[bytes, dict[str, str]]:
    path = shared_path(f"fixtures/archives/corrupt/{name}.zip")
    return path.read_bytes(), json.loads(Path(f"{path}.corruption.json").read_text())


def test_every_spoilt_klines_file_of_the_fixtures_has_its_case() -> None:
    folder = shared_path("fixtures/archives/corrupt")
    there = {path.stem for path in folder.glob("*klines*.zip")}
    assert there == {*REFUSED, *FLAGGED, "spot_klines_truncated_archive"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_spoilt_file_is_refused_with_its_own_message(
    archives: ArchiveServer, tmp_path: Path, name: str
) -> None:
    archives.put(REAL_DAY, spoilt(name)[0])
    with pytest.raises(DataError, match=rf"^BTCUSDT-1m-2025-01-02\.zip:? {REFUSED[name]}"):
        collected(archives, tmp_path / "store")
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("name", [*REFUSED, *sorted(FLAGGED), "spot_klines_truncated_archive"])
def test_no_spoilt_file_passes_the_checksum_of_the_whole_one(
    archives: ArchiveServer, tmp_path: Path, name: str
) -> None:
    content, told = spoilt(name)
    archives.put(REAL_DAY, content, checksum=told["pristine_archive_sha256"])
    found, due = told["corrupt_archive_sha256"][:12], told["pristine_archive_sha256"][:12]
    with pytest.raises(DataError, match=f"2025-01-02.zip: checksum {found}… is not the {due}…"):
        collected(archives, tmp_path / "store")
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_truncated_file_with_a_checksum_of_its_own_is_no_zip(archives: ArchiveServer) -> None:
    archives.put(REAL_DAY, spoilt("spot_klines_truncated_archive")[0])
    with pytest.raises(DataError, match=r"2025-01-02.zip is not a whole zip \(File is not a zip"):
        fetched(archives, "1m", "2025-01-02", "2025-01-03")


def test_a_gapped_file_is_kept_and_its_gap_reported(
    archives: ArchiveServer, tmp_path: Path
) -> None:
    archives.put(REAL_DAY, spoilt("spot_klines_gapped_bar_block")[0])
    done = collected(archives, tmp_path)
    assert (done.new, done.gaps, done.missing) == (1_430, 1, 10)
    manifest = Store(tmp_path).series("local", "BTCUSDT", TIMEFRAMES["1m"]).manifest() or {}
    (gap,) = manifest["gaps"]  # type: ignore[misc]
    assert (gap["first_missing"], gap["last_missing"]) == ("2025-01-02T12:00Z", "2025-01-02T12:09Z")
    assert gap["cause"] == "absent at archives of 127.0.0.1"


def test_a_leap_of_the_price_is_kept_and_flagged(archives: ArchiveServer, tmp_path: Path) -> None:
    archives.put(REAL_DAY, spoilt("spot_klines_08_log_return")[0])
    done = collected(archives, tmp_path)
    assert (done.new, done.warnings["jump"]) == (1_440, 1)
    frame = Store(tmp_path).series("local", "BTCUSDT", TIMEFRAMES["1m"]).scan().collect()
    warning = next(one for one in check(frame, "1m").warnings if one.kind == "jump")
    assert warning.at == ("2025-01-02T23:59Z",)


def test_a_file_of_trades_is_refused_by_its_columns(archives: ArchiveServer) -> None:
    rows = ["4361451942,94591.78000000,0.00015000,14.18876700,1735776000113701,True,True"]
    archives.put(REAL_DAY, zipped(REAL_DAY, rows))
    with pytest.raises(DataError, match="has 7 columns, candles have 12; is it of trades"):
        fetched(archives, "1m", "2025-01-02", "2025-01-03")


DAY = candle_frame(1_440, "1m", start_ms=REAL_DAY.start_ms)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: [*rows[:720], *(_in_ms(row) for row in rows[720:])],
            "closes at 1735819259999",
        ),
        (lambda rows: [rows[0].replace("0000,", "0001,", 1), *rows[1:]], "not at 1735776059999999"),
        (lambda rows: [rows[0].replace("100.0", "1e2", 1), *rows[1:]], "open is '1e20000000'"),
        (lambda rows: [rows[0].replace("100.0", '"1"', 1), *rows[1:]], "not a plain number"),
        (lambda rows: [*rows, rows[-1]], "2 candles share their open_time"),
        (
            lambda rows: [*rows[:5], ",".join(rows[5].split(",")[:11]), *rows[6:]],
            "ignore is None, not a plain number",
        ),
        (lambda rows: [], "holds no candle at all"),
        (lambda rows: [*rows, _moved(rows[0], 1_440)], "outside its period"),
    ],
)
def test_what_cannot_be_a_spot_archive_is_refused(
    archives: ArchiveServer, change: object, message: str
) -> None:
    assert callable(change)
    archives.put(REAL_DAY, zipped(REAL_DAY, change(rows_of(DAY, "1m"))))
    with pytest.raises(DataError, match=message):
        fetched(archives, "1m", "2025-01-02", "2025-01-03")


def _in_ms(row: str) -> str:
    values = row.split(",")
    return ",".join([values[0][:13], *values[1:6], values[6][:13], *values[7:]])


def _moved(row: str, minutes: int) -> str:
    values = row.split(",")
    values[0], values[6] = (str(int(values[at]) + 60_000_000 * minutes) for at in (0, 6))
    return ",".join(values)


def test_a_zip_must_hold_the_csv_of_its_name_alone() -> None:
    content = zipped(REAL_DAY, rows_of(DAY, "1m"), member="../../etc/passwd.csv")
    told = f"{hashlib.sha256(content).hexdigest()}  {REAL_DAY.name}.zip"
    with pytest.raises(
        DataError, match=r"holds ../../etc/passwd.csv, not BTCUSDT-1m-2025-01-02.csv"
    ):
        candles_in(REAL_DAY, content, told)
    with pytest.raises(DataError, match="CHECKSUM says '<html>', not a sha256 and the name"):
        candles_in(REAL_DAY, content, "<html>")
    with pytest.raises(DataError, match="not a sha256 and the name"):
        candles_in(REAL_DAY, content, told.replace("-02.zip", "-03.zip"))


def test_a_zip_without_a_checksum_is_refused(archives: ArchiveServer) -> None:
    archives.publish(DAY, "1m", daily=True)
    del archives.files[f"{REAL_DAY.path}.CHECKSUM"]
    with pytest.raises(DataError, match=r"2025-01-02\.zip has no CHECKSUM beside it"):
        fetched(archives, "1m", "2025-01-02", "2025-01-03")


def test_months_come_first_and_days_where_a_month_is_not_made_yet(archives: ArchiveServer) -> None:
    frame = candle_frame(31 * 24 + 31 * 24 + 3 * 24, "1h", start_ms=to_ms("2024-11-30"))
    november = frame.filter(pl.col("open_time").dt.month() == 11)
    december = frame.filter(pl.col("open_time").dt.month() == 12)
    january = frame.filter(pl.col("open_time").dt.month() == 1)
    archives.publish(november, "1h")
    archives.publish(december, "1h", daily=True)  # its month file comes some days later
    archives.publish(january, "1h", daily=True)
    found = fetched(archives, "1h", "2024-11-01", "2026-01-01")
    whole = frame.filter(pl.col("open_time").dt.epoch("ms") < to_ms("2025-01-04"))
    assert found["open_time"].equals(whole["open_time"])
    assert found["close"].to_list() == [round(value, 8) for value in whole["close"]]
    assert archives.zips[0] == "BTCUSDT-1h-2024-11"
    assert archives.zips[1] == "BTCUSDT-1h-2024-12-01"
    assert archives.zips[-1] == "BTCUSDT-1h-2025-01-03"


def test_years_before_the_listing_cost_a_few_questions_a_month(archives: ArchiveServer) -> None:
    archives.publish(candle_frame(31 * 24, "1h", start_ms=to_ms("2018-03-01")), "1h")
    found = fetched(archives, "1h", "1970-01-01", "2018-04-01")
    assert len(found) == 31 * 24
    assert len(archives.requests) == 8 * 3 + 2  # July 2017 to February 2018, then zip and CHECKSUM


def test_a_calendar_month_has_only_month_files(archives: ArchiveServer) -> None:
    frame = candle_frame(3, "1M", start_ms=to_ms("2024-11-01"))
    archives.publish(frame, "1M")
    assert "/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2024-12.zip" in " ".join(archives.files)
    found = fetched(archives, "1M", "2024-11-01", "2026-01-01", now="2025-03-03")
    assert found["open_time"].equals(frame["open_time"])


def test_a_week_that_runs_over_the_end_of_its_month_is_left_to_other_sources(
    archives: ArchiveServer,
) -> None:
    frame = candle_frame(5, "1w", start_ms=to_ms("2024-12-02"))
    archives.publish(frame, "1w")
    found = fetched(archives, "1w", "2024-12-01", "2025-01-01", now="2025-01-10")
    assert [f"{at:%m-%d}" for at in found["open_time"]] == ["12-02", "12-09", "12-16", "12-23"]


def test_a_busy_archive_is_tried_again_and_a_forbidden_one_is_not(archives: ArchiveServer) -> None:
    archives.publish(DAY, "1m", daily=True)
    archives.statuses = [(503, {}), (429, {"Retry-After": "3"})]
    assert len(fetched(archives, "1m", "2025-01-02", "2025-01-03")) == 1_440
    archives.statuses, archives.requests = [(403, {})], []
    with pytest.raises(ExchangeError, match="HTTP 403"):
        fetched(archives, "1m", "2025-01-02", "2025-01-03")
    assert len(archives.requests) == 1


def test_an_archive_that_is_not_there_is_one_clear_error() -> None:
    archive = BinanceArchive("http://127.0.0.1:9", Patience(attempts=2, sleep=lambda _: None))
    with pytest.raises(ExchangeError, match=r"127.0.0.1:9.*no file after 2 attempts.*ConnectError"):
        list(archive.fetch("BTCUSDT", TIMEFRAMES["1m"], REAL_DAY.start_ms, REAL_DAY.end_ms))


def test_the_future_and_a_plain_http_host_are_refused() -> None:
    with pytest.raises(UsageError, match="lies in the future"):
        list(BinanceArchive(clock_ms=lambda: 0).fetch("BTCUSDT", TIMEFRAMES["1m"], 1, 2))
    with pytest.raises(UsageError, match="plain http is for loopback only"):
        BinanceArchive("http://example.com")
    with pytest.raises(UsageError, match="is not an address"):
        BinanceArchive("ftp://example.com")
    assert BinanceArchive().venue == "binance"


def test_the_name_of_a_month_file_is_that_of_the_archives() -> None:
    assert month_file("BTCUSDT", TIMEFRAMES["1s"], NEW_YEAR_MS + 9).path == (
        "/data/spot/monthly/klines/BTCUSDT/1s/BTCUSDT-1s-2025-01.zip"
    )
    assert REAL_DAY.path == "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-02.zip"
