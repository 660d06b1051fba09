"""Market streams: what was subscribed arrives, in order, and is the source's candles again."""

from __future__ import annotations

import asyncio
import json
import random
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import aiohttp
import pytest

from bridge.local_exchange.settings import SocketRules
from tests.local_exchange.conftest import FIRST, Local, Opener


async def heard(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict]:  # type: ignore[type-arg]
    return [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(count)]


async def ask(
    socket: aiohttp.ClientWebSocketResponse, method: str, params: object, number: int
) -> dict:  # type: ignore[type-arg]
    await socket.send_json({"method": method, "params": params, "id": number})
    return (await heard(socket, 1))[0]


async def test_candles_rebuilt_from_the_trade_stream_are_the_klines_and_the_source(
    local: Local,
) -> None:
    url = f"{local.running.ws}/stream?streams=btcusdt@trade/btcusdt@kline_1m"
    async with local.http.ws_connect(url) as socket:
        for _ in range(6):
            await local.admin("POST", "/admin/advance")
        frames = await heard(socket, 6 * 8)
    trades = [one["data"] for one in frames if one["stream"].endswith("@trade")]
    closed = [
        one["data"]["k"] for one in frames if one["data"]["e"] == "kline" and one["data"]["k"]["x"]
    ]
    source = local.candles.records[FIRST + 1 : FIRST + 6]
    assert [k["t"] for k in closed[1:]] == source["open_time"].tolist()
    for candle, kline in zip(source, closed[1:], strict=True):
        of = [t for t in trades if kline["t"] <= t["T"] <= kline["T"]]
        prices = [Decimal(t["p"]) for t in of]
        built = [prices[0], max(prices), min(prices), prices[-1], sum(Decimal(t["q"]) for t in of)]
        assert built == [Decimal(kline[name]) for name in "ohlcv"]
        assert [float(value) for value in built] == [
            candle[name] for name in ("open", "high", "low", "close", "volume")
        ]
        assert (of[0]["t"], of[-1]["t"], len(of)) == (kline["f"], kline["L"], kline["n"])


