"""What a result says where fewer candles lie before its window than make the strategy stable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.candle_builders import martingale, to_cents
from workbench.backtest.single import warm_up_notes
from workbench.strategies import load


@pytest.mark.parametrize(
    ("name", "params", "before", "says"),
    [
        # An EMA of 9 begins with the average of nine closes; each later one leaves 0.8 of the seed.
        # At the first close of the window 30 are known: 0.8^21 = 0.92 %.
        ("ema_cross", {"fast": 3, "slow": 9}, 29, "about 0.9% of the seed's weight"),
        ("ema_cross", {"fast": 3, "slow": 9}, 8, "about 100.0% of the seed's weight"),
        # Wilder's average of 14 changes: whole at the 15th close, 13/14 left by each later one.
        # 46 are known: (13/14)^31 = 10.05 %.
        ("rsi", {"period": 14}, 45, "about 10.0% of the seed's weight"),
        ("rsi", {"period": 14}, 13, "no value before the window's 2nd candle"),
        (
            "macd",
            {"fast": 12, "slow": 26, "signal": 9},
            0,
            "no value before the window's 34th candle",
        ),
        # A window has no seed: it is whole or it is not.
        ("sma_cross", {"fast": 3, "slow": 9}, 9, "one candle more"),
        ("donchian", {"entry": 20, "exit": 10}, 3, "no value before the window's 18th candle"),
    ],
)
def test_the_weight_that_the_seed_still_has_is_told(
    name: str, params: dict[str, float], before: int, says: str
) -> None:
    spec = load(name)
    candles = replace(to_cents(martingale(300, 3)), first=before)
    (note,) = warm_up_notes(candles, spec, spec.params(**params).reshape(1))
    assert note.startswith(f"{before} candles before the window, ")
    assert says in note


def test_nothing_is_said_where_the_beginning_weighs_nothing() -> None:
    for name, before in (("ema_cross", 71), ("hold", 0), ("donchian", 20)):
        spec = load(name)
        params = {"fast": 3, "slow": 9} if name == "ema_cross" else {}
        params = {"entry": 20, "exit": 10} if name == "donchian" else params
        candles = replace(to_cents(martingale(300, 3)), first=before)
        assert warm_up_notes(candles, spec, spec.params(**params).reshape(1)) == ()
