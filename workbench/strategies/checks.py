"""What a user's own strategy may not do: read from its text, and found by trying it out.

It runs in a process without files, and its hash must pin all that it does. So its text imports the
few modules that the engines know, draws no chance, and writes to `state` and `intent` alone. Then it
decides on made-up candles, at the ends of every parameter's range, with the bounds of its windows
checked: compiled code that reaches beyond a window reads what lies there by chance. It does so on a
thread, since nothing can interrupt compiled code: a decision without end would hold up the notebook.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial

import numpy as np
from numba import njit, typeof
from numba.core.errors import NumbaError

from workbench.core.records import INTENT, POSITION, empty_intent
from workbench.errors import UsageError
from workbench.market.candles import CANDLE
from workbench.patience import within
from workbench.strategies.spec import FAILURES, Spec, decision_failed

ALLOWED = ("numba", "numpy", "workbench.core", "workbench.strategies.spec", "__future__")
ARGUMENTS = {
    "decide": ("state", "candle", "position", "params", "intent"),
    "prepare": ("state", "params"),
    "valid": ("params",),
}
READ_ONLY = ("candle", "position", "params")
BUILT_IN = ("__import__", "compile", "eval", "exec", "globals", "input", "open", "vars")
TRIED = 600  # candles
TRIED_QUICKLY = 34_000  # more than the largest window has places, so that none grows beyond it
PATIENCE_S = 60.0  # for one parameter set, compiled
MOST_CANDLES = 10_000_000  # that a strategy may ask to see before it decides
_HASH = "workbench.core.indicators.counter_hash(seed, counter), which gives the same everywhere"


def check_source(name: str, text: str) -> ast.Module:
    """Return the parsed text; UsageError where it is no Python or reaches beyond what it may."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise wrong(name, error.lineno, f"{error.msg}: {line}".rstrip(": ")) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise wrong(name, 1, f"it is no Python: {error}") from None
    for node in ast.walk(tree):
        at: int = getattr(node, "lineno", 1)
        for module in _imported(node):
            if module == "numpy.random" or module.startswith("numpy.random."):
                raise wrong(name, at, f"it imports {module}; use {_HASH}")
            if not any(module == one or module.startswith(one + ".") for one in ALLOWED):
                allowed = ", ".join(ALLOWED[:-1])
                raise wrong(
                    name,
                    at,
                    f"it imports {module}; a strategy imports {allowed} and nothing else",
                )
        if isinstance(node, ast.Attribute) and node.attr == "random":
            raise wrong(name, at, f"it uses {ast.unparse(node)}; use {_HASH}")
        if isinstance(node, ast.Name) and node.id in BUILT_IN:
            raise wrong(name, at, f"it uses {node.id}; a strategy reaches nothing but its records")
        if isinstance(node, ast.Global):
            raise wrong(name, at, "it changes a global; keep what changes in STATE")
        if isinstance(node, ast.While) and _is_endless(node):
            raise wrong(name, at, "a loop without end; give it a condition or a break")
    return tree


def check_fields(name: str, tree: ast.Module, spec: Spec) -> None:
    """Refuse fields that a record does not have or that are not to be written, by line.

    The compiler's own message is hard to read, and of a candle that is overwritten it says nothing.
    """
    records = {
        "state": spec.state_dtype, "candle": CANDLE, "position": POSITION,
        "params": spec.params_dtype, "intent": INTENT,
    }  # fmt: skip
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name not in ARGUMENTS:
            continue
        roles, found = ARGUMENTS[node.name], [one.arg for one in node.args.args]
        extra = node.args.vararg or node.args.kwarg or node.args.kwonlyargs or node.args.defaults
        if len(found) != len(roles) or extra:
            raise wrong(
                name, node.lineno,
                f"{node.name}({ast.unparse(node.args)}) must take {', '.join(roles)}",
            )  # fmt: skip
        role_of = dict(zip(found, roles, strict=True))
        for one in ast.walk(node):
            if not (isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)):
                continue
            role = role_of.get(one.value.id)
            if role is None:
                continue
            fields = records[role].names or ()
            if one.attr not in fields:
                has = f"it has {', '.join(fields)}" if fields else "it has none"
                raise wrong(name, one.lineno, f"{one.value.id} has no field {one.attr!r}; {has}")
            if role in READ_ONLY and not isinstance(one.ctx, ast.Load):
                raise wrong(
                    name, one.lineno,
                    f"it writes {one.value.id}.{one.attr}; a decision writes state and intent alone",
                )  # fmt: skip


def try_out(spec: Spec) -> None:
    """Compile every function and decide on made-up candles; UsageError where that fails."""
    try:
        sets = _sets_to_try(spec)
        _check_warm_up(spec, sets)
        # But for divisions by zero, which are errors here, this is the decision itself.
        decide = njit(boundscheck=True, nogil=True)(getattr(spec.decide, "py_func", spec.decide))
        at_length = _at_length(spec, decide)
        for params in sets:
            _within_patience(spec, partial(_decide_on_all, spec, decide, params))
            _within_patience(spec, partial(at_length, params))
    except NumbaError as error:
        raise UsageError(f"strategy {spec.name} does not compile: {_told(error)}") from None
    except IndexError as error:
        raise UsageError(
            f"strategy {spec.name} reaches beyond the end of a window: {error}; make the field in STATE "
            "as long as the largest parameter asks for, or lower that"
        ) from None
    except (*FAILURES, TypeError, AttributeError) as error:
        raise decision_failed(spec.name, error) from None


