"""Exits as a caller writes them, and as the records that the kernel reads.

    stop, take_profit, trail   "2%" (a share of the price), "3atr" (average true ranges), 150 or
                               "150" (an amount of quote); 0 or nothing: none
    atr_period                 of Wilder's average true range; 14
    time_stop                  sell after so many closed candles; 0: never

Each may be one value or several: then every combination is run, as with parameters. As text, the
way the command line takes it: "stop=1%:5%:1%,take_profit=2atr|3atr,time_stop=48".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from workbench.core.exits import (
    EXITS,
    LEVEL,
    NEVER,
    UNIT_ATR,
    UNIT_NONE,
    UNIT_OFFSET,
    UNIT_PCT,
)
from workbench.errors import UsageError
from workbench.execution.pairs import mapping_of, pairs_of

Level = float | int | str | None
ExitsForm = Mapping[str, Level | Iterable[Level]] | str | None

LEVELS = ("stop", "take_profit", "trail")
WHOLE = {"atr_period": "atr_period", "time_stop": "time_stop_bars"}
NAMES = (*LEVELS, *WHOLE)
DEFAULT_ATR_PERIOD = 14
EXAMPLE = "stop=2%,time_stop=48"
_SUFFIXES = (("%", UNIT_PCT, 0.01), ("atr", UNIT_ATR, 1.0))


def no_exits() -> np.ndarray:
    """Return one EXITS record (shape (1,)) without any exit."""
    exits = np.zeros(1, EXITS)
    exits["atr_period"] = DEFAULT_ATR_PERIOD
    return exits


def exits_of(form: ExitsForm) -> np.ndarray:
    """Return one EXITS record (shape (1,)); UsageError where a name has several values."""
    exits = no_exits().reshape(1)
    for name, values in exit_axes(form).items():
        if len(values) != 1:
            raise UsageError(f"exits: {name} has {len(values)} values; one run takes one")
        exits[WHOLE.get(name, name)] = values
    return exits


def all_exits(form: ExitsForm) -> np.ndarray:
    """Return every combination of the exits asked for, the last name fastest."""
    axes = exit_axes(form)
    sizes = [len(values) for values in axes.values()]
    exits = np.repeat(no_exits(), math.prod(sizes))
    for (name, values), places in zip(axes.items(), np.indices(sizes), strict=True):
        exits[WHOLE.get(name, name)] = values[places.ravel()]
    return exits


def exit_axes(form: ExitsForm) -> dict[str, np.ndarray]:
    """Return the values of each exit that is asked for, in the dtype of their field.

    Raises UsageError for an unknown name, or a value that is negative, not finite or, for a share of
    the price that a stop lies below it, 100 % or more.
    """
    given = (
        _pairs(form) if isinstance(form, str) else mapping_of(form, what="exits", example=EXAMPLE)
    )
    axes: dict[str, np.ndarray] = {}
    for name, values in given.items():
        if name not in NAMES:
            raise UsageError(f"exits have no {name!r}; they take {', '.join(NAMES)}")
        listed = [values] if isinstance(values, str | int | float | None) else list(values)
        if not listed:
            raise UsageError(f"exits: {name} has no value; give at least one")
        if name in LEVELS:
            axes[name] = np.array([_level(name, one) for one in listed], LEVEL)
        else:
            axes[name] = np.array([_whole(name, one) for one in listed], np.int32)
    return axes


def is_any(exits: np.ndarray) -> bool:
    """Return whether any of these records holds an exit."""
    levels = any((exits[name]["unit"] != UNIT_NONE).any() for name in LEVELS)
    return bool(levels or (exits["time_stop_bars"] > 0).any())


def ranged(exits: np.ndarray) -> np.ndarray:
    """Return, for each record, whether an exit is measured in average true ranges."""
    asks = np.zeros(len(exits), np.bool_)
    for name in LEVELS:
        asks |= exits[name]["unit"] == UNIT_ATR
    return asks


def said(exits: np.ndarray) -> str:
    """Return one EXITS record as a caller would write it: "stop=2%, time_stop=48"."""
    parts = []
    for name in LEVELS:
        value, unit = float(exits[name]["value"]), int(exits[name]["unit"])
        text = {UNIT_PCT: f"{value * 100:g}%", UNIT_ATR: f"{value:g}atr"}.get(unit, f"{value:g}")
        if unit != UNIT_NONE:
            parts.append(f"{name}={text}")
    if any(int(exits[name]["unit"]) == UNIT_ATR for name in LEVELS):
        parts.append(f"atr_period={int(exits['atr_period'])}")
    if exits["time_stop_bars"]:
        parts.append(f"time_stop={int(exits['time_stop_bars'])}")
    return ", ".join(parts)


def _level(name: str, value: Level) -> tuple[float, int]:
    number, unit = _number(name, value)
    if number == 0.0:
        return 0.0, UNIT_NONE
    if unit == UNIT_PCT and number >= 1.0 and name != "take_profit":
        raise UsageError(f"exits: {name}={value} lies at or below 0; it takes less than 100%")
    return number, unit


def _whole(name: str, value: Level) -> int:
    number, unit = _number(name, value)
    low = 1 if name == "atr_period" else 0
    if unit != UNIT_OFFSET or number != int(number) or not low <= number < NEVER:
        raise UsageError(f"exits: {name}={value} is not a whole number of candles from {low} on")
    return int(number)


def _number(name: str, value: Level) -> tuple[float, int]:
    if value is None:
        return 0.0, UNIT_NONE
    text, unit, scale = str(value).strip(), UNIT_OFFSET, 1.0
    for suffix, one, factor in _SUFFIXES:
        if text.endswith(suffix):
            text, unit, scale = text.removesuffix(suffix), one, factor
    try:
        number = float(text) * scale
    except ValueError:
        number = np.nan
    if isinstance(value, bool) or not 0.0 <= number < np.inf:
        raise UsageError(
            f"exits: {name}={value!r} is not a level; write 2%, 3atr or an amount of quote, from 0 on"
        )
    return number, unit


def _pairs(text: str) -> dict[str, list[Level]]:
    pairs = pairs_of(text, what="exits", example=EXAMPLE)
    return {
        name: [one for alternative in value.split("|") for one in _range(name, alternative)]
        for name, value in pairs.items()
    }


def _range(name: str, text: str) -> list[Level]:
    if ":" not in text:
        return [text]
    bounds = [_number(name, one) for one in text.split(":")]
    units = {unit for _, unit in bounds}
    if len(bounds) not in (2, 3) or len(units) != 1:
        raise UsageError(f"exits: {name}={text} is not start:stop:step in one unit, e.g. 1%:5%:1%")
    unit = units.pop()
    scale, suffix = next(((f, s) for s, one, f in _SUFFIXES if one == unit), (1.0, ""))
    start, stop = bounds[0][0] / scale, bounds[1][0] / scale
    step = bounds[2][0] / scale if len(bounds) == 3 else 1.0
    if step <= 0 or stop < start:
        raise UsageError(
            f"exits: {name}={text}: the step must be above 0 and the stop not below the start"
        )
    count = int((stop - start) / step + 1e-9) + 1
    return [f"{round(start + i * step, 12):g}{suffix}" for i in range(count)]
