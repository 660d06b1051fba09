"""Every kind of market stream: Binance's fields, and numbers that a client can rebuild the market from."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import aiohttp
import pytest

from bridge.local_exchange.accounts import Accounts, generate
from bridge.local_exchange.feeds import open_feed
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.public import depth
from bridge.local_exchange.settings import Pace, Settings
from bridge.local_exchange.stream_names import parse_stream
from bridge.local_exchange.venue import Venue
from tests.conftest import shared_path
from tests.local_exchange.conftest import FIRST, SYMBOL, Local, Opener, made_up
from tests.local_exchange.test_answer_shapes import event_sample, same_shape, samples
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import NewOrder, OrderType, Side
from workbench.market.instruments import instrument, to_e8
from workbench.market.timeframes import parse_timeframe

Frame = Any
STREAMS = "web-socket-streams.json"
ORDER = "/api/v3/order"
RESTING = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000"


async def frames(local: Local, stream: str, steps: int, count: int, path: str = "") -> list[Frame]:
    """Return the first frames that a stream sends over some candles."""
    url = f"{local.running.ws}{path or '/ws/' + stream}"
    async with local.http.ws_connect(url) as socket:
        for _ in range(steps):
            await local.admin("POST", "/admin/advance")
        return [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(count)]


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        ("btcusdt@trade", "trade"),
        ("btcusdt@aggTrade", "aggTrade"),
        ("btcusdt@kline_1m", "kline"),
        ("btcusdt@kline_1d@+08:00", "kline"),
        ("btcusdt@miniTicker", "24hrMiniTicker"),
        ("btcusdt@ticker", "24hrTicker"),
        ("btcusdt@ticker_1h", "1hTicker"),
        ("btcusdt@avgPrice", "avgPrice"),
        ("btcusdt@depth", "depthUpdate"),
        ("btcusdt@depth@100ms", "depthUpdate"),
    ],
)
async def test_a_frame_has_the_fields_of_the_official_sample(
    local: Local, stream: str, event: str
) -> None:
    (frame,) = await frames(local, stream, 1, 1)
    same_shape(frame, event_sample(STREAMS, event))


@pytest.mark.parametrize(
    "stream", ["btcusdt@bookTicker", "btcusdt@depth5", "btcusdt@depth20@100ms"]
)
async def test_a_frame_without_a_name_has_the_fields_of_its_sample(
    local: Local, stream: str
) -> None:
    (frame,) = await frames(local, stream, 1, 1)
    word = "Book Ticker" if "book" in stream else "Partial"
    sample = next(one["payload"] for one in samples(STREAMS) if word in one["section"][-1])
    same_shape(frame, sample)


async def test_the_tickers_of_all_symbols_come_in_one_list(local: Local) -> None:
    for stream, event in (("!miniTicker@arr", "24hrMiniTicker"), ("!ticker_4h@arr", "1hTicker")):
        (listed,) = await frames(local, stream, 1, 1)
        same_shape(listed[0], event_sample(STREAMS, event))


async def test_frames_have_the_fields_and_types_that_the_testnet_sent(local: Local) -> None:
    lines = shared_path("fixtures/spot-testnet/streams/btcusdt.jsonl").read_text().splitlines()
    path = "/stream?streams=btcusdt@kline_1m/btcusdt@aggTrade"
    sent = await frames(local, "", 2, 16, path)
    recorded = [json.loads(line) for line in lines]
    for name in ("btcusdt@kline_1m", "btcusdt@aggTrade"):
        ours = [one for one in sent if one["stream"] == name]
        theirs = [one for one in recorded if one["stream"] == name]
        assert ours
        assert theirs
        for frame in ours:
            same_shape(frame, theirs[0])
            assert list(frame["data"]) == list(theirs[0]["data"])  # in the same order, too
    closing = [one["data"]["k"]["x"] for one in recorded if "kline" in one["stream"]]
    assert {True, False} == set(closing)


@pytest.mark.parametrize(
    "interval",
    ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"],
)
async def test_every_interval_counts_its_candle_as_rest_reduces_it(
    local: Local, interval: str
) -> None:
    sent = await frames(local, f"btcusdt@kline_{interval}", 7, 27)
    k = sent[-1]["k"]
    timeframe = parse_timeframe(interval)
    assert k["t"] == timeframe.floor(sent[-1]["E"] - 1)
    assert k["T"] == timeframe.next(k["t"]) - 1
    query = f"symbol=BTCUSDT&interval={interval}&startTime={k['t']}&limit=1"
    _, rows = await local.call("GET", "/api/v3/klines", query=query)
    names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
    if k["x"]:
        assert rows[0][:11] == [k[name] for name in names]  # type: ignore[index]
    else:
        assert rows[0][:3] == [k[name] for name in ("t", "o", "h")]  # type: ignore[index]


async def test_a_day_in_china_begins_at_sixteen_hours_of_the_day_before(local: Local) -> None:
    eight_hours = 8 * 3_600_000
    (frame,) = await frames(local, "btcusdt@kline_1d@+08:00", 1, 1)
    k = frame["k"]
    assert (k["t"] + eight_hours) % 86_400_000 == 0
    assert k["T"] - k["t"] == 86_400_000 - 1
    records = local.candles.records[: FIRST + 1]
    day = records[records["open_time"] >= k["t"]]
    # The candle of the replay has only printed its open and its low so far.
    highs = [*day["high"][:-1], day["open"][-1]]
    assert float(k["h"]) == max(highs)
    assert float(k["o"]) == day["open"][0]


async def test_times_come_in_microseconds_where_they_are_asked_for(local: Local) -> None:
    path = "/stream?streams=btcusdt@kline_1m&timeUnit=MICROSECOND"
    (frame,) = await frames(local, "", 1, 1, path)
    event, k = frame["data"], frame["data"]["k"]
    opened = int(local.candles.records["open_time"][FIRST])
    assert k["t"] == opened * 1000
    assert k["T"] == (opened + 60_000) * 1000 - 1
    assert event["E"] // 1000 == opened + 19_999  # the low, a third into the minute
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@trade?timeUnit=HOUR")
    assert error.value.status == 400


def applied(book: dict[str, dict[str, str]], frame: Frame) -> None:
    """Change a book of texts as a client does: set a level, or drop it at nothing."""
    for side, name in (("bids", "b"), ("asks", "a")):
        for price, quantity in frame[name]:
            if float(quantity):
                book[side][price] = quantity
            else:
                book[side].pop(price, None)


async def test_a_book_kept_by_the_rules_of_the_docs_is_the_snapshot(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@depth") as socket:
        await local.admin("POST", "/admin/advance")
        _, snapshot = await local.call("GET", "/api/v3/depth", query="symbol=BTCUSDT&limit=1000")
        assert isinstance(snapshot, dict)
        book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        last = snapshot["lastUpdateId"]
        await local.signed("POST", ORDER, RESTING)
        await local.admin("POST", "/admin/advance")
        await local.signed("DELETE", ORDER, "symbol=BTCUSDT&orderId=1")
        await local.signed("POST", ORDER, RESTING.replace("50000", "51000"))
        heard: list[Frame] = []
        while not heard or heard[-1]["u"] < local.exchange.venue.updates["BTCUSDT"]:
            heard.append(await asyncio.wait_for(socket.receive_json(), 5))
    assert [two["U"] for two in heard[1:]] == [one["u"] + 1 for one in heard[:-1]]
    kept = [frame for frame in heard if frame["u"] > last]
    assert kept[0]["U"] <= last + 1 <= kept[0]["u"]
    for frame in kept:
        applied(book, frame)
    _, after = await local.call("GET", "/api/v3/depth", query="symbol=BTCUSDT&limit=1000")
    assert isinstance(after, dict)
    assert book == {side: dict(after[side]) for side in ("bids", "asks")}
    assert "51000.00000000" in book["bids"]
    assert "50000.00000000" not in book["bids"]


@pytest.mark.parametrize("seed", range(8))
def test_whoever_takes_a_snapshot_in_between_ends_with_the_true_book(seed: int) -> None:
    chance = random.Random(seed)
    candles = made_up()
    market = {SYMBOL: (instrument(SYMBOL), Tape(candles), candles.first)}
    settings = Settings(balances=(("USDT", to_e8("1000000")), ("BTC", to_e8("100"))))
    venue = Venue(settings, Accounts(generate(1)), market)
    feed = open_feed(venue, parse_stream("btcusdt@depth"))

    def snapshot() -> dict[str, dict[str, str]]:
        answer: Frame = depth(venue, Parameters({"symbol": SYMBOL, "limit": "5000"}), 0)
        return {side: dict(answer[side]) for side in ("bids", "asks")}

    for _ in range(60):
        books = []
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.5:
                played = venue.play(SYMBOL)
                assert list(feed.on_print(played)) == []
            else:
                price = to_e8(str(chance.randint(80_000, 85_000)))
                order = NewOrder(
                    "account-1", SYMBOL, Side.BUY, OrderType.LIMIT, to_e8("0.01"), price_e8=price
                )
                venue.place(order)
                assert list(feed.on_book(SYMBOL)) == []
            books.append(snapshot())
        for frame in feed.flush():
            for book in books:
                applied(book, frame)
        assert all(book == snapshot() for book in books)


async def test_paced_streams_wait_for_the_wall_and_lose_no_change(open_exchange: Opener) -> None:
    async with open_exchange(made_up(4_000), pace=Pace.TIME, speed=6_000.0, hold_s=0.0) as local:
        names = "btcusdt@depth@100ms/btcusdt@depth/btcusdt@miniTicker/btcusdt@trade"
        heard: dict[str, list[tuple[float, Frame]]] = {}
        url = f"{local.running.ws}/stream?streams={names}"
        clock = local.exchange.clock
        begun = clock.elapsed()
        async with local.http.ws_connect(url) as socket:
            while clock.elapsed() - begun < 2.5:
                frame = await asyncio.wait_for(socket.receive_json(), 5)
                heard.setdefault(frame["stream"], []).append((clock.elapsed(), frame["data"]))
            lasted = clock.elapsed() - begun
    for name, pause_s in (
        ("btcusdt@depth@100ms", 0.1),
        ("btcusdt@depth", 1.0),
        ("btcusdt@miniTicker", 1.0),
    ):
        assert 2 <= len(heard[name]) <= 1 + lasted / pause_s, name
        assert len(heard[name]) < len(heard["btcusdt@trade"])
    for name in ("btcusdt@depth@100ms", "btcusdt@depth"):
        found = [frame for _, frame in heard[name]]
        assert [two["U"] for two in found[1:]] == [one["u"] + 1 for one in found[:-1]]


async def test_a_retired_or_misspelt_stream_is_refused_with_the_mend(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws") as socket:
        for name, said in (
            ("!ticker@arr", "retired by Binance"),
            ("BTCUSDT@trade", "lower case"),
            ("btcusdt@depth7", "not served"),
            ("btcusdt@kline_7m", "unknown interval"),
        ):
            await socket.send_json({"method": "SUBSCRIBE", "params": [name], "id": 1})
            answer = await asyncio.wait_for(socket.receive_json(), 5)
            assert answer["code"] == 2
            assert said in answer["msg"]
