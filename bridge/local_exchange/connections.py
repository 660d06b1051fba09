"""One WebSocket of a client: frames leave in order, and who breaks the rules is disconnected.

Frames of a server are not masked, so that one encoded frame serves every listener: `frame_of` makes
it once, `send` hands it to the socket of each with what else the turn of the loop brought. As at
Binance the exchange pings every 20 s and drops who sends no pong for a minute, ends every
connection after a day, and drops who sends more than five messages a second.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, WSMsgType, web

from bridge.clock import Clock
from bridge.local_exchange.settings import SocketRules

CLOSE_S = 1.0  # how long a client may take to say goodbye
BACKLOG_BYTES = 64 << 20
LONGEST_MESSAGE = 1 << 20
MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG)
_TEXT = 0x81


def frame_of(text: str) -> bytes:
    """Return a text as the one WebSocket frame that a server sends."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


class Connection:
    """An open WebSocket; `messages_a_second` bounds what its client may send."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        clock: Clock,
        rules: SocketRules,
        *,
        counts_texts: bool,
    ) -> None:
        assert request.transport is not None
        self.socket = socket
        self.opened_ms = clock.wall_ms()
        self._transport = request.transport
        self._clock = clock
        self._rules = rules
        self._counts_texts = counts_texts
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._heard: deque[float] = deque(maxlen=rules.messages_a_second + 1)
        self._pong_at = clock.elapsed()
        self._closing: asyncio.Task[bool] | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._timers = [
            self._loop.call_later(rules.ping_s, self._ping),
            self._loop.call_later(rules.life_s, self.close),
        ]

    def send(self, text: str) -> None:
        """Send a text after all that was sent before."""
        self.send_frame(frame_of(text))

    def send_frame(self, frame: bytes) -> None:
        """Send a frame of `frame_of`; a client that reads too slowly is disconnected."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(frame)

    def close(self, code: int = WSCloseCode.GOING_AWAY, reason: str = "") -> None:
        """Say goodbye and end the connection."""
        if self._closing is None:
            self._flush()
            self._closing = asyncio.ensure_future(
                self.socket.close(code=code, message=reason.encode())
            )

    def abort(self) -> None:
        """End the connection at once, without a word."""
        self._waiting.clear()
        self._transport.abort()

    async def texts(self) -> AsyncIterator[str]:
        """Yield the texts that the client sends, until either side ends the connection."""
        while True:
            message = await self.socket.receive()
            if message.type not in MESSAGES:
                return
            if self._too_many(message.type):
                self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
            elif message.type is WSMsgType.TEXT:
                yield message.data
            elif message.type is WSMsgType.PING:
                await self.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._pong_at = self._clock.elapsed()
            else:
                self.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")

    async def finish(self) -> None:
        """Send what waits, close the socket and stop the timers."""
        for timer in self._timers:
            timer.cancel()
        self.close()
        assert self._closing is not None
        await asyncio.gather(self._closing, return_exceptions=True)

    def _flush(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
            if self._transport.get_write_buffer_size() > BACKLOG_BYTES:
                self.abort()
        self._waiting.clear()

    def _too_many(self, kind: WSMsgType) -> bool:
        if kind is WSMsgType.TEXT and not self._counts_texts:
            return False
        self._heard.append(self._clock.elapsed())
        full = len(self._heard) > self._rules.messages_a_second
        return full and self._heard[-1] - self._heard[0] < 1.0

    def _ping(self) -> None:
        if self._clock.elapsed() - self._pong_at > self._rules.pong_s:
            self.abort()
            return
        self._pinging = asyncio.ensure_future(self._send_ping())
        self._timers[0] = self._loop.call_later(self._rules.ping_s, self._ping)

    async def _send_ping(self) -> None:
        try:
            await self.socket.ping(str(self._clock.wall_ms()).encode())
        except (ConnectionError, RuntimeError):
            self.abort()


@asynccontextmanager
async def accepted(
    request: web.Request, clock: Clock, rules: SocketRules, *, counts_texts: bool
) -> AsyncIterator[Connection]:
    """Accept a WebSocket and end it in every case."""
    socket = web.WebSocketResponse(
        autoping=False, compress=False, timeout=CLOSE_S, max_msg_size=LONGEST_MESSAGE
    )
    await socket.prepare(request)
    connection = Connection(request, socket, clock, rules, counts_texts=counts_texts)
    try:
        yield connection
    finally:
        await connection.finish()
