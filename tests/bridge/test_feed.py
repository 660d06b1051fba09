"""The feed: every closed candle once and in order, holes from REST, open candles never."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.exchanges.base import Kline, StreamBroken
from bridge.feed import ClosedCandles, late_after_ms, warm_up_candles
from bridge.journal_rows import CandleRow
from tests.bridge.doubles import JumpingClock, MemoryExchange
from workbench.market.sequence import CandleSequence, grace_ms, sound
from workbench.market.timeframes import parse_timeframe

HOUR = 3_600_000
H1 = parse_timeframe("1h")


def candle(index: int, *, closed: bool = True, told_after_ms: int = 0) -> Kline:
    """Return the hour `index`; `told_after_ms` counts from its close."""
    close_ms = (index + 1) * HOUR - 1
    return Kline(
        index * HOUR, close_ms, 10.0, 12.0, 9.0, 11.0, 5.0, closed, close_ms + told_after_ms
    )


async def fed(
    frames: list[Kline | StreamBroken], history: list[Kline], last: int = 9
) -> list[CandleRow]:
    """Return what comes out, the candle `last` having been passed on before."""
    clock = JumpingClock()
    feed = ClosedCandles(
        MemoryExchange(clock, frames=frames, history=history),
        clock,
        instance="one",
        symbol="BTCUSDT",
        timeframe=H1,
        last_ms=last * HOUR,
        on_price=lambda price: None,
    )
    return [row async for row in feed.follow()]


def hours(rows: list[CandleRow]) -> list[int]:
    """Return which hours came out."""
    return [row.open_time_ms // HOUR for row in rows]


async def test_an_open_candle_is_never_passed_on() -> None:
    """F52: no signal from an unclosed bar, not even through REST."""
    frames: list[Kline | StreamBroken] = [
        candle(10, closed=False),
        candle(11, closed=False, told_after_ms=-HOUR + 10),
    ]
    assert await fed(frames, [replace(candle(10), closed=False)]) == []


async def test_a_lost_close_is_fetched_once_it_is_overdue() -> None:
    """Frames of hour 11 while hour 10 never closed: 3 s after the close REST is asked, hour 10 comes first."""
    early = replace(candle(11, closed=False), event_ms=11 * HOUR + 2_000)
    overdue = replace(early, event_ms=11 * HOUR + 61_000)
    assert hours(await fed([early], [candle(10)])) == []
    assert hours(await fed([early, overdue, candle(11)], [candle(10)])) == [10, 11]


async def test_a_hole_is_filled_before_the_next_candle_goes_on() -> None:
    """10 and 11 were missed; 12 closes; all three come in order, none twice."""
    history = [candle(i) for i in range(8, 13)]
    assert hours(await fed([candle(12), candle(12), candle(13)], history)) == [10, 11, 12, 13]


async def test_after_an_interruption_rest_is_asked_first() -> None:
    """What closed during the interruption comes before what the new stream brings."""
    history = [candle(10), candle(11), replace(candle(12), closed=False)]
    assert hours(await fed([StreamBroken("gone"), candle(12)], history)) == [10, 11, 12]


async def test_a_candle_that_nobody_has_is_counted_and_not_invented() -> None:
    """The market itself had a gap of two hours."""
    rows = await fed([candle(12)], [])
    assert [(row.open_time_ms // HOUR, row.missing_before) for row in rows] == [(12, 2)]


async def test_a_broken_candle_is_asked_for_again() -> None:
    """high < low in the stream, sound in REST."""
    assert hours(await fed([replace(candle(10), high=1.0)], [candle(10)])) == [10]


async def test_warm_up_ends_with_the_last_closed_candle() -> None:
    """Asked for 3: the open one is left out, the newest 3 closed ones remain."""
    exchange = MemoryExchange(
        JumpingClock(), history=[*map(candle, range(6)), replace(candle(6), closed=False)]
    )
    rows = await warm_up_candles(exchange, instance="one", symbol="BTCUSDT", timeframe=H1, count=3)
    assert hours(rows) == [3, 4, 5]
    assert all(row.warm for row in rows)


@given(st.lists(st.integers(8, 16), max_size=25), st.lists(st.booleans(), min_size=25, max_size=25))
def test_whatever_arrives_nothing_is_passed_twice_or_backwards(
    order: list[int], closed: list[bool]
) -> None:
    """Duplicates, reorderings and losses of frames."""
    sequence = CandleSequence[Kline](H1, last_ms=9 * HOUR)
    passed = []
    for index, shut in zip(order, closed, strict=False):
        step = sequence.frame(candle(index, closed=shut))
        if step is not None and hasattr(step, "kline"):
            sequence.passed(step.kline)
            passed.append(step.kline.open_ms // HOUR)
    assert passed == list(range(10, 10 + len(passed)))


def test_limits_of_patience() -> None:
    """min(3 s, 2 %) for the close, min(60 s, 5 %) for an entry."""
    assert (grace_ms(H1), grace_ms(parse_timeframe("1m"))) == (3_000, 1_200)
    assert (late_after_ms(H1), late_after_ms(parse_timeframe("5m"))) == (60_000, 15_000)
    assert not sound(replace(candle(1), close=float("nan")))
    assert not sound(replace(candle(1), volume=-1.0))
