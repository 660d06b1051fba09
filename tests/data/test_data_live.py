"""Live klines: closed candles once and in order, whatever happens to the connection."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.local_exchange.settings import Settings
from tests.conftest import shared_path
from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.klines_server import Fault, KlinesServer, html
from tests.data.local_exchange import LocalExchange, stepped
from workbench.data.collect import collect
from workbench.data.live import collect_live
from workbench.data.sources.address import stream_url_of
from workbench.data.sources.binance_live import BinanceLive, Closed
from workbench.data.sources.binance_rest import BinanceRest
from workbench.data.sources.kline_frames import StreamedKline, told_by
from workbench.data.sources.kline_socket import KlineSocket
from workbench.data.sources.patience import Patience
from workbench.data.store import Store, StoredSeries
from workbench.errors import ExchangeError, UsageError
from workbench.market.timeframes import TIMEFRAMES, Timeframe, parse_timeframe

M1, H1 = TIMEFRAMES["1m"], TIMEFRAMES["1h"]
MINUTE_MS = 60_000
HASTY = Patience(attempts=8, first_wait_s=0.01, timeout_s=5.0)


def live(url: str, **changes: object) -> BinanceLive:
    return BinanceLive(BinanceRest(url, HASTY), patience=HASTY, **changes)  # type: ignore[arg-type]


def frame_text(candle: dict, interval: str, *, closed: bool = True, late_ms: int = 10) -> str:
    """Return a candle as the frame of a combined stream, told so long after its close."""
    opened = int(candle["open_time"].timestamp() * 1000)
    closes = parse_timeframe(interval).next(opened)
    told = {"t": opened, "T": closes - 1, "s": candle["symbol"], "i": interval, "x": closed}
    told |= {name[0]: f"{candle[name]:.8f}" for name in ("open", "high", "low", "close", "volume")}
    told |= {"n": candle["trades"], "q": f"{candle['quote_volume']:.8f}", "B": "0"}
    told |= {"V": f"{candle['taker_buy_base']:.8f}", "Q": f"{candle['taker_buy_quote']:.8f}"}
    event = {"e": "kline", "E": closes + late_ms, "s": candle["symbol"], "k": told}
    return json.dumps({"stream": f"{candle['symbol'].lower()}@kline_{interval}", "data": event})


def frames_of(candles: pl.DataFrame, interval: str) -> list[str]:
    return [frame_text(row, interval) for row in candles.iter_rows(named=True)]


def opened(told: list[Closed]) -> list[int]:
    return [at for one in told for at in one.candles["open_time"].to_physical()]


def take(told: Iterator[Closed], count: int) -> list[Closed]:
    """Return what is told until so many candles came."""
    found: list[Closed] = []
    for one in told:
        found.append(one)
        if len(opened(found)) >= count:
            break
    return found


@pytest.fixture
def recorded() -> list[str]:
    path = shared_path("fixtures/spot-testnet/streams/btcusdt.jsonl")
    return path.read_text().splitlines()


def recorded_closed(lines: list[str]) -> list[dict]:
    told = [json.loads(line)["data"] for line in lines]
    return [one["k"] for one in told if one["e"] == "kline" and one["k"]["x"]]


@contextmanager
def serving(
    *streams: list[str], candles: pl.DataFrame | None = None, interval: str = "1m", now_ms: int = 0
) -> Iterator[KlinesServer]:
    frame = candle_frame(1, interval).clear() if candles is None else candles
    with KlinesServer({("BTCUSDT", interval): frame}, now_ms=now_ms or 2_000_000_000_000) as server:
        server.streams.extend(streams)
        yield server


def test_of_recorded_frames_the_closed_candles_go_on_and_nothing_else(recorded: list[str]) -> None:
    closed = recorded_closed(recorded)
    with serving(recorded, []) as server:
        told = take(live(server.url).follow({("BTCUSDT", M1): None}, until_ms=None), 2)
    assert [len(one.candles) for one in told] == [1, 1]
    for one, raw in zip(told, closed, strict=True):
        row = one.candles.row(0, named=True)
        assert int(row["open_time"].timestamp() * 1000) == raw["t"]
        assert [row[n] for n in ("open", "high", "low", "close")] == [float(raw[n]) for n in "ohlc"]
        assert (row["volume"], row["trades"]) == (float(raw["v"]), raw["n"])
        assert (row["quote_volume"], row["taker_buy_base"]) == (float(raw["q"]), float(raw["V"]))
        assert (row["taker_buy_quote"], row["provenance"]) == (
            float(raw["Q"]),
            "live klines of 127.0.0.1",
        )


def test_a_close_that_was_lost_comes_from_rest_before_the_next(recorded: list[str]) -> None:
    """The first x:true is cut out of the recording; REST has the candle."""
    first, second = recorded_closed(recorded)
    lost = [line for line in recorded if not (f'"t":{first["t"]}' in line and '"x":true' in line)]
    assert len(lost) == len(recorded) - 1
    candles = candle_frame(3, "1m", start_ms=first["t"])
    with serving(lost, [], candles=candles) as server:
        told = take(live(server.url).follow({("BTCUSDT", M1): None}, until_ms=None), 2)
    assert opened(told) == [first["t"], second["t"]]
    marks = [one.candles["provenance"][0] for one in told]
    assert marks == ["REST klines of 127.0.0.1", "live klines of 127.0.0.1"]


def test_a_market_that_had_no_candle_leaves_a_gap_and_invents_nothing() -> None:
    whole = candle_frame(6, "1m")
    texts = frames_of(pl.concat([whole.head(2), whole.slice(4)]), "1m")
    with serving(texts, []) as server:
        told = take(live(server.url).follow({("BTCUSDT", M1): JANUARY_2024_MS}, until_ms=None), 4)
    assert [(at - JANUARY_2024_MS) // MINUTE_MS for at in opened(told)] == [0, 1, 4, 5]


@pytest.mark.parametrize("interval", ["1w", "1M"])
def test_weeks_and_months_close_where_the_calendar_says(interval: str) -> None:
    candles = candle_frame(4, interval)
    with serving(frames_of(candles, interval), [], interval=interval) as server:
        key = ("BTCUSDT", parse_timeframe(interval))
        told = take(live(server.url).follow({key: None}, until_ms=None), 4)
    assert opened(told) == candles["open_time"].to_physical().to_list()
    assert [at.isoformat()[:10] for at in candles["open_time"]][:2] == {
        "1w": ["2024-01-01", "2024-01-08"],
        "1M": ["2024-01-01", "2024-02-01"],
    }[interval]


@pytest.mark.parametrize(
    "trouble",
    [
        '{"e":"serverShutdown","E":1785845108019}',
        '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
        "<html>",
        '{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"k":{"t":"soon"}}}',
    ],
)
def test_a_goodbye_or_nonsense_means_a_new_connection_and_no_candle_lost(trouble: str) -> None:
    texts = frames_of(candle_frame(4, "1m"), "1m")
    said: list[str] = []
    with serving([*texts[:2], trouble, texts[3]], texts[2:], []) as server:
        source = live(server.url, say=said.append)
        told = take(source.follow({("BTCUSDT", M1): JANUARY_2024_MS}, until_ms=None), 4)
    assert [(at - JANUARY_2024_MS) // MINUTE_MS for at in opened(told)] == [0, 1, 2, 3]
    assert source.connections == 2
    assert len(said) == (0 if "serverShutdown" in trouble else 1)


def test_a_stream_that_falls_silent_is_left(recorded: list[str]) -> None:
    with serving([recorded[0]], []) as server:
        socket = KlineSocket(server.url.replace("http", "ws"), HASTY, silent_s=0.2)
        server.streams.popleft(), server.streams.clear()
        with (
            pytest.raises(TimeoutError, match=r"no frame for 0.2 s"),
            socket.subscribed(["btcusdt@kline_1m"]) as streams,
        ):
            list(streams.frames())


def test_before_a_day_is_over_the_connection_is_opened_anew() -> None:
    with LocalExchange(stepped()) as exchange:
        source, stop = live(exchange.url, rotate_s=0.2), threading.Event()
        steps = threading.Thread(
            target=lambda: _step_and_cut(exchange, stop, cut_at=99), daemon=True
        )
        steps.start()
        times: list[int] = []
        for one in source.follow({("BTCUSDT", M1): None}, until_ms=None):
            times += opened([one])
            if source.connections >= 3:
                break
        stop.set()
        steps.join(20)
    assert times == list(range(times[0], times[0] + len(times) * MINUTE_MS, MINUTE_MS))


def test_one_connection_carries_many_streams_and_tells_what_rest_tells() -> None:
    names, intervals = ("BTCUSDT", "ETHUSDT", "SOLUSDT"), ("1m", "5m")
    with LocalExchange(stepped(symbols=names)) as exchange:
        keys = {(name, TIMEFRAMES[interval]): None for name in names for interval in intervals}
        source, told, most = live(exchange.url), [], 0
        steps = threading.Thread(target=lambda: _step_when_heard(exchange, 21), daemon=True)
        steps.start()
        for one in source.follow(keys, until_ms=None):
            told.append(one)
            most = max(most, exchange.connections)
            if sum(c.timeframe.name == "5m" for c in told) >= 9:
                break
        steps.join(20)
        assert (most, source.connections) == (1, 1)
        for name, timeframe in keys:
            mine = [c.candles for c in told if (c.symbol, c.timeframe) == (name, timeframe)]
            frame = pl.concat(mine).drop("provenance")
            first, last = (int(frame["open_time"].to_physical()[at]) for at in (0, -1))
            theirs = source.rest.fetch(name, timeframe, first, last + 1)
            assert frame.equals(pl.concat(list(theirs)))


def _step_when_heard(exchange: LocalExchange, count: int) -> None:
    waiting = threading.Event()
    while not exchange.connections:
        waiting.wait(0.01)
    waiting.wait(0.2)  # until all is subscribed
    for _ in range(count):
        exchange.advance()


def test_as_a_source_it_fills_a_store_as_rest_does(tmp_path: Path) -> None:
    with LocalExchange(stepped()) as exchange:
        rest = BinanceRest(exchange.url, HASTY)
        start_ms = int(rest.first_candle("BTCUSDT", M1)["open_time"].to_physical()[0])
        exchange.advance(3)
        now_ms = start_ms + 1_003 * MINUTE_MS
        steps = threading.Thread(target=lambda: _step_when_heard(exchange, 12), daemon=True)
        steps.start()
        asked = {"symbols": ["BTCUSDT"], "intervals": ["1m"], "since_ms": start_ms}
        asked |= {"until_ms": now_ms + 8 * MINUTE_MS, "clock_ms": lambda: 0, "progress": False}
        (one,) = collect(live(exchange.url), Store(tmp_path / "live"), **asked)
        steps.join(20)
        (other,) = collect(rest, Store(tmp_path / "rest"), **asked)
    assert (one.rows, other.rows, one.gaps) == (1_011, 1_011, 0)
    frames = [
        Store(tmp_path / name).series("local", "BTCUSDT", M1).scan().collect()
        for name in ("live", "rest")
    ]
    assert frames[0].equals(frames[1])


def test_a_live_collection_mends_the_past_goes_on_and_can_be_cut(tmp_path: Path) -> None:
    """Stored with a hole; then live over three cut connections; the end is whole."""
    with LocalExchange(stepped()) as exchange:
        rest, store = BinanceRest(exchange.url, HASTY), Store(tmp_path)
        first_ms = int(rest.first_candle("BTCUSDT", M1)["open_time"].to_physical()[0])
        since_ms = first_ms + 900 * MINUTE_MS
        page = pl.concat(list(rest.fetch("BTCUSDT", M1, since_ms, since_ms + 60 * MINUTE_MS)))
        series = store.series("local", "BTCUSDT", M1)
        series.add(pl.concat([page.head(10), page.slice(20)]), collected_ms=0, provenance="before")
        until_ms = first_ms + 1_012 * MINUTE_MS
        stop = threading.Event()
        cuts = threading.Thread(target=lambda: _step_and_cut(exchange, stop), daemon=True)
        cuts.start()
        (done,) = collect_live(
            live(exchange.url), store, symbols=["BTCUSDT"], intervals=["1m"], since_ms=since_ms,
            until_ms=until_ms, clock_ms=lambda: 0, progress=False,
        )  # fmt: skip
        stop.set()
        cuts.join(20)
    assert (done.rows, done.gaps, done.revised) == (112, 0, 0)
    told = series.provenance()["provenance"].to_list()
    assert set(told) >= {"before", "REST klines of 127.0.0.1"}
    assert series.manifest() is not None


def _step_and_cut(exchange: LocalExchange, stop: threading.Event, *, cut_at: int = 5) -> None:
    while not exchange.connections and not stop.is_set():
        stop.wait(0.01)
    for count in range(1, 200):
        if stop.wait(0.05):
            return
        exchange.advance()
        if count % cut_at == 0:
            exchange.cut()


def test_without_a_beginning_a_stored_series_goes_on_behind_its_last_candle(tmp_path: Path) -> None:
    whole = candle_frame(9, "1h")
    series = Store(tmp_path).series("local", "BTCUSDT", H1)
    series.add(whole.head(4), collected_ms=0)
    with serving(frames_of(whole.slice(7), "1h"), [], candles=whole, interval="1h") as server:
        (done,) = collect_live(
            live(server.url), Store(tmp_path), symbols=["BTCUSDT"], intervals=["1h"], since_ms=None,
            until_ms=JANUARY_2024_MS + 9 * 3_600_000, clock_ms=lambda: 0, progress=False,
        )  # fmt: skip
    assert (done.new, done.rows, done.gaps) == (5, 9, 0)


def test_ctrl_c_is_the_usual_end_and_loses_nothing(tmp_path: Path) -> None:
    whole = candle_frame(6, "1m")

    class Interrupted(BinanceLive):
        def follow(self, since_ms: object, *, until_ms: int | None) -> Iterator[Closed]:
            for at in range(4):
                yield Closed("BTCUSDT", M1, whole.slice(at, 1))
            raise KeyboardInterrupt

    with serving() as server:
        (done,) = collect_live(
            Interrupted(BinanceRest(server.url, HASTY)), Store(tmp_path), symbols=["BTCUSDT"],
            intervals=["1m"], since_ms=None, until_ms=None, clock_ms=lambda: 9_000, progress=False,
        )  # fmt: skip
    assert (done.new, done.rows, done.last) == (4, 4, "2024-01-01T00:03Z")


def test_what_the_exchange_does_not_know_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with LocalExchange(stepped()) as exchange:
        for symbol, message in (
            ("NOPEUSDT", "does not know the symbol 'NOPEUSDT'"),
            ("BTСUSDT", r"does not know the symbol 'BTСUSDT'.*CYRILLIC CAPITAL LETTER ES"),
        ):
            with pytest.raises(UsageError, match=message):
                collect_live(
                    live(exchange.url), Store(tmp_path), symbols=[symbol], intervals=["1m"],
                    since_ms=None, until_ms=None, clock_ms=lambda: 0, progress=False,
                )  # fmt: skip
    assert list(tmp_path.rglob("*.parquet")) == []


def test_more_streams_than_a_connection_takes_are_refused_before_it_is_opened() -> None:
    socket = KlineSocket("ws://127.0.0.1:9", HASTY)
    with (
        pytest.raises(UsageError, match="1,025 streams, but a connection takes 1,024; run several"),
        socket.subscribed([f"s{number}usdt@kline_1m" for number in range(1_025)]),
    ):
        pass


def test_streams_that_are_gone_are_given_up_with_the_mend() -> None:
    with serving() as server:
        source = live(server.url, stream_url="ws://127.0.0.1:9")
        with pytest.raises(
            ExchangeError,
            match=r"gave up after 8 attempts.*Connection refused.*run the same command",
        ):
            next(source.follow({("BTCUSDT", M1): None}, until_ms=None))


def after_the_first(server: KlinesServer, fault: Fault) -> None:
    """Let the question for the symbol be answered, and the one after it meet a fault."""
    faults = [fault]

    def arm(rows: list) -> list:
        server.faults.extend(faults)
        faults.clear()
        return rows

    server.rows_changed = arm


def test_a_ban_is_told_and_never_knocked_against() -> None:
    with serving([]) as server:
        after_the_first(server, Fault(status=418, body="{}", headers={"Retry-After": "3600"}))
        with pytest.raises(ExchangeError, match="bans this address for 3600 s"):
            next(live(server.url).follow({("BTCUSDT", M1): JANUARY_2024_MS}, until_ms=None))
        assert len(server.subscribed) == 1
        assert len(server.requests) == 2


def test_an_exchange_that_answers_html_is_tried_again_with_a_new_connection() -> None:
    whole = candle_frame(3, "1m")
    with serving([], frames_of(whole, "1m"), [], candles=whole) as server:
        after_the_first(server, html())
        told = take(live(server.url).follow({("BTCUSDT", M1): JANUARY_2024_MS}, until_ms=None), 3)
        assert len(server.subscribed) == 2
    assert len(opened(told)) == 3


@pytest.mark.parametrize(
    ("base", "streams"),
    [
        ("https://api.binance.com", "wss://stream.binance.com:9443"),
        ("https://api3.binance.com", "wss://stream.binance.com:9443"),
        ("https://data-api.binance.vision", "wss://data-stream.binance.vision"),
        ("https://testnet.binance.vision", "wss://stream.testnet.binance.vision"),
        ("https://demo-api.binance.com", "wss://demo-stream.binance.com"),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000"),
    ],
)
def test_every_venue_has_its_streams(base: str, streams: str) -> None:
    assert stream_url_of(base) == streams


def test_streams_of_a_stranger_must_be_named_and_plain_ones_are_loopback_only() -> None:
    with pytest.raises(UsageError, match=r"streams of example.org; name them with --stream-url"):
        BinanceLive(BinanceRest("https://example.org"))
    with pytest.raises(UsageError, match="plain ws is for loopback only; use wss"):
        BinanceLive(BinanceRest("https://example.org"), "ws://example.org")


WHOLE = candle_frame(60, "1m")
Script = list[tuple[int, bool]]  # which candle a frame tells, and whether it says closed


class Market:
    """Connections that deliver what the test wrote, and a REST API that knows what has closed."""

    replayed, description, venue, url = False, "REST of the test", "test", "ws://127.0.0.1:1"

    odd: frozenset[int] = frozenset()  # candles whose frames write a volume as 1.3e1

    def __init__(self, scripts: list[Script], last: int, *, lags: int = 0) -> None:
        self.now_ms = JANUARY_2024_MS + 3 * MINUTE_MS
        self.scripts, self.last, self.lags, self.asked = deque(scripts), last, lags, 0

    @contextmanager
    def subscribed(self, names: list[str]) -> Iterator[Market]:
        yield self

    def frames(self) -> Iterator[StreamedKline]:
        for index, closed in self.scripts.popleft() if self.scripts else [(self.last, True)]:
            late_ms = 10 if closed else -30_000
            row = WHOLE.row(index, named=True)
            told = told_by(frame_text(row, "1m", closed=closed, late_ms=late_ms))
            assert isinstance(told, StreamedKline)
            self.now_ms = max(self.now_ms, told.event_ms)
            odd = (*told.row[:5], "1.3e1", *told.row[6:])
            yield replace(told, row=odd) if index in self.odd else told

    def server_time_ms(self) -> int:
        return self.now_ms

    def first_candle(self, symbol: str, timeframe: Timeframe) -> pl.DataFrame:
        return WHOLE.head(1)

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        self.asked += 1
        times = WHOLE["open_time"].to_physical()
        known_ms = self.now_ms - MINUTE_MS * (3 if self.asked <= self.lags else 1)
        yield WHOLE.filter((times >= start_ms) & (times < end_ms) & (times <= known_ms))

    def followed(self, first: int) -> list[int]:
        """Return which candles a source tells from `first` on."""
        source = live("http://127.0.0.1:1")
        source.rest = source._socket = self  # type: ignore[assignment]
        source.patience = Patience(attempts=99, sleep=lambda _: None)
        until_ms = JANUARY_2024_MS + (self.last + 1) * MINUTE_MS
        begin = {("BTCUSDT", M1): JANUARY_2024_MS + first * MINUTE_MS}
        times = opened(list(source.follow(begin, until_ms=until_ms)))
        return [(at - JANUARY_2024_MS) // MINUTE_MS for at in times]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12), max_size=5))
def test_whatever_is_lost_doubled_or_reordered_every_candle_comes_once_and_in_order(
    scripts: list[Script],
) -> None:
    assert Market(scripts, last=45).followed(3) == list(range(3, 46))


def test_what_closed_while_the_connection_was_away_comes_first() -> None:
    first, second = [(3, True), (4, True), (5, False)], [(9, False), (9, True), (10, True)]
    assert Market([first, second], last=10).followed(3) == list(range(3, 11))


def test_rest_that_lags_behind_the_stream_is_asked_again() -> None:
    market = Market([[(3, True), (5, True)]], last=6, lags=1)
    assert market.followed(3) == [3, 4, 5, 6]
    assert market.asked == 2


def test_a_closed_candle_with_odd_numbers_is_asked_of_rest() -> None:
    market = Market([[(3, True), (4, True), (5, True)]], last=5)
    market.odd = frozenset({4})
    assert market.followed(3) == [3, 4, 5]
    assert market.asked == 1


def test_the_command_goes_on_after_a_kill_until_ctrl_c_and_says_what_it_did(tmp_path: Path) -> None:
    """SIGKILL once something is stored, then the same command again, then SIGINT."""
    with LocalExchange(Settings(data="synthetic", speed=1_200, hold_s=0)) as exchange:
        series = Store(tmp_path).series("local", "BTCUSDT", M1)
        killed = live_command(exchange.url, tmp_path)
        before = stored_more_than(0, series, killed)
        killed.kill()
        killed.communicate(timeout=30)
        assert series.manifest() is None
        process = live_command(exchange.url, tmp_path)
        stored_more_than(before, series, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        (told,) = json.loads(out)["series"]
        frame = series.scan().collect()
        first, last = (int(frame["open_time"].to_physical()[at]) for at in (0, -1))
        theirs = BinanceRest(exchange.url, HASTY).fetch("BTCUSDT", M1, first, last + 1)
        assert frame.equals(pl.concat(list(theirs)))
    assert (told["rows"], told["gaps"]) == (len(frame), 0)
    assert len(frame) == (last - first) // MINUTE_MS + 1
    ways = series.provenance()["provenance"].to_list()
    assert set(ways) == {"live klines of 127.0.0.1", "REST klines of 127.0.0.1"}


def live_command(url: str, folder: Path) -> subprocess.Popen[str]:
    words = ["--symbols", "BTCUSDT", "--intervals", "1m", "--source", "live", "--json"]
    words += ["--base-url", url, "--store", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", "from workbench.cli import main; main()", "collect", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def stored_more_than(count: int, series: StoredSeries, process: subprocess.Popen[str]) -> int:
    """Wait until so much is stored, and return how much it is."""
    waiting = threading.Event()
    for _ in range(900):
        if (now := len(series.opening_times())) > count:
            return now
        assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
        waiting.wait(0.05)
    raise AssertionError(f"still {count} candles stored")
