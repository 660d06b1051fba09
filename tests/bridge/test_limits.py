"""The weight budget learns from headers and stops when told to."""

from __future__ import annotations

from bridge.limits import WeightBudget
from tests.bridge.doubles import JumpingClock


def test_questions_wait_for_the_next_minute_when_the_share_is_used_and_orders_do_not() -> None:
    """60 % of 6,000 is ours; the minute began 40 s ago."""
    clock = JumpingClock()
    clock.now = 1_000.0
    budget = WeightBudget(clock)
    budget.saw_answer(200, {"x-mbx-used-weight-1m": "3590"})
    assert budget.seconds_to_wait(10) == 0
    assert budget.seconds_to_wait(20) == 20.0
    assert budget.seconds_to_wait(0) == 0
    clock.now += 20.0
    assert budget.seconds_to_wait(20) == 0


async def test_a_429_stops_everything_for_as_long_as_it_says() -> None:
    """F32: zero requests for 35 s, orders included."""
    clock = JumpingClock()
    budget = WeightBudget(clock)
    budget.saw_answer(429, {"Retry-After": "35"})
    began = clock.now
    await budget.wait_for(0)
    assert clock.now - began == 35.0