def wrong(name: str, line: int | None, what: str) -> UsageError:
    """Return the error that names a strategy, a line of its text, and what is wrong with it."""
    return UsageError(f"strategy {name}, line {line or 1}: {what}")


def _sets_to_try(spec: Spec) -> np.ndarray:
    """Return the defaults, and each parameter at the ends of its range, where those are valid."""
    base = np.zeros(1, spec.params_dtype)
    for one in spec.parameters:
        base[one.name] = one.default
    if not spec.valid(base[0]):
        raise UsageError(f"strategy {spec.name}: its defaults are not valid; mend PARAMS")
    sets = [base]
    for one in spec.parameters:
        for end in (one.low, one.high):
            changed = base.copy()
            changed[one.name] = end
            if spec.valid(changed[0]):
                sets.append(changed)
    return np.concatenate(sets)


def _check_warm_up(spec: Spec, sets: np.ndarray) -> None:
    for label in ("first_value", "stable"):
        function = getattr(spec, label)
        rule = f"strategy {spec.name}: {label}(params)"
        try:
            many = np.broadcast_to(np.asarray(function(sets)), (len(sets),))
            each = [function(one) for one in sets]
        except NumbaError:
            raise
        except Exception as error:  # of the user's own function: anything
            raise UsageError(
                f"{rule} must take one set or an array of sets (np.maximum, not max): {error}"
            ) from None
        for value in (*each, *many):
            if not (np.isfinite(value) and value == int(value) and 0 <= value <= MOST_CANDLES):
                raise UsageError(f"{rule} gives {value}; it must be a number of candles, 0 or more")


def _decide_on_all(spec: Spec, decide: object, params: np.ndarray) -> None:
    state = np.zeros(1, spec.state_dtype)
    position, candle = np.zeros(1, POSITION), np.zeros(1, CANDLE)
    position["cash"] = position["equity"] = 10_000.0
    params = np.array([params], spec.params_dtype)
    spec.prepare(state[0], params[0])
    for record in _made_up():
        candle[0] = record
        intent = empty_intent().reshape(1)
        before = [one.tobytes() for one in (candle, position, params)]
        decide(state[0], candle[0], position[0], params[0], intent[0])  # type: ignore[operator]
        for role, old, now in zip(READ_ONLY, before, (candle, position, params), strict=True):
            if now.tobytes() != old:
                raise UsageError(
                    f"strategy {spec.name} writes to its {role}; a decision writes state and intent alone"
                )


def _at_length(spec: Spec, decide: object) -> Callable[[np.ndarray], None]:
    """Return what decides on many candles with one parameter set, compiled before it is called."""

    @njit(boundscheck=True, nogil=True)
    def run(state, candles, position, params, intent):
        for t in range(candles.shape[0]):
            decide(state[0], candles[t], position[0], params[0], intent[0])

    def tried(params: np.ndarray) -> None:
        state = np.zeros(1, spec.state_dtype)
        own = np.array([params], spec.params_dtype)
        spec.prepare(state[0], own[0])
        run(state, candles, np.zeros(1, POSITION), own, empty_intent().reshape(1))

    candles = _made_up(TRIED_QUICKLY)
    records = (
        np.zeros(1, spec.state_dtype), candles, np.zeros(1, POSITION),
        np.zeros(1, spec.params_dtype), empty_intent().reshape(1),
    )  # fmt: skip
    run.compile(tuple(typeof(one) for one in records))
    decide.compile(tuple(typeof(one[0]) for one in records))  # type: ignore[attr-defined]
    return tried


def _within_patience(spec: Spec, work: Callable[[], None]) -> None:
    """Do compiled work; UsageError where it does not come back."""
    late = (
        f"strategy {spec.name} was still deciding after {PATIENCE_S:g} s: it has a loop without end; "
        "give the loop a condition that ends it, and restart this process, which goes on in it"
    )
    within(PATIENCE_S, work, name=f"try {spec.name}", late=late)


def _made_up(count: int = TRIED) -> np.ndarray:
    """Return candles of a price that swings in several rhythms, the same ones every time."""
    steps = np.arange(count + 1)
    price = 100.0 + 9.0 * np.sin(steps / 9.0) + 4.0 * np.sin(steps / 2.3) + np.sin(steps * 1.7)
    candles = np.zeros(count, CANDLE)
    candles["open_time"] = 3_600_000 * steps[1:]
    candles["open"], candles["close"] = price[:-1], price[1:]
    candles["high"] = np.maximum(price[:-1], price[1:]) + 0.5
    candles["low"] = np.minimum(price[:-1], price[1:]) - 0.5
    candles["volume"] = 10.0 + 5.0 * np.sin(steps[1:] / 5.0)
    return candles


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
        packages = ("workbench", "workbench.strategies", "numpy")
        return inner if node.module in packages else [node.module or ""]
    return []


def _is_endless(loop: ast.While) -> bool:
    constant = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    leaves = any(isinstance(one, ast.Break | ast.Return | ast.Raise) for one in ast.walk(loop))
    return constant and not leaves
