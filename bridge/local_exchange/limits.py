"""Counting in Binance's fixed windows of the wall clock: weight, requests, orders, connections.

    weight       6,000 a minute      429 -1003; who goes on regardless is banned: 418 -1003
    requests     300,000 in 5 min    429 -1003
    orders       50 in 10 s, 160,000 a day, an account    429 -1015
    connections  300 in 5 min        429 -1003

Everybody here comes from one address, so that weight and requests are counted together. Orders
counts are of unfilled orders: an order adds one when it is placed, two or three when it is a list,
and gives one back at its first fill; where the day is full the ten seconds do not count. A ban
begins with the eleventh request past the weight of a minute; it lasts two minutes, the next one
five times as long, three days at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.execution.orders import Rejected

MINUTE_MS = 60_000
FIVE_MINUTES_MS = 5 * MINUTE_MS
TEN_SECONDS_MS = 10_000
DAY_MS = 86_400_000
TOLERATED = 10  # requests past the limit in one minute, before the ban
BAN_GROWTH = 5
ORDERS_1D = 160_000
LONGEST_BAN_MS = 3 * DAY_MS
STREAMS = "Please use WebSocket Streams for live updates to avoid {}."


@dataclass(frozen=True, slots=True)
class LimitRules:
    """How much is allowed, and how long the first ban lasts."""

    weight: int = 6_000
    requests_5m: int = 300_000
    orders_10s: int = 50
    orders_1d: int = ORDERS_1D
    connections_5m: int = 300
    first_ban_ms: int = 2 * MINUTE_MS


class LimitExceeded(Rejected):
    """A limit was passed; `status` is HTTP's, `retry_ms` the wall time from which to try again."""

    def __init__(self, code: int, message: str, *, status: int, retry_ms: int) -> None:
        super().__init__(code, message)
        self.status = status
        self.retry_ms = retry_ms

    def retry_after_s(self, wall_ms: int) -> int:
        """Return the seconds to wait, rounded up."""
        return max(0, -(-(self.retry_ms - wall_ms) // 1000))


class Window:
    """A count that starts again at every multiple of its length."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self._number = -1
        self._count = 0

    def add(self, amount: int, wall_ms: int) -> int:
        """Count something and return the window's sum, which never falls below zero."""
        number = wall_ms // self.length_ms
        if number != self._number:
            self._number, self._count = number, 0
        self._count = max(0, self._count + amount)
        return self._count

    def end_ms(self, wall_ms: int) -> int:
        """Return when the next window begins."""
        return (wall_ms // self.length_ms + 1) * self.length_ms


class Limits:
    """The weight of everybody (one address) and the orders of each account."""

    def __init__(self, rules: LimitRules) -> None:
        self.rules = rules
        self._weight = Window(MINUTE_MS)
        self._beyond = Window(MINUTE_MS)
        self._requests = Window(FIVE_MINUTES_MS)
        self._connections = Window(FIVE_MINUTES_MS)
        self._orders: dict[str, tuple[Window, Window]] = {}
        self._banned_until_ms = 0
        self._next_ban_ms = rules.first_ban_ms

    def arrive(self, wall_ms: int) -> None:
        """Count a request of any kind; refuse it during a ban and past the requests' limit."""
        if wall_ms < self._banned_until_ms:
            raise self._banned()
        if self._requests.add(1, wall_ms) > self.rules.requests_5m:
            raise LimitExceeded(
                -1003,
                f"Too many requests; current limit is {self.rules.requests_5m} requests per "
                f"5 MINUTE. {STREAMS.format('polling the API')}",
                status=429,
                retry_ms=self._requests.end_ms(wall_ms),
            )

    def charge(self, weight: int, wall_ms: int) -> None:
        """Count a request's weight; refuse it past the limit, and ban who does not listen."""
        if self._weight.add(weight, wall_ms) <= self.rules.weight:
            return
        if self._beyond.add(1, wall_ms) > TOLERATED:
            self._banned_until_ms = wall_ms + self._next_ban_ms
            self._next_ban_ms = min(LONGEST_BAN_MS, self._next_ban_ms * BAN_GROWTH)
            raise self._banned()
        raise LimitExceeded(
            -1003,
            f"Too much request weight used; current limit is {self.rules.weight} request weight "
            f"per 1 MINUTE. {STREAMS.format('polling the API')}",
            status=429,
            retry_ms=self._weight.end_ms(wall_ms),
        )

    def refund(self, weight: int, wall_ms: int) -> None:
        """Take a weight back: placing and cancelling cost nothing when they succeed."""
        self._weight.add(-weight, wall_ms)

    def used(self, wall_ms: int) -> int:
        """Return the weight used in this minute."""
        return self._weight.add(0, wall_ms)

    def connect(self, wall_ms: int) -> None:
        """Count an attempt to open a WebSocket; refuse it past the limit."""
        if self._connections.add(1, wall_ms) > self.rules.connections_5m:
            raise LimitExceeded(
                -1003,
                f"Too many connection attempts; current limit is {self.rules.connections_5m} "
                "connections per 5 MINUTE.",
                status=429,
                retry_ms=self._connections.end_ms(wall_ms),
            )

    def take_orders(self, account: str, count: int, wall_ms: int) -> None:
        """Count orders that are about to be placed; -1015 past a limit, which counts nothing."""
        windows = self._windows(account)
        limits = ((self.rules.orders_1d, "1 DAY"), (self.rules.orders_10s, "10 SECOND"))
        for window, (most, name) in zip(reversed(windows), limits, strict=True):
            if window.add(0, wall_ms) + count > most:
                raise LimitExceeded(
                    -1015,
                    f"Too many new orders; current limit is {most} orders per {name}.",
                    status=429,
                    retry_ms=window.end_ms(wall_ms),
                )
        for window in windows:
            window.add(count, wall_ms)

    def give_back_orders(self, account: str, count: int, wall_ms: int) -> None:
        """Take orders back that were refused, or that have their first fill."""
        for window in self._windows(account):
            window.add(-count, wall_ms)

    def orders(self, account: str, wall_ms: int) -> tuple[int, int]:
        """Return an account's unfilled orders of these ten seconds and this day."""
        short, day = self._windows(account)
        return short.add(0, wall_ms), day.add(0, wall_ms)

    def _windows(self, account: str) -> tuple[Window, Window]:
        if account not in self._orders:
            self._orders[account] = (Window(TEN_SECONDS_MS), Window(DAY_MS))
        return self._orders[account]

    def _banned(self) -> LimitExceeded:
        return LimitExceeded(
            -1003,
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            f"{STREAMS.format('bans')}",
            status=418,
            retry_ms=self._banned_until_ms,
        )
