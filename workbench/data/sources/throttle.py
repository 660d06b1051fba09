"""What a server said about its limits, obeyed by every request to it, whichever job sends it.

Binance counts request weight an address in fixed minutes of its own clock and tells the sum in every
answer; 429 ("too many") and 418 ("banned") come with Retry-After. All jobs of a collection share one
throttle, because they share the address: when one is told to wait, all wait.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from workbench.data.sources.patience import Patience

_WEIGHT = "x-mbx-used-weight-1m"


@dataclass(slots=True)
class Throttle:
    """Until when nobody may ask, and how much of this minute's weight is used."""

    patience: Patience
    used_weight: int = 0
    _until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when a request may go; a longer wait that comes meanwhile is waited for too."""
        served_s = 0.0
        while (until_s := self._until_s) > served_s:
            left_s = until_s - self.patience.elapsed()
            if left_s > 0:
                self.patience.sleep(left_s)
            served_s = until_s

    def hold(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        with self._lock:
            self._until_s = max(self._until_s, self.patience.elapsed() + seconds)

    def saw(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer; hold until the next minute once our share of the weight is used."""
        used = headers.get(_WEIGHT, "")
        if not used.isdecimal():
            return
        self.used_weight = int(used)
        if self.used_weight >= self.patience.weight_share * self.patience.weight_per_minute:
            self.hold(seconds_to_next_minute(headers.get("date", "")))


def seconds_to_next_minute(date: str) -> float:
    """Return how long the server's minute lasts, by its Date header; a whole one without it."""
    try:
        return 61.0 - parsedate_to_datetime(date).second
    except ValueError:
        return 60.0
