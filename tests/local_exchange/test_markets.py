"""What else can be replayed: recorded trades as they were, and a market whose time is now."""

from __future__ import annotations

import asyncio
import csv
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from bridge.clock import SystemClock
from bridge.local_exchange.crowd import crowd
from bridge.local_exchange.fine_path import refined
from bridge.local_exchange.markets import moved_to_now
from bridge.local_exchange.recorded_trades import load_trades
from bridge.local_exchange.server import Running, serving
from bridge.local_exchange.settings import Pace, Settings
from tests.conftest import shared_path
from tests.local_exchange.conftest import FIRST, made_up
from workbench.errors import DataError, UsageError
from workbench.execution.matching.tape import Tape, e8_of_floats
from workbench.market.instruments import to_e8
from workbench.market.timeframes import WEEK_MS, parse_timeframe

ARCHIVE = "fixtures/archives/trades/BTCUSDT/BTCUSDT-trades-2025-01-02.head32.csv"
BEGIN_MS = 1_735_776_000_000
ROWS = [  # id, price, qty, quote, time, buyer made, best; a second without trades in between
    "7,100.00000000,1.00000000,100.00000000,1735776000100,True,True",
    "8,100.00000000,0.50000000,50.00000000,1735776000100,True,True",
    "9,101.50000000,2.00000000,203.00000000,1735776000900,False,True",
    "10,99.00000000,0.25000000,24.75000000,1735776002000,True,True",
    "11,99.50000000,0.10000000,9.95000000,1735776061000,False,True",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text("\n".join(ROWS) + "\n")
    return path


async def advanced(running: Running, times: int = 1) -> None:
    """Step the market over the admin route."""
    headers = {"X-Admin-Token": running.exchange.admin_token}
    async with aiohttp.ClientSession(headers=headers) as http:
        for _ in range(times):
            async with http.post(f"{running.rest}/admin/advance") as answer:
                assert answer.status == 200, await answer.text()


def naive_candles(rows: list[str], span_ms: int) -> dict[int, list[float]]:
    """Return [open, high, low, close, volume, trades] by opening time, one trade after the other."""
    found: dict[int, list[float]] = {}
    for row in csv.reader(rows):
        price, quantity = float(row[1]), float(row[2])
        at = int(row[4]) // (1000 if len(row[4]) == 16 else 1)
        opened = at // span_ms * span_ms
        one = found.setdefault(opened, [price, price, price, price, 0.0, 0])
        one[1], one[2], one[3] = max(one[1], price), min(one[2], price), price
        one[4], one[5] = round(one[4] + quantity, 8), one[5] + 1
    return found


@pytest.mark.parametrize("interval", ["1s", "1m"])
def test_candles_cut_from_an_archive_are_those_of_its_trades(interval: str) -> None:
    path = shared_path(ARCHIVE)
    candles, tape = load_trades("BTCUSDT", interval, path)
    rows = path.read_text().splitlines()
    span_ms = parse_timeframe(interval).mean_ms
    found = {
        int(one["open_time"]): [one[name] for name in ("open", "high", "low", "close", "volume")]
        for one in candles.records
    }
    expected = naive_candles(rows, span_ms)
    assert found == {at: one[:5] for at, one in expected.items()}
    assert [tape.print_at(i).trade_id for i in range(len(tape))] == [
        int(row.partition(",")[0]) for row in rows
    ]
    quote = sum(to_e8(row.split(",")[3]) for row in rows)
    assert sum(k.quote_volume_e8 for k in tape.klines(
        parse_timeframe("1h"), len(tape), start_ms=0, end_ms=None, limit=9,
    )) == quote  # fmt: skip


async def test_recorded_trades_come_as_they_were_and_aggregated_by_taker(file: Path) -> None:
    settings = Settings(trades=(file,), interval="1s", pace=Pace.STEP)
    async with serving(settings) as running, aiohttp.ClientSession() as http:
        names = "btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1s"
        async with http.ws_connect(f"{running.ws}/stream?streams={names}") as socket:
            await advanced(running, 3)
            frames: list[Any] = []
            while len(frames) < 4 + 4 + 6:
                frames.append(await socket.receive_json(timeout=5))
    trades = [one["data"] for one in frames if one["data"]["e"] == "trade"]
    # The first trade was made before anybody could listen.
    assert [(one["t"], one["p"], one["q"], one["m"]) for one in trades] == [
        (8, "100.00000000", "0.50000000", True),
        (9, "101.50000000", "2.00000000", False),
        (10, "99.00000000", "0.25000000", True),
        (11, "99.50000000", "0.10000000", False),
    ]
    together = [one["data"] for one in frames if one["data"]["e"] == "aggTrade"]
    assert [(one["a"], one["f"], one["l"], one["q"]) for one in together][:2] == [
        (0, 7, 8, "1.50000000"), (1, 9, 9, "2.00000000"),
    ]  # fmt: skip
    closed = [
        one["data"]["k"] for one in frames if one["data"]["e"] == "kline" and one["data"]["k"]["x"]
    ]
    assert [(k["t"] - BEGIN_MS, k["o"], k["c"], k["v"], k["n"]) for k in closed] == [
        (0, "100.00000000", "101.50000000", "3.50000000", 3),
        (2_000, "99.00000000", "99.00000000", "0.25000000", 1),
    ]


def test_a_zip_and_microseconds_are_read_too(tmp_path: Path, file: Path) -> None:
    text = file.read_text().replace("1735776000100", "1735776000100999")
    path = tmp_path / "BTCUSDT-trades-2025-01-02.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-trades-2025-01-02.csv", text)
    _, zipped = load_trades("BTCUSDT", "1m", path)
    _, plain = load_trades("BTCUSDT", "1m", file)
    assert zipped.time_ms.tolist() == plain.time_ms.tolist()
    assert zipped.price_e8.tolist() == plain.price_e8.tolist()


