"""What a user's own strategy file declares, checked and completed: from its text to a Spec.

Little is asked of such a file (everything else has a default):

    PARAMS = {"period": (20, 2, 500)}        name: (default, low, high[, step[, meaning]])
    STATE = {"count": int, "closes": (float, 500)}
    WARM_UP = 500                            candles before the first decision that counts
    @njit
    def decide(state, candle, position, params, intent): ...

It may define `valid(params)`, `prepare(state, params)`, `first_value(params)`, `stable(params)`, `TITLE`
and `SOURCE` beside it, or, as the shipped files do, dtypes and a whole `SPEC`. It imports numba,
numpy, workbench.core and workbench.strategies.spec and nothing else: it runs in a process without
files, and its hash must pin all that it does.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError

from workbench.core.records import INTENT, POSITION, empty_intent
from workbench.errors import UsageError
from workbench.market.candles import CANDLE
from workbench.strategies.spec import Parameter, Spec

ALLOWED = ("numba", "numpy", "workbench.core", "workbench.strategies.spec", "__future__")
ARGUMENTS = {
    "decide": ("state", "candle", "position", "params", "intent"),
    "prepare": ("state", "params"),
    "valid": ("params",),
}
MUTABLE = (list, dict, set, bytearray, np.ndarray)
UNUSED = np.dtype([("unused", "<i8")], align=True)
INT, FLOAT = "<i8", "<f8"


def check_source(name: str, text: str) -> ast.Module:
    """Return the parsed text; UsageError where it is no Python or reaches beyond what it may."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _wrong(name, error.lineno, f"{error.msg}: {(error.text or '').strip()}") from None
    for node in ast.walk(tree):
        for module in _imported(node):
            if not any(module == one or module.startswith(one + ".") for one in ALLOWED):
                raise _wrong(
                    name,
                    node.lineno,  # type: ignore[attr-defined]
                    f"it imports {module}; a strategy imports {', '.join(ALLOWED[:-1])} and nothing else",
                )
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("np.random", "numpy.random"):
            raise _wrong(name, node.lineno, f"it uses {ast.unparse(node)}; use {_HASH}")
        if isinstance(node, ast.Global):
            raise _wrong(name, node.lineno, "it changes a global; keep what changes in STATE")
    return tree


_HASH = "workbench.core.indicators.counter_hash(seed, counter), which gives the same everywhere"


def spec_of(name: str, text: str, module: ModuleType, tree: ast.Module) -> Spec:
    """Return the Spec of an executed strategy module, whose defaults are filled in; compile it once.

    Raises UsageError for a decision that is missing, not compiled, or uses what is not there.
    """
    given = vars(module)
    _demand_compiled(name, given)
    if isinstance(given.get("SPEC"), Spec):
        spec = replace(given["SPEC"], name=name, code=text)
    else:
        spec = _declared(name, text, given)
    _check_fields(name, tree, spec)
    decide = njit(nogil=True, forceinline=True)(getattr(spec.decide, "py_func", spec.decide))
    spec = replace(spec, decide=decide)
    given.update(
        PARAMS=spec.params_dtype, STATE=spec.state_dtype, decide=decide,
        prepare=spec.prepare, valid=spec.valid, SPEC=spec,
    )  # fmt: skip
    _try_out(spec)
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
        valid=given.get("valid") or _always,  # type: ignore[arg-type]
        prepare=given.get("prepare") or _nothing,  # type: ignore[arg-type]
        decide=given["decide"],  # type: ignore[arg-type]
        first_value=given.get("first_value") or warm_up,  # type: ignore[arg-type]
        stable=given.get("stable") or warm_up,  # type: ignore[arg-type]
        code=text,
    )


@njit(nogil=True)
def _always(params):
    return True


@njit(nogil=True)
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
    if not (isinstance(field, str) and field.isidentifier()):
        raise UsageError(f"{rule}, with a name that Python takes")
    if not (isinstance(value, tuple) and 3 <= len(value) <= 5):
        raise UsageError(rule)
    default, low, high, *rest = value
    numbers = (default, low, high, *rest[:1])
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        raise UsageError(f"{rule}, all of them numbers")
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
    return np.dtype([_field(name, *one) for one in declared.items()] or UNUSED.descr, align=True)


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


def _check_fields(name: str, tree: ast.Module, spec: Spec) -> None:
    """Refuse fields that a record does not have: the compiler's own message is hard to read."""
    records = {
        "state": spec.state_dtype, "candle": CANDLE, "position": POSITION,
        "params": spec.params_dtype, "intent": INTENT,
    }  # fmt: skip
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name not in ARGUMENTS:
            continue
        roles, found = ARGUMENTS[node.name], [one.arg for one in node.args.args]
        if len(found) != len(roles):
            raise _wrong(
                name, node.lineno, f"{node.name}({', '.join(found)}) must take {', '.join(roles)}"
            )
        known = {arg: records[role] for arg, role in zip(found, roles, strict=True)}
        for one in ast.walk(node):
            if not (isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)):
                continue
            dtype = known.get(one.value.id)
            if dtype is not None and one.attr not in (dtype.names or ()):
                raise _wrong(
                    name,
                    one.lineno,
                    f"{one.value.id} has no field {one.attr!r}; it has {', '.join(dtype.names or ())}",
                )


def _try_out(spec: Spec) -> None:
    """Compile every function by deciding on one candle."""
    state, params = np.zeros(1, spec.state_dtype), np.zeros(1, spec.params_dtype)
    for one in spec.parameters:
        params[one.name] = one.default
    intent, candle, position = empty_intent().reshape(1), np.ones(1, CANDLE), np.zeros(1, POSITION)
    position["cash"] = position["equity"] = 1.0
    try:
        if not spec.valid(params[0]):
            raise UsageError(f"strategy {spec.name}: its defaults are not valid; mend PARAMS")
        spec.prepare(state[0], params[0])
        spec.decide(state[0], candle[0], position[0], params[0], intent[0])
        candles = (int(spec.first_value(params[0])), int(spec.stable(params[0])))
    except NumbaError as error:
        raise UsageError(f"strategy {spec.name} does not compile: {_told(error)}") from None
    except (ArithmeticError, IndexError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"strategy {spec.name} fails on its first candle: {type(error).__name__}: {error}"
        ) from None
    if min(candles) < 0:
        raise UsageError(f"strategy {spec.name}: first_value or stable is negative")


def _told(error: NumbaError) -> str:
    """Return the one line of numba's message that says what is wrong, and where."""
    lines = [one.strip() for one in str(error).splitlines() if one.strip()]
    where = next(
        (f" ({one.split(', ')[-1].rstrip(':')})" for one in lines if one.startswith("File")), ""
    )
    noise = ("Failed in nopython", "During:", "File ", "<source", "- Resolution", "raised from")
    telling = [one for one in lines if not one.startswith(noise)]
    return (telling[0] if telling else lines[0])[:200] + where


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:
            return ["." * node.level + (node.module or "")]
        # `from workbench import core` imports workbench.core, `from numba import njit` numba
        inner = [f"{node.module}.{one.name}" for one in node.names]
        return (
            inner if node.module in ("workbench", "workbench.strategies") else [node.module or ""]
        )
    return []


def _wrong(name: str, line: int | None, what: str) -> UsageError:
    return UsageError(f"strategy {name}, line {line or 1}: {what}")
