"""Exits beside parameters: records that carry both, and the columns of a result that show them."""

from __future__ import annotations

import numpy as np

from workbench.core.exits import EXITS, UNIT_ATR, UNIT_NONE, UNIT_OFFSET, UNIT_PCT
from workbench.execution.exits import LEVELS, WHOLE, no_exits, said

UNITS = {UNIT_NONE: "none", UNIT_OFFSET: "offset", UNIT_PCT: "pct", UNIT_ATR: "atr"}
_EXITS = "exits"


def set_exit(records: np.ndarray, name: str, values: np.ndarray) -> None:
    """Write one exit of records that carry exits."""
    records[_EXITS][WHOLE.get(name, name)] = values


def joined(params: np.ndarray, exits: np.ndarray) -> np.ndarray:
    """Return every parameter record with every EXITS record: fields of the first, then `exits`."""
    fields = [(name, params.dtype[name]) for name in params.dtype.names or ()]
    records = np.zeros(len(params) * len(exits), np.dtype([*fields, (_EXITS, EXITS)], align=True))
    for name, _ in fields:
        records[name] = np.repeat(params[name], len(exits), axis=0)
    records[_EXITS] = np.tile(exits, len(params))
    return records


def parted(records: np.ndarray, params_dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return parameter records of a strategy's own dtype, and the exits beside them (or none)."""
    if records.dtype == params_dtype:
        return records, np.repeat(no_exits(), len(records))
    params = np.zeros(len(records), params_dtype)
    for name in params_dtype.names or ():
        params[name] = records[name]
    return params, np.ascontiguousarray(records[_EXITS])


def columns_of(records: np.ndarray) -> dict[str, np.ndarray | list[str]]:
    """Return the columns that a result frame shows of the exits; none where records carry none."""
    if _EXITS not in (records.dtype.names or ()):
        return {}
    exits = records[_EXITS]
    columns: dict[str, np.ndarray | list[str]] = {}
    for name in LEVELS:
        columns[f"exit_{name}"] = exits[name]["value"]
        columns[f"exit_{name}_unit"] = [UNITS[int(one)] for one in exits[name]["unit"]]
    columns["exit_atr_period"] = exits["atr_period"]
    columns["exit_time_stop"] = exits["time_stop_bars"]
    return columns


def exit_texts(records: np.ndarray) -> list[str]:
    """Return the exits of each record as text, none where records carry none."""
    if _EXITS not in (records.dtype.names or ()):
        return []
    return [said(one) for one in records[_EXITS]]
