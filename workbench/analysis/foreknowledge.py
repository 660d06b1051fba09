"""Foreknowledge: what stands in the code of a decision before it sees a candle, and whether it pays.

An array of answers, taken from the data and frozen into a function, is look-ahead that no cut and no
poison can see: it does not come from the candles that the function is given. Two things show it.

- Fed prices that never were, at the times that were, a decision can know nothing of the real returns.
  With exposures x and real returns r of the next candle, both less their means,

      z = sum x r / sqrt(sum x^2 r^2)        (White's standard error: r may be as restless as it likes)

  is about standard normal then. Five standard deviations are bias; three are, where the code holds a
  table or dates of the data as well. A table that foretells little, or is read seldom, stays below both.
- The constants in its code, its globals and its closures. A number of at least five digits that is this
  series' own highest, lowest, mean or deviation was taken from all of it. Tables, dates and objects from
  outside prove nothing: they are named, and what they hold stays open.

Hours and weekdays are no foreknowledge: a rule that trades by them is judged by z like any other.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from workbench.analysis.bias import LOOK_AHEAD, Check, Outcome
from workbench.analysis.futures import PRICES

TABLE = 16  # numbers from which on a constant is a table
SPREAD = 64  # distinct numbers in the code from which on it is one, spread out
DIGITS = 5  # significant ones that make a number no accident
MOST_PRICES = 8  # of the series' own in the code; a few may be an accident
CERTAIN, LIKELY = 5.0, 3.0  # standard deviations
OURS = ("numpy", "numba", "polars", "math", "builtins", "workbench.core", "workbench.market")
DEEPEST = 6
BLIND = "foreknowledge"
CODE = "constants in the code"

Columns = np.ndarray | dict[str, np.ndarray]  # with open_time, prices and volume by name


@dataclass(slots=True)
class Constants:
    """The numbers in some code, where they stand, and what it takes from outside of itself."""

    numbers: dict[float, str] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)  # where -> how many numbers
    outside: dict[str, str] = field(default_factory=dict)  # name -> kind


def foresight(exposure: np.ndarray, returns: np.ndarray) -> float:
    """Return z of an exposure over the returns of the next candle; 0 where it never changes."""
    known = np.isfinite(exposure) & np.isfinite(returns)
    if known.sum() < 20:
        return 0.0
    x, r = exposure[known], returns[known]
    x, r = x - x.mean(), r - r.mean()
    products = x * r
    spread = float(np.sqrt(np.sum(products**2)))
    return float(np.sum(products) / spread) if spread > 1e-300 else 0.0


def blindness(
    totals: Mapping[str, np.ndarray], returns: np.ndarray, doubles: int, *, suspicious: bool
) -> Check:
    """Judge what values over so many drawn series, added up, foretell of the real returns."""
    found = {name: foresight(one / doubles, returns) for name, one in totals.items()}
    worst = max(found, key=lambda name: abs(found[name]), default="")
    z = found.get(worst, 0.0)
    said = (
        f"fed {doubles} series of drawn prices at the same times, {worst or 'it'} foretells the real returns "
        f"by z = {z:.1f}"
    )
    if abs(z) > (LIKELY if suspicious else CERTAIN):
        more = ", and its code holds what it should not know" if suspicious else ""
        said = f"{said}, which is no chance{more}"
        return Check(LOOK_AHEAD, BLIND, Outcome.BIASED, len(returns), 1, said)
    return Check(LOOK_AHEAD, BLIND, Outcome.CLEAN, len(returns), 0, f"{said}: chance")


def code_check(constants: Constants, records: Columns) -> tuple[Check, bool]:
    """Judge the constants of some code; return the check, and whether they hold what could be the future."""
    count, numbers = len(constants.numbers), constants.numbers
    taken, dates = taken_from(records, numbers), dates_in(records, numbers)
    if taken:
        return Check(LOOK_AHEAD, CODE, Outcome.BIASED, count, len(taken), "; ".join(taken)), True
    held = [f"{size:,} numbers in {where}" for where, size in constants.tables.items()]
    held += [f"{name} ({kind}) from outside" for name, kind in constants.outside.items()]
    held += [f"{dates} times within these candles"] * bool(dates)
    if held:
        said = f"it holds {', '.join(held)}: what is in them cannot be proved"
        return Check(LOOK_AHEAD, CODE, Outcome.OPEN, count, 0, said), True
    said = f"{count} {'number' if count == 1 else 'numbers'}, no table, none of this series"
    return Check(LOOK_AHEAD, CODE, Outcome.CLEAN, count, 0, said), False


def constants_of(functions: Iterable[Callable[..., object]]) -> Constants:
    """Return the constants of functions, and of all that they call which is not ours or a library's."""
    found, seen = Constants(), set[int]()
    for function in functions:
        _of_function(function, found, seen, 0)
    spread = [n for n in found.numbers if abs(n) > 2.0]
    if len(spread) >= SPREAD and not found.tables:
        found.tables["its code"] = len(spread)
    return found


def own_numbers(records: Columns) -> dict[str, float]:
    """Return the numbers that only all of a series tells: extremes, means, medians, deviations."""
    told: dict[str, float] = {}
    columns = {name: records[name] for name in (*PRICES, "volume")}
    closes = records["close"]
    columns["return"] = closes[1:] / closes[:-1] - 1.0
    columns["log return"] = np.diff(np.log(closes))
    for name, values in columns.items():
        if len(values) > 2:
            told[f"highest {name}"], told[f"lowest {name}"] = (
                float(values.max()),
                float(values.min()),
            )
            told[f"mean {name}"], told[f"median {name}"] = (
                float(values.mean()),
                float(np.median(values)),
            )
            told[f"deviation of {name}"] = float(values.std())
            told[f"sample deviation of {name}"] = float(values.std(ddof=1))
    return told


