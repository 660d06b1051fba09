"""What a strategy says about itself, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from workbench import strategies
from workbench.errors import UsageError
from workbench.execution.instance import Decider, next_target
from workbench.strategies.spec import ema_stable

MACD = wb.strategies.macd


@pytest.mark.parametrize(("period", "candles"), [(60, 415), (26, 180), (12, 83)])
def test_an_average_is_stable_after_the_published_number_of_candles(
    period: int, candles: int
) -> None:
    assert ema_stable(period) == candles


def test_the_slowest_macd_of_the_study_needs_519_candles() -> None:
    assert MACD.stable(MACD.params(fast=30, slow=60, signal=15)) == 519


def test_a_grid_is_every_combination_the_last_axis_fastest() -> None:
    grid = MACD.grid({"fast": range(2, 4), "slow": (10, 20), "signal": 9})
    assert [tuple(int(v) for v in row) for row in grid] == [
        (2, 10, 9), (2, 20, 9), (3, 10, 9), (3, 20, 9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fast": 2.5}, "fast=2.5 is not a whole number"),
        ({"fast": 0}, "fast=0 is out of range"),
        ({"fast": True}, "is not a number"),
        ({"fast": float("nan")}, "is not a whole number"),
        ({"speed": 3}, "no parameter 'speed'"),
        ({"fast": 26}, "fast must be below slow"),
    ],
)
def test_a_bad_parameter_is_named_with_its_range(params: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MACD.params(**params)


def test_an_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown strategy 'mcad'; known are macd"):
        wb.strategies.load("mcad")


def test_its_form_is_plain_json() -> None:
    import json

    form = json.loads(json.dumps(MACD.describe()))
    assert [p["name"] for p in form["parameters"]] == ["fast", "slow", "signal"]
    assert form["sha"] == MACD.sha


def test_the_decision_as_bytes_refuses_a_state_of_another_version() -> None:
    decider = Decider(MACD, MACD.params())
    with pytest.raises(UsageError, match="another version wrote it"):
        decider.decide(b"short", b"", b"")


def test_a_target_is_acted_on_once_and_an_impossible_one_is_an_error() -> None:
    from workbench.core.records import empty_intent

    intent = empty_intent()
    assert next_target(0.0, intent.tobytes()) is None
    intent["target"] = 1.0
    assert next_target(0.0, intent.tobytes()) == 1.0
    assert next_target(1.0, intent.tobytes()) is None
    for wrong in (1.5, -0.1, np.inf):
        intent["target"] = wrong
        with pytest.raises(UsageError, match=r"outside 0\.\.1"):
            next_target(0.0, intent.tobytes())
    intent["target"] = 1.0
    intent["stop"] = 5.0
    with pytest.raises(UsageError, match="does not execute yet"):
        next_target(0.0, intent.tobytes())


@pytest.mark.parametrize(
    ("line", "writes"),
    [
        ("intent.trail = 5.0", True),
        ("intent.target, intent.stop = 1.0, 5.0", True),
        ('intent["take_profit"] += 5.0', True),
        ("state.stop = intent.stop", False),
        ("intent.target = params.stop", False),
    ],
)
def test_a_source_tells_whether_it_writes_levels_of_its_own(line: str, writes: bool) -> None:
    code = f"def decide(state, candle, position, params, intent):\n    {line}\n"
    assert replace(MACD, code=code).writes_levels is writes
    assert [name for name in strategies.names() if strategies.load(name).writes_levels] == ["grid"]
