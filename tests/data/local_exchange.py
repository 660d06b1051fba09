"""The project's own exchange on loopback, in a thread of the test: stepped by hand, cut at will."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.local_exchange.faults import parse_fault
from bridge.local_exchange.server import Running, serving
from bridge.local_exchange.settings import Pace, Settings


def stepped(**settings: object) -> Settings:
    """Return the settings of an exchange that waits for `advance`, on made-up candles."""
    return Settings(**{"data": "synthetic", "pace": Pace.STEP, **settings})  # type: ignore[arg-type]


@dataclass(slots=True)
class LocalExchange:
    """An exchange that runs for as long as the block lasts."""

    settings: Settings
    running: Running | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _end: asyncio.Event | None = None

    def __enter__(self) -> LocalExchange:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        assert self.running is not None
        return self

    def __exit__(self, *_: object) -> None:
        assert self._end is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        self._loop.close()

    @property
    def url(self) -> str:
        """Return the base URL of the REST API."""
        assert self.running is not None
        return self.running.rest

    @property
    def connections(self) -> int:
        """Return how many WebSockets are open."""
        return len(self._exchange.open_sockets)

    def advance(self, count: int = 1) -> None:
        """Close so many candles of every symbol, and open the next."""
        for _ in range(count):
            for name in self._exchange.venue.replays:
                self._do(lambda name=name: self._exchange.venue.advance(name))

    def plan(self, match: str, do: str, **more: object) -> None:
        """Arm a fault of the exchange's own plan."""
        fault = parse_fault({"match": match, "do": do, **more})
        self._do(lambda: self._exchange.faults.add(fault))

    def go_down(self) -> None:
        """Say serverShutdown on every WebSocket and close it, as before a maintenance."""
        self._do(self._exchange.shut_down)

    def cut(self) -> None:
        """End every WebSocket at once, without a goodbye."""
        self._do(lambda: [one.abort() for one in list(self._exchange.open_sockets)])

    @property
    def _exchange(self):  # type: ignore[no-untyped-def]
        assert self.running is not None
        return self.running.exchange

    def _do(self, work: Callable[[], object]) -> None:
        done = threading.Event()

        def act() -> None:
            work()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        async with serving(self.settings) as self.running:
            self._ready.set()
            await self._end.wait()
