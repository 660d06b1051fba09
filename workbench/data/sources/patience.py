"""How long a source waits for a server, and how often it tries again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of waiting; `sleep`, `elapsed` and `chance` (a number in 0…1) are handed in."""

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    longest_ban_s: float = 300.0
    timeout_s: float = 20.0
    weight_per_minute: int = 6_000
    weight_share: float = 0.8
    sleep: Callable[[float], None] = time.sleep
    elapsed: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def back_off(self, attempt: int) -> None:
        """Wait before the given attempt (1 is the second): doubled each time, within ±50 %.

        The spread keeps several collectors from knocking at the same instants.
        """
        wait = self.first_wait_s * 2 ** (attempt - 1) * (0.5 + self.chance())
        self.sleep(min(wait, self.longest_wait_s))