def damaged() -> Iterator[tuple[str, str]]:
    swapped = [ROWS[1], ROWS[0], *ROWS[2:]]
    yield "\n".join(swapped), "trade 7 in row 2: its id does not follow"
    yield "\n".join([*ROWS[:3], ROWS[3].replace("1735776002000", "1735776000000")]), "row 4"
    yield "\n".join([*ROWS[:2], ROWS[2].replace("2.00000000", "0.00000000")]), "quantity"
    yield ROWS[0].replace("True,True", "yes,True"), "True or False"
    yield ROWS[0].removesuffix(",True"), "trades.csv"
    yield "id,price,qty\n", "trades.csv"
    yield "", "trades.csv"


@pytest.mark.parametrize(("text", "said"), list(damaged()))
def test_a_damaged_recording_is_refused_with_the_row(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        load_trades("BTCUSDT", "1m", file)


@pytest.mark.parametrize(
    "now",
    [datetime(2026, 11, 25, 10, 30, 7, tzinfo=UTC), datetime(2025, 1, 1, 5, 2, tzinfo=UTC)],
)
def test_a_market_of_now_keeps_weekday_and_hour(now: datetime) -> None:
    wall_ms, candles = int(now.timestamp() * 1000), made_up(12_000)
    moved, at = moved_to_now(candles, FIRST, wall_ms)
    opened = int(moved.records["open_time"][at])
    assert opened <= wall_ms < opened + 60_000
    shift = moved.records["open_time"] - candles.records["open_time"]
    assert set(shift % WEEK_MS) == {0}
    assert len(set(shift)) == 1
    before = datetime.fromtimestamp(int(candles.records["open_time"][at]) / 1000, UTC)
    assert (before.weekday(), before.hour, before.minute) == (now.weekday(), now.hour, now.minute)
    assert np.array_equal(moved.records["close"], candles.records["close"])


def test_a_tape_that_does_not_reach_this_hour_cannot_be_now() -> None:
    candles = made_up(400)
    after = int(candles.records["open_time"][-1]) + 3_600_000
    with pytest.raises(DataError, match="begin with an earlier --start"):
        moved_to_now(candles, FIRST, after)
    with pytest.raises(UsageError, match="as fast as life"):
        Settings(of_now=True, speed=60.0)


async def test_klines_of_a_market_of_now_end_now() -> None:
    settings = Settings(
        of_now=True, speed=1.0, data="synthetic", start="2020-03-02", end="2020-03-23"
    )
    async with serving(settings) as running, aiohttp.ClientSession() as http:
        url = f"{running.rest}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3"
        rows: list[list[Any]] = [[0] * 7]
        async with asyncio.timeout(20):
            while not rows[-1][0] <= SystemClock().wall_ms() <= rows[-1][6]:
                await asyncio.sleep(0.05)  # the prints of this minute come in good time
                async with http.get(url) as answer:
                    rows = await answer.json()
        assert [row[0] - rows[0][0] for row in rows] == [0, 60_000, 120_000]
        async with http.get(f"{running.rest}/local/market") as answer:
            assert "weeks to now" in (await answer.json())["source"]


@pytest.mark.parametrize(("interval", "fine"), [("1h", "1m"), ("1d", "15m"), ("5m", "1s")])
def test_a_path_inside_candles_puts_the_recorded_candles_together_again(
    interval: str, fine: str
) -> None:
    source = made_up(320, interval)
    drawn = refined(source, fine, 7)
    tape = Tape(drawn)
    whole = list(
        tape.klines(source.timeframe, len(tape), start_ms=0, end_ms=None, limit=len(source.records))
    )
    for name in ("open", "high", "low", "close", "volume"):
        made = [getattr(kline, f"{name}_e8") for kline in whole]
        assert made == e8_of_floats(source.records[name]).tolist(), name
    assert [kline.open_ms for kline in whole] == source.records["open_time"].tolist()
    records = drawn.records
    assert np.all(records["low"] <= np.minimum(records["open"], records["close"]))
    assert np.all(records["high"] >= np.maximum(records["open"], records["close"]))
    assert drawn.source.split("; ")[-1].startswith(f"SYNTHETIC {fine} path")
    assert np.array_equal(refined(source, fine, 7).records, records)
    assert not np.array_equal(refined(source, fine, 8).records, records)


def test_the_path_visits_the_low_before_the_high() -> None:
    source = made_up(320, "1h")
    minutes = refined(source, "1m", 7).records.reshape(-1, 60)
    at_low = (minutes["low"] == source.records["low"][:, None]).argmax(axis=1)
    at_high = 59 - (minutes["high"] == source.records["high"][:, None])[:, ::-1].argmax(axis=1)
    assert np.all(at_low <= at_high)


def test_an_interval_that_does_not_fit_or_is_too_fine_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit"):
        refined(made_up(320, "5m"), "3m", 7)
    with pytest.raises(UsageError, match="narrow the replay"):
        refined(made_up(400, "1d"), "1s", 7)


def test_a_crowd_is_made_of_sound_candles_and_its_seed() -> None:
    made, again, other = crowd(3, "1m", 7), crowd(3, "1m", 7), crowd(3, "1m", 8)
    assert list(made) == ["C0001USDT", "C0002USDT", "C0003USDT"]
    for symbol, (candles, rules, _, _) in made.items():
        records = candles.records
        assert np.all(records["low"] <= np.minimum(records["open"], records["close"]))
        assert np.all(records["high"] >= np.maximum(records["open"], records["close"]))
        assert records["low"].min() > 0
        assert rules.tick_e8 == to_e8("0.01")
        assert candles.source.startswith("SYNTHETIC")
        assert np.array_equal(records, again[symbol][0].records)
        assert not np.array_equal(records, other[symbol][0].records)