async def test_a_stream_candle_is_the_one_that_rest_gives(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@kline_5m") as socket:
        for _ in range(6):
            await local.admin("POST", "/admin/advance")
        frames = [one["k"] for one in await heard(socket, 24)]
    closed = [k for k in frames if k["x"]]
    assert len(closed) == 1  # the replay began at the open of a five-minute candle
    _, rows = await local.call(
        "GET",
        "/api/v3/klines",
        query=f"symbol=BTCUSDT&interval=5m&startTime={closed[0]['t']}&limit=1",
    )
    row, k = rows[0], closed[0]  # type: ignore[index]
    names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
    assert row[:11] == [k[name] for name in names]


async def test_subscriptions_are_added_listed_and_removed(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws/0") as socket:
        assert await ask(socket, "SUBSCRIBE", ["btcusdt@trade", "btcusdt@kline_1h"], 1) == {
            "result": None,
            "id": 1,
        }
        listed = await ask(socket, "LIST_SUBSCRIPTIONS", None, 2)
        assert listed == {"result": ["btcusdt@trade", "btcusdt@kline_1h"], "id": 2}
        await ask(socket, "UNSUBSCRIBE", ["btcusdt@kline_1h"], 3)
        await ask(socket, "SET_PROPERTY", ["combined", True], 4)
        await local.admin("POST", "/admin/advance")
        assert {one["stream"] for one in await heard(socket, 4)} == {"btcusdt@trade"}
        assert (await ask(socket, "GET_PROPERTY", ["combined"], 5))["result"] is True


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@kline_1s"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["nopeusdt@trade"],"id":1}', 2),
        ('{"method":"SING","params":[],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
    ],
)
async def test_a_bad_frame_is_answered_and_the_socket_lives_on(
    local: Local, frame: str, code: int
) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws") as socket:
        await socket.send_str(frame)
        assert (await heard(socket, 1))[0]["code"] == code
        assert (await ask(socket, "LIST_SUBSCRIPTIONS", None, 9))["result"] == []


async def test_an_interval_finer_than_the_source_is_refused_aloud(local: Local) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@kline_1s")
    assert error.value.status == 400
    status, answer = await local.call("GET", "/api/v3/klines", query="symbol=BTCUSDT&interval=1s")
    assert (status, answer["code"]) == (400, -1120)  # type: ignore[index]
    assert "replay of 1m candles" in answer["msg"]  # type: ignore[index]


async def test_book_ticker_stands_a_slippage_around_the_print(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@bookTicker") as socket:
        await local.admin("POST", "/admin/advance")
        quote = (await heard(socket, 3))[-1]  # low, high, close; the open stands at the close
    price = Decimal(str(local.candles.records["open"][FIRST + 1]))
    cent = Decimal("0.01")
    above, below = price * Decimal("1.0001"), price * Decimal("0.9999")
    assert Decimal(quote["a"]) == above.quantize(cent, ROUND_CEILING)
    assert Decimal(quote["b"]) == below.quantize(cent, ROUND_FLOOR)


async def test_open_sockets_do_not_hold_up_the_end(open_exchange: Opener) -> None:
    async with aiohttp.ClientSession() as http:
        async with open_exchange() as local:
            market = await http.ws_connect(f"{local.running.ws}/ws/btcusdt@trade")
            api = await http.ws_connect(f"{local.running.ws}/ws-api/v3")
        assert (await market.receive_json(timeout=3))["e"] == "serverShutdown"
        assert (await api.receive_json(timeout=3))["event"]["e"] == "serverShutdown"
        for socket in (market, api):
            message = await asyncio.wait_for(socket.receive(), 3)
            assert message.type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSING,
            )


def _frame(chance: random.Random) -> str | bytes:
    """Return a frame that no client of ours would send, or nearly a good one."""
    junk: list[object] = [
        None, True, -1, 1e400, "", "\ud83d\ude80", [], {}, ["btcusdt@trade"], ["btcusdt@depth@1ms"],
        "btcusdt@trade", [1], ["x" * 5_000], {"a": [[]]}, "combined", ["combined", None], 2**70,
    ]  # fmt: skip
    methods = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]
    kind = chance.randrange(5)
    if kind == 4:
        return "[" * chance.randrange(1, 200_000)
    if kind == 0:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
    if kind == 1:
        return "".join(chr(chance.randrange(32, 0x2FF)) for _ in range(chance.randrange(60)))
    request = {
        "method": chance.choice([*methods, *junk]),
        "params": chance.choice(junk),
        "id": chance.choice([1, *junk]),
    }
    text = json.dumps(request)
    return text[: chance.randrange(len(text))] if kind == 2 else text


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_a_client_sends_is_answered_or_ends_its_own_connection_alone(
    open_exchange: Opener, seed: int
) -> None:
    chance = random.Random(seed)
    async with open_exchange(sockets=SocketRules(messages_a_second=10**6)) as local:
        listener = await local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@trade")
        for _ in range(12):
            path = chance.choice(["/ws", "/stream", "/ws/btcusdt@trade"])
            async with local.http.ws_connect(f"{local.running.ws}{path}") as socket:
                for _ in range(20):
                    frame = _frame(chance)
                    if isinstance(frame, bytes):
                        await socket.send_bytes(frame)
                        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
                        break
                    await socket.send_str(frame)
                    answer = await socket.receive_json(timeout=5)
                    assert set(answer) in ({"result", "id"}, {"code", "msg"}, {"code", "msg", "id"})
                    assert "Traceback" not in str(answer)
        await local.admin("POST", "/admin/advance")
        assert (await listener.receive_json(timeout=5))["e"] == "trade"
        await listener.close()
        assert not local.exchange.streams._channels  # every subscription went with its socket
