"""Market streams: who listens to which, and the delivery of what their feeds make.

A feed lives while somebody listens. What it makes is encoded once a form (alone or named, milli- or
microseconds) and the same bytes go to every listener. In step pace nothing is thrown away: every
print flushes every feed that it changed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.local_exchange.connections import Connection, frame_of
from bridge.local_exchange.faults import Do, FaultPlan
from bridge.local_exchange.feeds import Event, Feed, open_feed
from bridge.local_exchange.replay import Played
from bridge.local_exchange.settings import Pace
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.stream_names import StreamName, parse_stream
from bridge.local_exchange.time_units import in_microseconds
from bridge.local_exchange.venue import Venue
from bridge.local_exchange.wire import encode
from workbench.errors import UsageError
from workbench.execution.matching.tape import refuse_finer


@dataclass(slots=True, eq=False)
class Subscriber:
    """A connection's streams, whether frames name theirs, and in which unit times are told."""

    connection: Connection
    combined: bool
    microseconds: bool = False
    streams: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Channel:
    """One stream with its feed and its listeners."""

    name: StreamName
    feed: Feed
    listeners: dict[Subscriber, None] = field(default_factory=dict)
    sent_at: float = -1e9
    held: list[Event] = field(default_factory=list)  # frames that a fault holds back


class Streams:
    """The hub between the venue and everybody who listens to market data."""

    def __init__(self, venue: Venue, clock: Clock, faults: FaultPlan) -> None:
        self._venue = venue
        self._clock = clock
        self._faults = faults
        self._channels: dict[str, _Channel] = {}
        self._of_symbol: dict[str, dict[str, _Channel]] = defaultdict(dict)
        self._waiting: dict[_Channel, None] = {}

    def refuse(self, text: str) -> str | None:
        """Return why a stream cannot be served, None where it can."""
        try:
            name = parse_stream(text)
            if name.symbol and name.symbol not in self._venue.replays:
                return f"stream {text!r}: no such symbol is replayed"
            if name.symbol and name.timeframe and "kline" in text:
                source = self._venue.replays[name.symbol].tape.timeframe
                refuse_finer(name.timeframe, source, name.offset_ms)
        except UsageError as error:
            return str(error)
        return None

    def add(self, subscriber: Subscriber, text: str) -> None:
        """Let a subscriber hear a stream from now on."""
        channel = self._channels.get(text)
        if channel is None:
            name = parse_stream(text)
            channel = self._channels[text] = _Channel(name, open_feed(self._venue, name))
            self._of_symbol[name.symbol][text] = channel
        channel.listeners[subscriber] = None
        subscriber.streams[text] = None

    def remove(self, subscriber: Subscriber, text: str) -> None:
        """Stop a stream for a subscriber."""
        subscriber.streams.pop(text, None)
        channel = self._channels.get(text)
        if channel is None:
            return
        channel.listeners.pop(subscriber, None)
        if not channel.listeners:
            del self._channels[text], self._of_symbol[channel.name.symbol][text]
            self._waiting.pop(channel, None)

    def on_print(self, symbol: str, played: Played) -> None:
        """Send the frames that a print makes."""
        now_s = self._clock.elapsed()
        for channel in self._heard_by(symbol):
            self._publish(channel, channel.feed.on_print(played), now_s)
            self._offer(channel, now_s)

    def on_book(self, symbol: str) -> None:
        """Send the frames that users' orders make."""
        now_s = self._clock.elapsed()
        for channel in self._heard_by(symbol):
            self._publish(channel, channel.feed.on_book(symbol), now_s)
            self._offer(channel, now_s)

    def flush(self) -> None:
        """Send the frames whose time has come; to be called often."""
        now_s = self._clock.elapsed()
        for channel in list(self._waiting):
            self._offer(channel, now_s)

    def send_shutdown(self, subscriber: Subscriber, event: Object) -> None:
        """Tell one listener that the exchange goes down."""
        form = (subscriber.combined, subscriber.microseconds)
        subscriber.connection.send_frame(_frame("!serverShutdown", event, *form))

    def _heard_by(self, symbol: str) -> list[_Channel]:
        return [*self._of_symbol[symbol].values(), *self._of_symbol[""].values()]

    def _offer(self, channel: _Channel, now_s: float) -> None:
        """Flush a paced feed if its time has come, else keep it waiting."""
        every_s = channel.name.every_s
        if not every_s:
            return
        if self._venue.settings.pace is Pace.STEP or now_s - channel.sent_at >= every_s:
            self._waiting.pop(channel, None)
            self._publish(channel, channel.feed.flush(), now_s)
        else:
            self._waiting[channel] = None

    def _publish(self, channel: _Channel, events: Iterable[Event], now_s: float) -> None:
        for event in events:
            channel.sent_at = now_s
            if self._faults.empty or not self._suffers(channel, event):
                self._send(channel, event)
                while channel.held:
                    self._send(channel, channel.held.pop(0))

    def _suffers(self, channel: _Channel, event: Event) -> bool:
        """Act out the fault planned for a frame; whether it is not to be sent as usual."""
        fault = self._faults.arrive(f"STREAM {channel.name.text}")
        if fault is None:
            return False
        if fault.do is Do.REORDER:
            channel.held.append(event)
        elif fault.do is Do.DELAY:
            loop = asyncio.get_running_loop()
            loop.call_later(fault.ms / 1000, self._send, channel, event)
        elif fault.do is Do.DUP:
            self._send(channel, event)
        elif fault.do is Do.CLOSE:
            self._send(channel, event)
            for subscriber in channel.listeners:
                subscriber.connection.close()
        return fault.do is not Do.DUP

    def _send(self, channel: _Channel, event: Event) -> None:
        forms: dict[tuple[bool, bool], bytes] = {}
        for subscriber in channel.listeners:
            form = (subscriber.combined, subscriber.microseconds)
            if form not in forms:
                forms[form] = _frame(channel.name.text, event, *form)
            subscriber.connection.send_frame(forms[form])


def _frame(name: str, event: Event, combined: bool, microseconds: bool) -> bytes:
    raw = encode(in_microseconds(event) if microseconds else event)
    return frame_of(f'{{"stream":"{name}","data":{raw}}}' if combined else raw)
