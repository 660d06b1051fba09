"""Counting of request weight and orders in Binance's fixed windows of the wall clock."""

from __future__ import annotations

from workbench.execution.orders import Rejected

MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000
DAY_MS = 86_400_000


class TooMuchWeight(Rejected):
    """The window's weight is used up; `retry_after_s` until the next one begins."""

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(
            -1003,
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
        )
        self.retry_after_s = retry_after_s


class Window:
    """A count that starts again at every multiple of its length."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self._number = -1
        self._count = 0

    def add(self, amount: int, wall_ms: int) -> int:
        """Count something and return the window's sum."""
        number = wall_ms // self.length_ms
        if number != self._number:
            self._number, self._count = number, 0
        self._count += amount
        return self._count

    def left_s(self, wall_ms: int) -> int:
        """Return the seconds until the next window, rounded up."""
        return -(-(self.length_ms - wall_ms % self.length_ms) // 1000)


class Limits:
    """The weight of everybody (one address) and the orders of each account."""

    def __init__(self, weight_limit: int) -> None:
        self.weight_limit = weight_limit
        self._weight = Window(MINUTE_MS)
        self._orders: dict[str, tuple[Window, Window]] = {}

    def charge(self, weight: int, wall_ms: int) -> None:
        """Count a request; raise TooMuchWeight past the limit."""
        if self._weight.add(weight, wall_ms) > self.weight_limit:
            raise TooMuchWeight(self.weight_limit, self._weight.left_s(wall_ms))

    def refund(self, weight: int, wall_ms: int) -> None:
        """Take a weight back: placing and cancelling cost nothing when they succeed."""
        self._weight.add(-weight, wall_ms)

    def used(self, wall_ms: int) -> int:
        """Return the weight used in this minute."""
        return self._weight.add(0, wall_ms)

    def count_order(self, account: str, wall_ms: int) -> None:
        """Count an accepted order."""
        for window in self._windows(account):
            window.add(1, wall_ms)

    def orders(self, account: str, wall_ms: int) -> tuple[int, int]:
        """Return an account's orders in these ten seconds and this day."""
        short, day = self._windows(account)
        return short.add(0, wall_ms), day.add(0, wall_ms)

    def _windows(self, account: str) -> tuple[Window, Window]:
        fresh = (Window(TEN_SECONDS_MS), Window(DAY_MS))
        return self._orders.setdefault(account, fresh)
