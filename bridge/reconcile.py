"""Three-valued truth about an order that may or may not have reached the exchange.

Theory. A request may still be applied until `timestamp + recvWindow + backend timeout`; before
that moment, "Order does not exist" (-2013) proves nothing, and the answer comes from a database
that lags. So PROVEN_ABSENT takes two such answers, apart in time, both after that horizon. Any
sighting of the order, by query or by stream, proves the opposite. Until one of them is proven the
truth is UNKNOWN, and nothing is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

RECV_WINDOW_MS = 2_000
MARGIN_SECONDS = 0.5
SPACING_SECONDS = 0.5


class Truth(Enum):
    """What is known of an order."""

    PROVEN_DONE = "the exchange knows it"
    PROVEN_ABSENT = "the exchange never took it and no longer can"
    UNKNOWN = "nobody knows yet"


@dataclass(slots=True)
class Inquiry:
    """The search for one order, begun at `since` (elapsed seconds; the latest moment it can have been sent)."""

    since: float
    horizon_seconds: float
    _absent_at: list[float] = field(default_factory=list)
    _seen: bool = False

    @classmethod
    def begin(cls, now: float, backend_timeout_ms: int) -> Inquiry:
        """Start searching for an order that was sent at `now` or before."""
        return cls(now, (RECV_WINDOW_MS + backend_timeout_ms) / 1000 + MARGIN_SECONDS)

    @property
    def truth(self) -> Truth:
        """Return what has been proven so far."""
        if self._seen:
            return Truth.PROVEN_DONE
        return Truth.PROVEN_ABSENT if len(self._absent_at) >= 2 else Truth.UNKNOWN

    def saw_it(self) -> None:
        """Note that the exchange knows the order."""
        self._seen = True

    def was_told_absent(self, now: float) -> None:
        """Note that the exchange said at `now` that it knows no such order."""
        if now < self.since + self.horizon_seconds:
            return
        if not self._absent_at or now - self._absent_at[-1] >= SPACING_SECONDS:
            self._absent_at.append(now)

    def next_question_in(self, now: float) -> float:
        """Return how long to wait before asking again: often at first, then at the horizon."""
        left = self.since + self.horizon_seconds - now
        return min(SPACING_SECONDS, left) if left > 0.01 else SPACING_SECONDS
