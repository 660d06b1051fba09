"""Collections from the project's own exchange, over real sockets, with the faults that it can make."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest

from bridge.local_exchange.settings import LimitRules, SocketRules
from tests.data.local_exchange import LocalExchange, stepped
from tests.data.test_data_store import bytes_of
from workbench.data.collect import Collected, collect
from workbench.data.sources.binance_live import BinanceLive
from workbench.data.sources.binance_rest import BinanceRest
from workbench.data.sources.patience import Patience
from workbench.data.store import Store
from workbench.errors import ExchangeError
from workbench.market.timeframes import TIMEFRAMES

M1, MINUTE_MS = TIMEFRAMES["1m"], 60_000
KLINES = "GET /api/v3/klines"


def collected(url: str, folder: Path, waits: list[float], *symbols: str) -> list[Collected]:
    patience = Patience(attempts=4, sleep=waits.append, chance=lambda: 0.5)
    rest = BinanceRest(url, patience)
    now_ms = rest.server_time_ms()
    return collect(
        rest, Store(folder), symbols=symbols or ["BTCUSDT"], intervals=["1m"], since_ms=0,
        until_ms=now_ms, clock_ms=lambda: 0, progress=False, jobs=2,
    )  # fmt: skip


def test_rest_gives_what_the_exchange_replays(tmp_path: Path) -> None:
    with LocalExchange(stepped(symbols=("BTCUSDT", "ETHUSDT"))) as exchange:
        exchange.advance(3)
        done = collected(exchange.url, tmp_path, [], "BTCUSDT", "ETHUSDT")
    assert [(one.rows, one.gaps, one.venue) for one in done] == [(1_003, 0, "local")] * 2


@pytest.mark.parametrize("do", ["html", "half_body", "drop", "status"])
def test_what_time_can_mend_is_asked_for_again_and_the_bytes_are_those_of_a_calm_run(
    tmp_path: Path, do: str
) -> None:
    with LocalExchange(stepped()) as exchange:
        collected(exchange.url, tmp_path / "calm", [])
        exchange.plan(KLINES, do, nth=1, times=2)
        waits: list[float] = []
        collected(exchange.url, tmp_path / "rough", waits)
    assert bytes_of(tmp_path / "rough") == bytes_of(tmp_path / "calm")
    assert waits[:2] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"do": "html"}, "gave up after 4 attempts, the last: HTTP 502; check the network and run"),
        (
            {"do": "body", "body": "<html>sign in</html>"},
            "answered HTML .* instead of candles; check",
        ),
        ({"do": "body", "body": "[[1704067200000,"}, "answered broken JSON"),
        ({"do": "half_body"}, "gave up after 4 attempts, the last: RemoteProtocolError"),
    ],
)
def test_what_stays_wrong_is_one_clear_error_and_the_store_is_as_it_was(
    tmp_path: Path, fault: dict, message: str
) -> None:
    with LocalExchange(stepped()) as exchange:
        collected(exchange.url, tmp_path, [])
        before = bytes_of(tmp_path)
        exchange.advance(5)
        exchange.plan(KLINES, times=0, **fault)
        with pytest.raises(ExchangeError, match=message):
            collected(exchange.url, tmp_path, [])
    assert bytes_of(tmp_path) == before


def test_too_many_is_waited_out_as_told_and_a_ban_that_follows_ends_it(tmp_path: Path) -> None:
    """The limit is 30 a minute. Whoever only pretends to wait is banned, as by Binance."""
    waits: list[float] = []
    with LocalExchange(stepped(limits=LimitRules(weight=30))) as exchange:
        with pytest.raises(
            ExchangeError, match=r"gave up after 4 attempts, the last: HTTP 4(18|29)"
        ):
            collect_for_ever(exchange, tmp_path, waits)
        before = bytes_of(tmp_path)
        with pytest.raises(ExchangeError, match="HTTP 4"):
            collected(exchange.url, tmp_path, waits)
    assert len(waits) >= 4
    assert all(0 < wait <= 180 for wait in waits)
    assert bytes_of(tmp_path) == before != {}


def collect_for_ever(exchange: LocalExchange, folder: Path, waits: list[float]) -> None:
    for _ in range(60):
        collected(exchange.url, folder, waits)
        exchange.advance()


@pytest.mark.parametrize("do", ["drop", "dup", "reorder", "close"])
def test_frames_that_are_lost_doubled_reordered_or_cut_off_cost_no_candle(do: str) -> None:
    with LocalExchange(stepped()) as exchange:
        exchange.plan("STREAM btcusdt@kline_1m", do, nth=4, times=5)
        hasty = Patience(attempts=50, first_wait_s=0.01)
        source = BinanceLive(BinanceRest(exchange.url, hasty), patience=hasty)
        stop = threading.Event()
        steps = threading.Thread(target=_step, args=(exchange, stop), daemon=True)
        steps.start()
        told: list[pl.DataFrame] = []
        for one in source.follow({("BTCUSDT", M1): None}, until_ms=None):
            told.append(one.candles)
            if sum(map(len, told)) >= 15:
                break
        stop.set()
        steps.join(20)
        frame = pl.concat(told).drop("provenance")
        times = frame["open_time"].to_physical().to_list()
        theirs = list(source.rest.fetch("BTCUSDT", M1, times[0], times[-1] + 1))
    assert times == list(range(times[0], times[0] + len(times) * MINUTE_MS, MINUTE_MS))
    assert frame.equals(pl.concat(theirs))
    assert (source.connections > 1) == (do == "close")


@pytest.mark.parametrize("ends", ["by itself", "says goodbye"])
def test_a_connection_that_the_exchange_ends_is_opened_again_and_no_candle_lost(ends: str) -> None:
    """Binance ends every connection after a day, here after half a second."""
    sockets = SocketRules(life_s=0.5 if ends == "by itself" else 86_400.0)
    with LocalExchange(stepped(sockets=sockets)) as exchange:
        hasty = Patience(attempts=50, first_wait_s=0.01)
        source = BinanceLive(BinanceRest(exchange.url, hasty), patience=hasty)
        stop = threading.Event()
        steps = threading.Thread(target=_step, args=(exchange, stop), daemon=True)
        steps.start()
        times: list[int] = []
        for one in source.follow({("BTCUSDT", M1): None}, until_ms=None):
            times += one.candles["open_time"].to_physical().to_list()
            if ends == "says goodbye" and len(times) in (3, 9):
                exchange.go_down()
            if source.connections >= 3:
                break
        stop.set()
        steps.join(20)
    assert times == list(range(times[0], times[0] + len(times) * MINUTE_MS, MINUTE_MS))


def _step(exchange: LocalExchange, stop: threading.Event) -> None:
    while not exchange.connections and not stop.is_set():
        stop.wait(0.01)
    for _ in range(300):
        if stop.wait(0.04):
            return
        exchange.advance()
