"""What a user's own strategy file declares, checked and completed: from its text to a Spec.

Little is asked of such a file (everything else has a default):

    PARAMS = {"period": (20, 2, 500)}        name: (default, low, high[, step[, meaning]])
    STATE = {"count": int, "closes": (float, 500)}
    WARM_UP = 500                            candles before the first decision that counts
    @njit
    def decide(state, candle, position, params, intent): ...

A division by zero gives infinity or NaN as numpy's does, of whole numbers 0, in every engine.
It may define `valid(params)`, `prepare(state, params)`, `first_value(params)`, `stable(params)`, `TITLE`
and `SOURCE` beside it, or, as the shipped files do, dtypes and a whole `SPEC`.
"""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher

from workbench.core.statistics import METRICS
from workbench.errors import UsageError
from workbench.strategies.checks import ARGUMENTS, check_fields
from workbench.strategies.spec import Parameter, Spec

MUTABLE = (list, dict, set, bytearray, np.ndarray)
UNUSED = np.dtype([("unused", "<i8")], align=True)
INT, FLOAT = "<i8", "<f8"
LARGEST_STATE = 256 * 1024  # bytes; a simulation keeps it on its thread's stack
# Names that calls, results or studies use beside a parameter's.
RESERVED = (
    "candles", "strategy", "engine", "orders", "latency_ms", "fee_bps", "maker_fee_bps", "slippage_bps",
    "volume_share", "rebalance_band", "cash", "filters", "exits", "guards", "fine", "progress", "on",
    "out", "resume", "search", "trials", "search_seed", "search_metric", "costs", "symbol", "interval",
    "window", "params", "holding", "trial", "state", "stages", "value", "error", "columns", "bar_sharpe",
    "adjusted_sharpe", "capital_exposure", "expectancy", "expectancy_r", "sqn",
)  # fmt: skip


def spec_of(name: str, text: str, module: ModuleType, tree: ast.Module) -> Spec:
    """Return the Spec of an executed strategy module, whose defaults are filled in.

    Raises UsageError for a decision that is missing, not compiled, or uses what is not there.
    """
    given = vars(module)
    _demand_compiled(name, given)
    if isinstance(given.get("SPEC"), Spec):
        spec = replace(given["SPEC"], name=name, code=text)
    else:
        spec = _declared(name, text, given)
    for one in spec.parameters:
        if one.name in RESERVED or one.name in (METRICS.names or ()) or one.name.startswith("_"):
            raise UsageError(
                f"strategy {name}: the workbench itself calls something {one.name!r}; name the parameter "
                "otherwise"
            )
    check_fields(name, tree, spec)
    decide = njit(nogil=True, forceinline=True, error_model="numpy")(
        getattr(spec.decide, "py_func", spec.decide)
    )
    spec = replace(spec, decide=decide)
    given.update(
        PARAMS=spec.params_dtype, STATE=spec.state_dtype, decide=decide,
        prepare=spec.prepare, valid=spec.valid, SPEC=spec,
    )  # fmt: skip
    return spec


def _declared(name: str, text: str, given: dict[str, object]) -> Spec:
    parameters = _parameters(name, given.get("PARAMS", {}))
    lines = (str(given.get("__doc__") or "")).strip().splitlines()
    warm_up = _warm_up(name, given)
    fields = [(one.name, INT if one.kind == "int" else FLOAT) for one in parameters]
    return Spec(
        name=name,
        title=str(given.get("TITLE") or (lines[0].strip() if lines else f"own strategy {name}")),
        source=str(given.get("SOURCE") or "own strategy"),
        parameters=parameters,
        params_dtype=np.dtype(fields, align=True) if fields else UNUSED,
        state_dtype=_state(name, given.get("STATE", {})),
        valid=given.get("valid") or njit(nogil=True)(_always),  # type: ignore[arg-type]
        prepare=given.get("prepare") or njit(nogil=True)(_nothing),  # type: ignore[arg-type]
        decide=given["decide"],  # type: ignore[arg-type]
        first_value=given.get("first_value") or warm_up,  # type: ignore[arg-type]
        stable=given.get("stable") or warm_up,  # type: ignore[arg-type]
        code=text,
    )


# Compiled anew for each strategy: one for all would be compiled for records of many kinds, and numba warns
# where the fields of one begin like another's.
def _always(params):
    return True


