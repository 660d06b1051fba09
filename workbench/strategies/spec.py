"""What a strategy is: its decision functions, its parameters with ranges, and its own source.

A strategy is one file that defines

    PARAMS, STATE               numpy dtypes (structured, align=True), fixed size
    valid(params)               compiled: may this parameter set run?
    prepare(state, params)      compiled: write what is constant per parameter set into state
    decide(state, candle, position, params, intent)     compiled: the decision and nothing else
    first_value(params)         how many candles until the first definitional value
    stable(params)              how many candles until the seed weighs less than 1e-6
    SPEC = Spec(...)

`first_value` and `stable` take a record or a whole array of parameter sets (numpy arithmetic).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from workbench.core.records import CONTRACT
from workbench.errors import UsageError

MAX_COMBINATIONS = 50_000_000
SEED_WEIGHT = 1e-6
LEVELS = ("stop", "take_profit", "trail")
# What compiled code raises: for a division or an index, or with a `raise` or `assert` of its own.
FAILURES = (ArithmeticError, ValueError, LookupError, AssertionError, RuntimeError)
_KINDS = {"int": "whole number", "float": "number"}

Number = int | float
Axis = Number | Iterable[Number]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its kind ("int" or "float"), its range with step, default and meaning."""

    name: str
    kind: str
    low: float
    high: float
    step: float
    default: float
    doc: str

    def check(self, value: Number) -> Number:
        """Return the value in the parameter's kind; UsageError where kind or range is wrong."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise UsageError(f"{self.name}={value!r} is not a number; {self._rule()}")
        if not np.isfinite(value) or (self.kind == "int" and value != int(value)):
            raise UsageError(f"{self.name}={value} is not a {_KINDS[self.kind]}; {self._rule()}")
        if not self.low <= value <= self.high:
            raise UsageError(f"{self.name}={value} is out of range; {self._rule()}")
        return int(value) if self.kind == "int" else float(value)

    def _rule(self) -> str:
        return f"it takes {_KINDS[self.kind]}s from {self.low:g} to {self.high:g} ({self.doc})"


@dataclass(frozen=True)
class Spec:
    """A strategy as the engines take it; `text` is the source of its file, `code` that of a user's own.

    It pickles as (name, sha, text); whoever unpickles it refuses to run other code under its name.
    """

    name: str
    title: str
    source: str
    parameters: tuple[Parameter, ...]
    params_dtype: np.dtype
    state_dtype: np.dtype
    valid: Callable[..., bool]
    prepare: Callable[..., None]
    decide: Callable[..., None]
    first_value: Callable[..., int]
    stable: Callable[..., int]
    code: str = ""

    @cached_property
    def text(self) -> str:
        """Return the source text of the file that defines the decision."""
        if self.code:
            return self.code
        function = getattr(self.decide, "py_func", self.decide)
        return Path(inspect.getsourcefile(function) or "").read_text(encoding="utf-8")

    @cached_property
    def sha(self) -> str:
        """Return the hash that pins this strategy: contract version, dtypes and source."""
        if self.code:
            return sha_of(self.code)
        parts = (str(CONTRACT), repr(self.params_dtype), repr(self.state_dtype), self.text)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @cached_property
    def writes_ladders(self) -> bool:
        """Return whether the source writes a ladder's revision: a hint, the loop finds out by itself."""
        return re.search(r"\.revision\b", self.text) is not None

    @cached_property
    def writes_levels(self) -> bool:
        """Return whether the source writes a stop, take-profit or trail of its own: a hint, as above."""
        return any(_writes_a_level(node) for node in ast.walk(ast.parse(self.text)))

    @property
    def defaults(self) -> dict[str, Number]:
        """Return the default of every parameter."""
        return {one.name: one.check(one.default) for one in self.parameters}

    def params(self, **values: Number) -> np.ndarray:
        """Return one parameter record (shape ()); what is not given takes its default.

        Raises UsageError for an unknown name, a value out of range, or a set that is not `valid`.
        """
        known = self._known(values)
        chosen = {n: known[n].check(v) for n, v in (self.defaults | dict(values)).items()}
        record = np.zeros((), self.params_dtype)
        for name, value in chosen.items():
            record[name] = value
        if not self.valid(record.reshape(1)[0]):
            text = ", ".join(f"{n}={v}" for n, v in chosen.items())
            raise UsageError(f"{self.name}({text}) is not a valid parameter set; {self.title}")
        return record

    def grid(self, axes: Mapping[str, Axis]) -> np.ndarray:
        """Return every combination of the axes as parameter records, the last axis fastest.

        Invalid combinations are still in it: the sweep drops and counts them. Raises UsageError for
        an unknown name, an empty axis, a value out of range or more than 50 million combinations.
        """
        known = self._known(axes)
        values = {name: [default] for name, default in self.defaults.items()}
        for name, axis in axes.items():
            chosen = axis if isinstance(axis, Iterable) else [axis]
            if isinstance(chosen, Sized) and len(chosen) > MAX_COMBINATIONS:
                raise UsageError(
                    f"axis {name} has {len(chosen):,} values; at most {MAX_COMBINATIONS:,}"
                )
            values[name] = [known[name].check(v) for v in chosen]
            if not values[name]:
                raise UsageError(f"axis {name} is empty; give at least one value")
        size = int(np.prod([float(len(v)) for v in values.values()]))
        if size > MAX_COMBINATIONS:
            raise UsageError(
                f"the grid has {size:,} combinations; at most {MAX_COMBINATIONS:,}: "
                "make an axis coarser or split the sweep"
            )
        names = list(values)
        table = np.array(list(itertools.product(*values.values())), dtype=np.float64)
        records = np.zeros(len(table), self.params_dtype)
        for column, name in enumerate(names):
            records[name] = table[:, column]
        return records

    def values(self, record: np.ndarray) -> dict[str, Number]:
        """Return a parameter record as plain numbers by name."""
        return {one.name: one.check(record[one.name].item()) for one in self.parameters}

    def describe(self) -> dict[str, object]:
        """Return what a form needs: names, ranges, defaults and meanings, ready for JSON."""
        fields = ("name", "kind", "low", "high", "step", "default", "doc")
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "sha": self.sha,
            "parameters": [{f: getattr(p, f) for f in fields} for p in self.parameters],
        }

    def _known(self, values: Iterable[str]) -> dict[str, Parameter]:
        known = {one.name: one for one in self.parameters}
        for name in values:
            if name not in known:
                raise UsageError(
                    f"{self.name} has no parameter {name!r}; it takes {', '.join(known)}"
                )
        return known

    def __reduce__(self) -> tuple[Callable[..., Spec], tuple[str, str, str]]:
        from workbench.strategies import rebuild

        return rebuild, (self.name, self.sha, self.text)

    def __repr__(self) -> str:
        text = ", ".join(f"{n}={v}" for n, v in self.defaults.items())
        return f"{self.name}({text}): {self.title}"


