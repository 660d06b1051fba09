"""Numbers are written one way everywhere; what cannot be computed is a dash, never a zero."""

from __future__ import annotations

import math

import pytest

from workbench.report import numbers


@pytest.mark.parametrize(
    ("fraction", "signed", "text"),
    [
        (0.1234, False, "12.3 %"),
        (0.1234, True, "+12.3 %"),
        (-0.5, True, "−50.0 %"),
        (-0.0001, False, "0.0 %"),
        (4.1352, False, "413.5 %"),
        (math.nan, True, "–"),
        (math.inf, False, "–"),
        (None, False, "–"),
    ],
)
def test_a_fraction_is_written_in_percent(fraction: float | None, signed: bool, text: str) -> None:
    assert numbers.percent(fraction, sign=signed) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(64210.5, "64,210"), (64.2105, "64.21"), (0.5537, "0.5537"), (0.00001234, "0.00001234")],
)
def test_a_price_has_the_decimals_its_size_asks_for(value: float, text: str) -> None:
    assert numbers.price(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0521, "52 ms"), (12.34, "12.3 s"), (245, "4 min 05 s"), (None, "–")]
)
def test_a_span_of_time_is_written_in_its_own_unit(seconds: float | None, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_columns_are_spoken_as_people_say_them() -> None:
    assert [numbers.spoken(n) for n in ("max_drawdown", "cagr")] == ["max drawdown", "CAGR"]
