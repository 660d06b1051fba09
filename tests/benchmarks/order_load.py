"""Servers and a client for order-rate measurements: each server a process, the client raw sockets.

The client writes requests that were signed beforehand and counts bytes of the answers, so that its
own work is small against either server's.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from aiohttp import web

from bridge.local_exchange.security import sign

ORDER = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001&recvWindow=60000"
CONNECTIONS = 4


@contextmanager
def exchange() -> Iterator[tuple[int, str, str]]:
    """Run `bridge exchange` over made-up candles; give (port, key, secret)."""
    command = [
        *(sys.executable, "-m", "bridge.cli", "exchange", "--json", "--ephemeral"),
        *(
            "--data",
            "synthetic",
            "--pace",
            "step",
            "--balance",
            "USDT=1000000000",
            "--order-limit",
            "100000000",
        ),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        said = json.loads(process.stdout.readline())
        account = said["accounts"][0]
        try:
            yield int(said["rest"].rpartition(":")[2]), account["api_key"], account["secret"]
        finally:
            process.stdin.close()
            process.wait(10)


@contextmanager
def echo() -> Iterator[int]:
    """Run a bare aiohttp server that answers every POST with its own body; give its port."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_echo, args=[theirs], daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join(10)


def posts_a_second(port: int, key: str, secret: str, count: int) -> float:
    """Send that many signed orders over four connections; return how many were answered a second."""
    requests = [_request(key, secret) for _ in range(count)]
    started = time.perf_counter()
    asyncio.run(_send(port, requests))
    return count / (time.perf_counter() - started)


def _request(key: str, secret: str) -> bytes:
    text = f"{ORDER}&timestamp={time.time_ns() // 1_000_000}"
    body = f"{text}&signature={sign(secret, text)}".encode()
    head = (
        f"POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1\r\nX-MBX-APIKEY: {key}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send(port: int, requests: list[bytes]) -> None:
    await asyncio.gather(*(_talk(port, requests[i::CONNECTIONS]) for i in range(CONNECTIONS)))


async def _talk(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head[:20], head
        _, _, rest = head.lower().partition(b"content-length:")
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()


def _echo(pipe: Connection) -> None:
    asyncio.run(_serve_echo(pipe))


async def _serve_echo(pipe: Connection) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/api/v3/order", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()