def decision_failed(name: str, error: Exception) -> UsageError:
    """Return the error for a decision that raised one of `FAILURES`."""
    return UsageError(
        f"strategy {name} fails when it decides: {type(error).__name__}: {error}; a decision may raise "
        "nothing: mend that line, or write no target where it has no opinion"
    )


def sha_of(code: str) -> str:
    """Return the hash of a user's own strategy: contract version and text, which declares its dtypes."""
    return hashlib.sha256(f"{CONTRACT}\0{code}".encode()).hexdigest()


def _writes_a_level(node: ast.AST) -> bool:
    """Tell whether a node writes one as an attribute or by its name, in something that is not STATE."""
    if isinstance(node, ast.Attribute):
        field: object = node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        field = node.slice.value
    else:
        return False
    into_state = isinstance(node.value, ast.Name) and node.value.id == "state"
    return isinstance(node.ctx, ast.Store) and field in LEVELS and not into_state


def ema_stable(period: int, weight: float = SEED_WEIGHT) -> int:
    """Return after how many candles an exponential average's seed weighs less than `weight`.

    n = ceil(ln weight / ln(1 - 2/(period + 1))): 415 candles for a period of 60.
    """
    with np.errstate(divide="ignore"):
        return np.ceil(np.log(weight) / np.log(1.0 - 2.0 / (np.asarray(period) + 1.0))).astype(int)


def wilder_stable(period: int, weight: float = SEED_WEIGHT) -> int:
    """Return after how many values Wilder's average (weight 1/period) has forgotten its seed."""
    with np.errstate(divide="ignore"):
        return np.ceil(np.log(weight) / np.log(1.0 - 1.0 / np.asarray(period))).astype(int)


def nothing_to_settle(params):
    """Return 0 for each parameter set: the `stable` of a strategy that looks at no candle but this."""
    return np.zeros(np.shape(params), np.int64)