def taken_from(records: Columns, numbers: Mapping[float, str]) -> list[str]:
    """Return which of the code's numbers are this series' own statistics, or many of its prices, in words."""
    telling = {n: where for n, where in numbers.items() if digits(n) >= DIGITS}
    said = []
    for number, where in telling.items():
        for what, own in own_numbers(records).items():
            if abs(number - own) <= 1e-9 * abs(own):
                said.append(f"{number:.10g} in {where} is the {what} of all these candles")
                break
    prices = np.unique(np.concatenate([records[name] for name in PRICES]))
    held = [n for n in telling if n in prices]
    if len(held) >= MOST_PRICES:
        said.append(f"{len(held)} of its numbers are prices of these very candles")
    return said


def dates_in(records: Columns, numbers: Mapping[float, str]) -> int:
    """Return how many of the code's numbers are times within the series, in milliseconds or seconds."""
    first, last = int(records["open_time"][0]), int(records["open_time"][-1])
    ms = [n for n in numbers if first <= n <= last]
    seconds = [n for n in numbers if first <= n * 1000.0 <= last]
    return len(ms) + len(seconds)


def digits(number: float) -> int:
    """Return how many significant digits a number is written with."""
    text = np.format_float_positional(abs(number), unique=True, trim="-").replace(".", "")
    return len(text.strip("0"))


def _of_function(function: object, found: Constants, seen: set[int], depth: int) -> None:
    inner = getattr(function, "py_func", function)
    inner = getattr(inner, "__func__", inner)
    inner = getattr(inner, "__wrapped__", inner)
    if not isinstance(inner, types.FunctionType):
        if isinstance(inner, partial):
            _of_function(inner.func, found, seen, depth)
            for i, value in enumerate((*inner.args, *inner.keywords.values())):
                _of_value(value, f"argument {i}", found, seen, depth)
        elif callable(inner) and not isinstance(inner, type) and hasattr(inner, "__dict__"):
            for name, value in vars(inner).items():
                _of_value(value, name, found, seen, depth + 1)
            _of_function(type(inner).__call__, found, seen, depth + 1)
        return
    if id(inner) in seen or depth > DEEPEST or _is_library(inner.__module__):
        return
    seen.add(id(inner))
    for value in (*(inner.__defaults__ or ()), *(inner.__kwdefaults__ or {}).values()):
        _of_value(value, f"the defaults of {inner.__name__}", found, seen, depth)
    cells = zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=False)
    for name, cell in cells:
        try:
            _of_value(cell.cell_contents, name, found, seen, depth)
        except ValueError:  # not filled yet
            continue
    for code in _codes(inner.__code__):
        for value in code.co_consts:
            if not isinstance(value, str | bytes | types.CodeType):
                _of_value(value, inner.__name__, found, seen, depth)
        for name in code.co_names:
            if name in inner.__globals__:
                _of_global(inner.__globals__[name], name, code.co_names, found, seen, depth)


def _of_global(
    value: object, name: str, used: Iterable[str], found: Constants, seen: set[int], depth: int
) -> None:
    if isinstance(value, types.ModuleType):
        if not _is_library(value.__name__):
            for attribute in used:
                if attribute in vars(value):
                    _of_value(vars(value)[attribute], f"{name}.{attribute}", found, seen, depth + 1)
        return
    _of_value(value, name, found, seen, depth)


def _of_value(value: object, where: str, found: Constants, seen: set[int], depth: int) -> None:
    if isinstance(value, bool) or value is None or isinstance(value, str | bytes | type):
        return
    if isinstance(value, int | float | np.number):
        if np.isfinite(float(value)):
            found.numbers.setdefault(float(value), where)
    elif isinstance(value, np.ndarray | list | tuple | set | frozenset | dict):
        numbers = list(_numbers(value))
        if len(numbers) >= TABLE:
            found.tables[where] = len(numbers)
        for one in numbers:
            found.numbers.setdefault(one, where)
    elif callable(value) and (hasattr(value, "__code__") or hasattr(value, "py_func")):
        _of_function(value, found, seen, depth + 1)
    elif isinstance(value, types.ModuleType) or _is_library_code(value):
        return
    elif depth <= DEEPEST and id(value) not in seen:
        seen.add(id(value))
        found.outside[where] = type(value).__name__
        for attribute in getattr(value, "__dict__", {}).values():
            if isinstance(attribute, int | float | np.number | np.ndarray | list | tuple):
                _of_value(attribute, where, found, seen, depth + 1)


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iufb":
            yield from value.ravel().astype(float).tolist()
        return
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            if isinstance(one, int | float | np.number) and not isinstance(one, bool):
                yield float(one)
            else:
                yield from _numbers(one)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)


def _is_library(module: str | None) -> bool:
    return any(module == one or (module or "").startswith(f"{one}.") for one in OURS)


def _is_library_code(value: object) -> bool:
    """Return whether a value is a library's own function or constant, not data: np.where, pl.Float64."""
    kind = type(value)
    return kind.__module__ == "builtins" or (
        _is_library(kind.__module__)
        and kind.__name__ in {"ufunc", "_ArrayFunctionDispatcher", "Expr"}
    )
