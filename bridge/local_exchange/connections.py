"""One WebSocket of a client: frames leave in order, and a client that does not read is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, WSMessageTypeError, web

PING_S = 20.0
CLOSE_S = 1.0  # how long a client may take to say goodbye
BACKLOG_FRAMES = 20_000


class Connection:
    """An open WebSocket with its own queue and writer."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(BACKLOG_FRAMES)
        self._writer = asyncio.create_task(self._write())

    def send(self, frame: str) -> None:
        """Queue a frame; a client so far behind that the queue is full is disconnected."""
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """End the connection at once, without a closing handshake."""
        self._writer.cancel()

    async def texts(self) -> AsyncIterator[str]:
        """Yield the text frames that the client sends, until it closes."""
        while not self._writer.done():
            receive = asyncio.ensure_future(self.socket.receive_str())
            await asyncio.wait({receive, self._writer}, return_when=asyncio.FIRST_COMPLETED)
            if not receive.done():
                receive.cancel()
                return
            try:
                yield receive.result()
            except (WSMessageTypeError, TypeError):
                return

    async def finish(self) -> None:
        """Stop the writer and close the socket."""
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        if not self.socket.closed:
            await self.socket.close(code=WSCloseCode.GOING_AWAY, message=b"")

    async def _write(self) -> None:
        while True:
            frame = await self._queue.get()
            if frame is None:
                return
            try:
                await self.socket.send_str(frame)
            except (ConnectionError, RuntimeError):
                return


@asynccontextmanager
async def accepted(request: web.Request) -> AsyncIterator[Connection]:
    """Accept a WebSocket and end it in every case."""
    socket = web.WebSocketResponse(heartbeat=PING_S, timeout=CLOSE_S, max_msg_size=1 << 20)
    await socket.prepare(request)
    connection = Connection(socket)
    try:
        yield connection
    finally:
        await connection.finish()