def _nothing(state, params):
    pass


def _warm_up(name: str, given: dict[str, object]):
    candles = given.get("WARM_UP", 1 if "stable" in given else None)
    if isinstance(candles, bool) or not isinstance(candles, int) or candles < 0:
        raise UsageError(
            f"strategy {name}: WARM_UP is {candles!r}; say how many candles must have been seen before "
            "a decision counts: WARM_UP = 50, or define stable(params)"
        )
    return lambda params: candles


def _parameters(name: str, declared: object) -> tuple[Parameter, ...]:
    if not isinstance(declared, Mapping):
        raise UsageError(f'strategy {name}: PARAMS is no dict; write {{"period": (20, 2, 500)}}')
    return tuple(_parameter(name, field, value) for field, value in declared.items())


def _parameter(name: str, field: object, value: object) -> Parameter:
    rule = f'strategy {name}: PARAMS[{field!r}] = {value!r}; write "period": (default, low, high)'
    if isinstance(value, Parameter) and value.name == field:
        return value
    if not (isinstance(field, str) and field.isidentifier()) or keyword.iskeyword(field):
        raise UsageError(f"{rule}, with a name that Python takes")
    if not (isinstance(value, tuple) and 3 <= len(value) <= 5):
        raise UsageError(rule)
    default, low, high, *rest = value
    numbers = (default, low, high, *rest[:1])
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        raise UsageError(f"{rule}, all of them numbers")
    if not all(math.isfinite(one) for one in numbers) or (rest and rest[0] <= 0):
        raise UsageError(f"{rule}, all of them finite, the step above 0")
    whole = all(isinstance(one, int) for one in numbers)
    if not low <= default <= high:
        raise UsageError(f"{rule}: the default must lie from low to high")
    step = rest[0] if rest else (1 if whole else (high - low) / 100)
    meaning = str(rest[1]) if len(rest) > 1 else field
    return Parameter(field, "int" if whole else "float", low, high, step, default, meaning)


def _state(name: str, declared: object) -> np.dtype:
    if isinstance(declared, np.dtype) and declared.names:
        declared = {one: declared[one] for one in declared.names}
    if not isinstance(declared, Mapping):
        raise UsageError(f'strategy {name}: STATE is no dict; write {{"count": int}}')
    try:
        dtype = np.dtype([_field(name, *one) for one in declared.items()] or UNUSED, align=True)
    except (TypeError, ValueError) as error:
        raise UsageError(f"strategy {name}: STATE is no record: {error}") from None
    if dtype.itemsize > LARGEST_STATE:
        raise UsageError(
            f"strategy {name}: STATE takes {dtype.itemsize:,} bytes, at most {LARGEST_STATE:,}; shorten its "
            "windows"
        )
    return dtype


def _field(name: str, field: str, value: object) -> tuple[str, np.dtype]:
    try:
        found = np.dtype(value)  # type: ignore[call-overload]
    except TypeError:
        found = np.dtype(object)
    if found.base.kind not in "iuf":
        raise UsageError(
            f"strategy {name}: STATE[{field!r}] = {value!r} is no number of fixed size; use int, float, "
            "or (float, length) for a window"
        )
    return field, found


def _demand_compiled(name: str, given: dict[str, object]) -> None:
    if "decide" not in given:
        raise UsageError(
            f"strategy {name} has no decide; write @njit above "
            f"def decide({', '.join(ARGUMENTS['decide'])})"
        )
    for function in ARGUMENTS:
        if function in given and not isinstance(given[function], Dispatcher):
            raise UsageError(f"strategy {name}: {function} is not compiled; write @njit above it")
    for label, found in given.items():
        if not isinstance(found, Dispatcher) or found.py_func.__module__ != given["__name__"]:
            continue
        for option in ("fastmath", "parallel"):
            if found.targetoptions.get(option):
                raise UsageError(
                    f"strategy {name}: {label} is compiled with {option}, which makes results depend on "
                    "the machine; write @njit alone"
                )
        for used in found.py_func.__code__.co_names:
            if isinstance(given.get(used), MUTABLE):
                raise UsageError(
                    f"strategy {name}: {label} reads the global {used}, a {type(given[used]).__name__} "
                    "that could change unseen; write a tuple, or keep it in STATE"
                )
