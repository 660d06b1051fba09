"""The strategies that ship, by name; each is compiled only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.strategies.spec import Spec

_FILES = {
    "macd": "macd_crossover",
    "ema_cross": "exponential_average_cross",
    "sma_cross": "simple_average_cross",
    "rsi": "rsi_swing",
    "bollinger": "bollinger_reversion",
    "donchian": "donchian_breakout",
    "grid": "grid_ladder",
    "dca": "cost_averaging",
    "hold": "buy_and_hold",
    "random_entry": "random_control",
}


def names() -> tuple[str, ...]:
    """Return the names of the shipped strategies."""
    return tuple(_FILES)


def load(name: str) -> Spec:
    """Return the strategy of that name; UsageError where there is none."""
    try:
        file = _FILES[name]
    except KeyError:
        raise UsageError(f"unknown strategy {name!r}; known are {', '.join(_FILES)}") from None
    spec: Spec = import_module(f"workbench.strategies.{file}").SPEC
    return spec


def __getattr__(name: str) -> Spec:
    if name in _FILES:
        return load(name)
    raise AttributeError(f"no strategy {name!r}; known are {', '.join(_FILES)}")


def __dir__() -> list[str]:
    return [*_FILES, "load", "names"]
