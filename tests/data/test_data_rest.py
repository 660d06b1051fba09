"""The REST source against a server on loopback that pages, limits, bans and breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.klines_server import Fault, KlinesServer, half_json, html
from workbench.data.collect import Collected, collect
from workbench.data.sources.binance_rest import BinanceRest
from workbench.data.sources.patience import Patience
from workbench.data.sources.throttle import Throttle, seconds_to_next_minute
from workbench.data.store import Store
from workbench.errors import DataError, ExchangeError, UsageError
from workbench.market.timeframes import TIMEFRAMES, parse_timeframe

HOUR_MS = 3_600_000
COUNT = 2_500
END_MS = JANUARY_2024_MS + COUNT * HOUR_MS

Fetch = Callable[..., pl.DataFrame]


@pytest.fixture
def server() -> Iterator[KlinesServer]:
    """Hours of BTCUSDT on a server whose clock stands half an hour into a candle after them."""
    frame = candle_frame(COUNT)
    series = {("BTCUSDT", "1h"): frame}
    with KlinesServer(series, now_ms=END_MS + 400 * HOUR_MS) as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """The waits that the source asked for, which cost the test no time."""
    return []


def patient(waits: list[float], attempts: int = 6) -> Patience:
    """Return a patience whose clock stands still but for its own waits."""
    return Patience(
        attempts=attempts,
        sleep=waits.append,
        elapsed=lambda: sum(waits),
        chance=lambda: 0.5,
        timeout_s=5,
    )


@pytest.fixture
def fetch(server: KlinesServer, waits: list[float]) -> Fetch:
    """Fetch BTCUSDT hours from the server into one frame."""

    def run(
        start_ms: int = JANUARY_2024_MS, end_ms: int = END_MS, symbol: str = "BTCUSDT"
    ) -> pl.DataFrame:
        source = BinanceRest(server.url, patient(waits))
        pages = list(source.fetch(symbol, TIMEFRAMES["1h"], start_ms, end_ms))
        source.close()
        return pl.concat(pages) if pages else candle_frame(1).clear()

    return run


def rounded(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float64).round(8))


def test_pages_of_a_thousand_join_into_the_whole(server: KlinesServer, fetch: Fetch) -> None:
    frame = fetch(JANUARY_2024_MS, END_MS - HOUR_MS)
    assert rounded(frame).equals(rounded(candle_frame(COUNT).head(-1)))
    assert [request["limit"] for request in server.requests] == ["1000"] * 3
    starts = [int(request["startTime"]) for request in server.requests]
    # each page begins with the last candle of the one before, which proves it closed
    assert starts == [JANUARY_2024_MS + page * 999 * HOUR_MS for page in range(3)]


def test_the_newest_candle_of_a_replay_is_not_believed(fetch: Fetch) -> None:
    assert len(fetch()) == COUNT - 1
    assert fetch(JANUARY_2024_MS, JANUARY_2024_MS + 10 * HOUR_MS).height == 10


def test_a_candle_that_the_servers_clock_has_not_closed_is_dropped(
    server: KlinesServer, fetch: Fetch
) -> None:
    server.now_ms = JANUARY_2024_MS + 10 * HOUR_MS + 1
    assert fetch()["open_time"].to_physical()[-1] == JANUARY_2024_MS + 9 * HOUR_MS


def test_retry_after_is_obeyed_on_429_and_418(
    server: KlinesServer, fetch: Fetch, waits: list[float]
) -> None:
    server.faults.extend(
        [
            Fault(status=429, body="{}", headers={"Retry-After": "7"}),
            Fault(status=418, body="{}", headers={"Retry-After": "121"}),
        ]
    )
    assert len(fetch()) == COUNT - 1
    assert waits == [7.0, 121.0]


def test_a_long_ban_is_told_and_not_waited_for(
    server: KlinesServer, fetch: Fetch, waits: list[float]
) -> None:
    server.faults.append(Fault(status=418, body="{}", headers={"Retry-After": "7200"}))
    with pytest.raises(ExchangeError, match=r"bans this address for 7200 s \(HTTP 418\)"):
        fetch()
    assert waits == []
    assert len(server.requests) == 1


def test_an_unbroken_run_of_429_ends_after_six_attempts(server: KlinesServer, fetch: Fetch) -> None:
    server.faults.extend([Fault(status=429, body="{}", headers={"Retry-After": "1"})] * 9)
    with pytest.raises(ExchangeError, match="gave up after 6 attempts, the last: HTTP 429"):
        fetch()
    assert len(server.requests) == 6


def test_server_errors_are_tried_again_with_growing_waits(
    server: KlinesServer, fetch: Fetch, waits: list[float]
) -> None:
    server.faults.extend([Fault(status=502, body="<html>"), Fault(status=500), Fault(status=503)])
    assert len(fetch()) == COUNT - 1
    assert waits == [0.5, 1.0, 2.0]


def test_the_used_weight_slows_the_source_down(
    server: KlinesServer, fetch: Fetch, waits: list[float]
) -> None:
    server.weight = 4_800
    fetch(JANUARY_2024_MS, JANUARY_2024_MS + 1_500 * HOUR_MS)
    assert len(waits) == 1  # before the second page, until the server's next minute
    assert 1 <= waits[0] <= 61


def test_the_servers_minute_is_read_from_its_date() -> None:
    assert seconds_to_next_minute("Mon, 01 Jan 2024 00:00:42 GMT") == 19.0
    assert seconds_to_next_minute("") == 60.0


def test_told_to_wait_once_all_jobs_wait() -> None:
    now, slept = [100.0], []
    patience = Patience(sleep=slept.append, elapsed=lambda: now[0])
    throttle = Throttle(patience)
    throttle.wait()
    throttle.hold(30)  # one job was told
    throttle.hold(10)  # a shorter hold does not shorten the first
    throttle.wait()  # another job asks
    now[0] += 31
    throttle.wait()
    assert slept == [30.0]


def test_a_connection_cut_in_the_middle_is_tried_again(server: KlinesServer, fetch: Fetch) -> None:
    server.faults.append(Fault(body="[[1704067200000,", announce_bytes=5_000))
    assert len(fetch()) == COUNT - 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (html(), "answered HTML .* instead of candles; check --base-url"),
        (html(403), r"answered HTML \(.*HTTP 403\) instead of candles"),
        (half_json(), "answered broken JSON"),
        (Fault(body='{"hello": 1}'), "klines is dict, not a list of candles"),
        (Fault(body="[[1, 2]]"), "where a candle of 12 fields belongs"),
        (
            Fault(status=400, body='{"code":-1102,"msg":"Mandatory parameter"}'),
            "refused: HTTP 400, -1102",
        ),
    ],
)
def test_an_answer_that_is_not_candles_is_one_clear_error(
    server: KlinesServer, fetch: Fetch, fault: Fault, message: str
) -> None:
    server.faults.append(fault)
    with pytest.raises((DataError, ExchangeError), match=message):
        fetch()


def _set(at: int, column: int, value: object) -> Callable[[list], list]:
    def change(rows: list) -> list:
        rows[at][column] = value
        return rows

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows[:5], *rows[4:]], "twice or out of order at 2024-01-01T04:00Z"),
        (lambda rows: rows[::-1], "twice or out of order"),
        (
            _set(3, 6, JANUARY_2024_MS + 4 * HOUR_MS),
            "closes at .*, not one millisecond before the next",
        ),
        (_set(3, 1, "1.2e-7"), "open is '1.2e-7', not a plain decimal"),
        (_set(3, 4, 101.5), "close is 101.5, not a plain decimal"),
        (_set(3, 5, "-1.0"), "volume is '-1.0', not a plain decimal"),
        (_set(3, 8, "12"), "trades is '12', not a whole number"),
        (_set(3, 8, -1), "trades holds a number beyond 0"),
        (_set(0, 0, JANUARY_2024_MS * 1_000), r"open_time is 1704067200000000, .*\(microseconds\)"),
        (
            _set(3, 6, JANUARY_2024_MS * 1_000 + 1),
            r"close_time is 1704067200000001, .*microseconds",
        ),
        (_set(0, 0, -5), r"open_time is -5, .*no time at all"),
        (_set(0, 0, 1 << 70), "open_time is 1180591620717411303424"),
        (_set(0, 0, JANUARY_2024_MS // 1_000), "the server sent 1970-01-20"),
        (_set(0, 0, JANUARY_2024_MS - HOUR_MS), "asked for 2024-01-01T00:00Z"),
    ],
)
def test_candles_that_cannot_be_right_are_refused(
    server: KlinesServer, fetch: Fetch, change: Callable[[list], list], message: str
) -> None:
    server.rows_changed = change
    with pytest.raises(DataError, match=message):
        fetch(JANUARY_2024_MS, JANUARY_2024_MS + 10 * HOUR_MS)


def test_an_unknown_symbol_and_a_start_in_the_future_are_the_callers_fault(fetch: Fetch) -> None:
    with pytest.raises(UsageError, match="does not know the symbol 'NOPEUSDT'"):
        fetch(symbol="NOPEUSDT")
    with pytest.raises(UsageError, match="in the future of the server"):
        fetch(END_MS + 9_000 * HOUR_MS, END_MS + 9_001 * HOUR_MS)


def test_a_server_that_is_not_there_is_one_clear_error(waits: list[float]) -> None:
    source = BinanceRest("http://127.0.0.1:9", patient(waits, attempts=3))
    with pytest.raises(ExchangeError, match="gave up after 3 attempts, the last: ConnectError"):
        list(source.fetch("BTCUSDT", TIMEFRAMES["1h"], JANUARY_2024_MS, END_MS))
    assert waits == [0.5, 1.0]


def test_plain_http_leaves_the_machine_never() -> None:
    with pytest.raises(UsageError, match="plain http is for loopback only"):
        BinanceRest("http://example.org")


@pytest.mark.parametrize(
    ("url", "venue"),
    [
        ("https://api.binance.com", "binance"),
        ("https://api3.binance.com", "binance"),
        ("https://testnet.binance.vision", "testnet"),
        ("https://demo-api.binance.com", "demo"),
        ("http://127.0.0.1:8080", "local"),
        ("https://example.org", "example.org"),
    ],
)
def test_candles_are_filed_under_the_venue_that_was_asked(url: str, venue: str) -> None:
    assert BinanceRest(url).venue == venue


@pytest.mark.parametrize("interval", list(TIMEFRAMES))
def test_all_sixteen_intervals_are_fetched(interval: str, waits: list[float]) -> None:
    timeframe, end_ms = parse_timeframe(interval), JANUARY_2024_MS + 400 * 86_400_000
    frame = candle_frame(12, interval, start_ms=timeframe.next(JANUARY_2024_MS))
    with KlinesServer({("BTCUSDT", interval): frame}, now_ms=end_ms) as server:
        source = BinanceRest(server.url, patient(waits))
        got = pl.concat(list(source.fetch("BTCUSDT", timeframe, JANUARY_2024_MS, end_ms)))
        source.close()
    assert rounded(got).equals(rounded(frame.head(-1)))


def run_collect(server: KlinesServer, folder: Path, until_ms: int = END_MS) -> Collected:
    source = BinanceRest(server.url, Patience(sleep=lambda _: None))
    (done,) = collect(
        source,
        Store(folder),
        symbols=["BTCUSDT"],
        intervals=["1h"],
        since_ms=JANUARY_2024_MS,
        until_ms=until_ms,
        clock_ms=lambda: END_MS,
        progress=False,
    )
    source.close()
    return done


def test_a_second_collection_fetches_the_tail_and_the_holes_only(
    server: KlinesServer, tmp_path: Path
) -> None:
    whole = server.series["BTCUSDT", "1h"]
    server.series["BTCUSDT", "1h"] = pl.concat([whole.head(100), whole.slice(103, 897)])
    first = run_collect(server, tmp_path, JANUARY_2024_MS + 999 * HOUR_MS)
    assert (first.new, first.gaps, first.missing) == (996, 1, 3)
    server.series["BTCUSDT", "1h"] = whole
    server.requests.clear()
    second = run_collect(server, tmp_path, JANUARY_2024_MS + 1_500 * HOUR_MS)
    assert (second.new, second.known, second.gaps, second.rows) == (504, 0, 0, 1_500)
    asked = [int(request["startTime"]) for request in server.requests]
    assert asked == [JANUARY_2024_MS + 100 * HOUR_MS, JANUARY_2024_MS + 999 * HOUR_MS]


def test_a_collection_that_breaks_off_keeps_what_it_has_and_goes_on_from_there(
    server: KlinesServer, tmp_path: Path
) -> None:
    pages = iter(range(10))

    def break_third(rows: list) -> list:
        return rows if next(pages) < 2 else [["nonsense"]]

    server.rows_changed = break_third
    with pytest.raises(DataError, match="where a candle of 12 fields belongs"):
        run_collect(server, tmp_path)
    server.rows_changed = None
    server.requests.clear()
    done = run_collect(server, tmp_path)
    assert (done.new, done.rows) == (COUNT - 1 - 1_998, COUNT - 1)
    assert int(server.requests[0]["startTime"]) == JANUARY_2024_MS + 1_998 * HOUR_MS


def test_an_unknown_symbol_leaves_nothing_behind(server: KlinesServer, tmp_path: Path) -> None:
    server.series.clear()
    with pytest.raises(UsageError):
        run_collect(server, tmp_path)
    assert list(tmp_path.iterdir()) == []
