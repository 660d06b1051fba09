"""Ten clients of a thousand kline streams each, in a process of their own.

    python -m tests.benchmarks.stream_load PORT SYMBOLS CLIENTS SECONDS

It prints, as JSON, when every close frame was read: [client, symbol, open_ms, elapsed_s]. Reading is
as lean as it can be, chunks with their time and nothing else, so that the clock measures the exchange
and not Python's parsing of ten thousand frames a second; the chunks are taken apart at the end.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator

CLOSE = re.compile(rb'"k":\{"t":(\d+),"T":\d+,"s":"(\w+)"[^{}]*?"x":true')
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Client:
    """One WebSocket, by hand."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.times: list[float] = []

    async def listen(self, port: int, streams: list[str], seconds: float) -> None:
        """Subscribe, and read for so long."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(head.encode())
        await reader.readuntil(b"\r\n\r\n")
        ask = {"method": "SUBSCRIBE", "params": streams, "id": 1}
        writer.write(_masked(json.dumps(ask).encode()))
        until = time.clock_gettime(_CLOCK) + seconds
        while (left := until - time.clock_gettime(_CLOCK)) > 0:
            try:
                chunk = await asyncio.wait_for(reader.read(1 << 20), left)
            except TimeoutError:
                break
            self.chunks.append(chunk)
            self.times.append(time.clock_gettime(_CLOCK))
        writer.close()

    def closes(self) -> Iterator[tuple[str, int, float]]:
        """Yield (symbol, open_ms, when the end of the frame was read)."""
        ends, total = [], 0
        for chunk in self.chunks:
            total += len(chunk)
            ends.append(total)
        for match in CLOSE.finditer(b"".join(self.chunks)):
            read_at = self.times[min(bisect_right(ends, match.end()), len(ends) - 1)]
            yield match[2].decode(), int(match[1]), read_at


def _masked(payload: bytes) -> bytes:
    """Return a client's text frame; a mask of zeros changes nothing."""
    return struct.pack("!BBH", 0x81, 0x80 | 126, len(payload)) + bytes(4) + payload


async def _run(port: int, symbols: int, clients: int, seconds: float) -> list[Client]:
    streams = [f"c{number:04}usdt@kline_1m" for number in range(1, symbols + 1)]
    listening = [Client() for _ in range(clients)]
    await asyncio.gather(*(one.listen(port, streams, seconds) for one in listening))
    return listening


def main() -> None:
    port, symbols, clients = map(int, sys.argv[1:4])
    found = asyncio.run(_run(port, symbols, clients, float(sys.argv[4])))
    rows = [[number, *close] for number, one in enumerate(found) for close in one.closes()]
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
