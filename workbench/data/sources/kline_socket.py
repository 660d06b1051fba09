"""One connection for many kline streams: opened, subscribed, read, and closed in time.

Binance allows 1,024 streams a connection, five messages a second to it, and ends it after 24 hours;
so it is closed and opened anew before that. A server that says serverShutdown, or nothing at all for
too long, is left as well. Each of these only ends `frames`; what was missed meanwhile is the
caller's to ask for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from workbench.data.sources.address import is_loopback
from workbench.data.sources.kline_frames import Answer, Shutdown, StreamedKline, told_by
from workbench.data.sources.patience import Patience
from workbench.errors import ExchangeError, UsageError

MAX_STREAMS = 1_024
ROTATE_S = 23.5 * 3_600
_NAMES_A_REQUEST = 200
_LOOK_S = 0.5  # how often a silent stream is looked at, and Ctrl-C heard
_UNREAD = 20_000  # frames that may wait while a hole is filled
Broken = (OSError, TimeoutError, EOFError, WebSocketException)  # how a connection ends badly


@dataclass(frozen=True, slots=True)
class KlineSocket:
    """The market streams at `url`; `silent_s` is how long they may tell nothing, None for ever."""

    url: str
    patience: Patience
    silent_s: float | None = 60.0
    rotate_s: float = ROTATE_S

    @contextmanager
    def subscribed(self, names: Sequence[str]) -> Iterator[OpenStreams]:
        """Open a connection that listens to all the streams named.

        Raises UsageError for more than 1,024 and for a name the server refuses, ExchangeError
        where it does not answer as a stream server does.
        """
        if len(names) > MAX_STREAMS:
            raise UsageError(
                f"{len(names):,} streams, but a connection takes {MAX_STREAMS:,}; "
                "run several collections with fewer symbols or intervals each"
            )
        with connect(
            f"{self.url.rstrip('/')}/stream",
            open_timeout=self.patience.timeout_s,
            close_timeout=1.0,
            max_queue=_UNREAD,
            **({"proxy": None} if is_loopback(self.url) else {}),
        ) as socket:
            opened = OpenStreams(socket, self)
            opened.subscribe(names)
            yield opened


class OpenStreams:
    """A connection that listens."""

    def __init__(self, socket: ClientConnection, settings: KlineSocket) -> None:
        self._socket = socket
        self._settings = settings
        self._ends = time.monotonic() + settings.rotate_s
        self._early: list[StreamedKline] = []

    def subscribe(self, names: Sequence[str]) -> None:
        """Ask for the streams, and return once every request was granted."""
        for number, at in enumerate(range(0, len(names), _NAMES_A_REQUEST), 1):
            part = list(names[at : at + _NAMES_A_REQUEST])
            self._socket.send(_request(number, part))
            if at:
                self._settings.patience.sleep(0.25)  # at most five messages a second
            self._await_answer(number)

    def frames(self) -> Iterator[StreamedKline]:
        """Yield kline frames until the connection should be opened anew.

        Raises one of `Broken` where it ended by itself, or fell silent.
        """
        yield from self._early
        heard = time.monotonic()
        while (now := time.monotonic()) < self._ends:
            try:
                message = self._socket.recv(timeout=_LOOK_S)
            except TimeoutError:
                silent_s = self._settings.silent_s
                if silent_s is not None and now - heard > silent_s:
                    raise TimeoutError(f"no frame for {silent_s:g} s") from None
                continue
            heard = now
            told = told_by(message)
            if isinstance(told, Shutdown):
                return
            if isinstance(told, StreamedKline):
                yield told

    def _await_answer(self, number: int) -> None:
        deadline = time.monotonic() + self._settings.patience.timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            told = told_by(self._socket.recv(timeout=left_s))
            if isinstance(told, StreamedKline):
                self._early.append(told)
            elif isinstance(told, Answer) and told.error:
                raise UsageError(f"{self._settings.url} refused the streams: {told.error}")
            elif isinstance(told, Answer) and told.id == number:
                return
        raise ExchangeError(
            f"{self._settings.url}: SUBSCRIBE was not answered; is it a Binance stream server?"
        )


def _request(number: int, names: list[str]) -> str:
    return json.dumps({"method": "SUBSCRIBE", "params": names, "id": number})
