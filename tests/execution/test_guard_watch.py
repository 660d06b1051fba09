"""What guards judge by outside the loop, told event by event: parts of orders, late news, holes, midnights."""

from __future__ import annotations

from workbench.execution.guard_watch import GuardWatch
from workbench.execution.guards import Guards
from workbench.execution.ledger import Fill, Ledger
from workbench.market.instruments import SCALE, Instrument

ONE = Instrument("BTCUSDT", "BTC", "USDT", 10**6, 10**3, 10**3, 10**17, 10**6, 10**17, 5 * SCALE, 0)
HOUR, DAY = 3_600_000, 86_400_000


class Watched:
    """A watch over an instance with 1,000 USDT that trades at round prices without fees."""

    def __init__(self, guards: str) -> None:
        self.watch = GuardWatch(Guards.of(guards), capital=1_000.0)
        self.ledger = Ledger()
        self.ledger.open_instance("one", 1_000 * SCALE, ONE)
        self.trades = 0

    def trade(self, order: int, side: str, price: int, quantity: float, time_ms: int) -> None:
        """Book an execution and tell of it."""
        self.trades += 1
        before = self.ledger.account("one")
        self.ledger.book_fill(
            Fill(
                "one", "BTCUSDT", self.trades, order, str(order), side, price * SCALE,  # type: ignore[arg-type]
                round(quantity * SCALE), 0, "USDT", time_ms,
            )
        )  # fmt: skip
        self.watch.filled(time_ms, order, before, self.ledger.account("one"))

    def objection(self, hour: int, equity: float = 1_000.0) -> str:
        """Close the candle that ends with this hour of the first day, and ask."""
        self.watch.closed(hour * HOUR, equity)
        return self.watch.objection()


def test_an_order_that_fills_in_parts_is_one_buy_of_the_day_it_began_on() -> None:
    one = Watched("trades_a_day=2")
    for part in range(3):
        one.trade(7, "BUY", 100, 1.0, 10 * HOUR + part)
    assert one.objection(11) == ""
    one.trade(8, "BUY", 100, 1.0, 11 * HOUR)
    assert one.objection(12) == "trades_a_day"
    assert one.objection(24) == ""  # the candle that closes at midnight ends the day
    one.trade(9, "BUY", 100, 1.0, DAY - 1)  # told after midnight: it was yesterday's
    assert one.objection(25) == ""
    for order in (10, 11):
        one.trade(order, "BUY", 100, 1.0, DAY + HOUR)
    one.trade(12, "BUY", 100, 1.0, DAY - 1)
    assert one.objection(26) == "trades_a_day"


def test_an_exit_that_is_told_late_happened_in_a_candle_that_has_closed() -> None:
    """Ended in hour 10, two closes from there on are held back: those of hours 10 and 11."""
    for told_late in (False, True):
        one = Watched("cooldown_bars=2")
        assert one.objection(9) == ""
        one.trade(1, "BUY", 100, 1.0, 9 * HOUR)
        if not told_late:
            one.trade(2, "SELL", 110, 1.0, 9 * HOUR + 5)
        assert one.objection(10) == ("" if told_late else "cooldown_bars")
        if told_late:
            one.trade(2, "SELL", 110, 1.0, 9 * HOUR + 5)
        assert one.objection(11) == "cooldown_bars"
        assert one.objection(12) == ""


def test_losses_in_a_row_are_round_trips_and_a_winner_ends_the_row() -> None:
    one = Watched("loss_streak=2")
    for order, price in enumerate((90, 90, 110, 100, 90)):
        one.trade(2 * order, "BUY", 100, 1.0, HOUR * order)
        one.trade(2 * order + 1, "SELL", price, 0.5, HOUR * order + 1)  # a part ends nothing
        one.trade(2 * order + 1, "SELL", price, 0.5, HOUR * order + 2)
        # lost, lost, won, won nothing (which is lost), lost
        assert (one.objection(order + 1) != "") == (order in (1, 4))


def test_yesterdays_last_close_is_the_one_before_a_hole_at_midnight() -> None:
    one = Watched("daily_loss=2%")
    assert one.objection(22, 1_000.0) == ""
    assert one.objection(23, 970.0) == "daily_loss"  # of the capital: it is still the first day
    assert one.objection(25, 960.0) == ""  # hour 24 is missing: 970 was yesterday's last
    assert one.objection(26, 950.0) == "daily_loss"


def test_a_day_that_is_whole_counts_from_the_close_at_midnight() -> None:
    one = Watched("daily_loss=2%,drawdown=5%")
    assert one.objection(24, 900.0) == "drawdown"
    quiet = Watched("daily_loss=2%")
    assert quiet.objection(24, 900.0) == ""
    assert quiet.objection(25, 882.0) == "daily_loss"
    assert quiet.objection(26, 882.1) == ""
