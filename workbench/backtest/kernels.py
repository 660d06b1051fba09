"""Compiled kernels: one generated module a strategy, cached on disk under a key that cannot go stale.

numba's own cache looks only at the file of the cached function: edit a function that it calls in
another file, and it goes on returning the old numbers. So nothing in the core is cached by itself.
For each strategy a small module is written whose *name* is the hash of everything that its machine
code depends on (all core sources, the strategy's source, dtypes, numba's version, the processor),
and only that module's functions are cached. Another source, another file, another compilation.

The loop comes in forms, each a function of its own: what a run does not ask for, it does not pay for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast

import llvmlite.binding
import numba
import numpy as np

import workbench.core
from workbench.backtest.overlay import Overlay
from workbench.core.account import FILL
from workbench.core.intents import ERROR_EXITS, ERROR_LADDER
from workbench.execution.exits import is_any
from workbench.home import home
from workbench.quick_imports import ready_numba
from workbench.strategies.spec import FAILURES, Spec, decision_failed

_TEMPLATE = '''"""Generated from the sources of workbench.core and of strategy {name}; do not edit."""

import numpy as np
from numba import njit

from workbench.backtest.scratch import BOOK
from workbench.core.simulate import make_simulate
from {module} import STATE, decide, prepare, valid

{forms}

@njit(nogil=True, cache=True)
def mark_valid(params, out):
    for c in range(params.shape[0]):
        out[c] = valid(params[c])
'''

_RESULTS_TEMPLATE = '''"""Generated from the sources of workbench.core; do not edit."""

from numba import njit

from workbench.core.curve import describe_curve
from workbench.core.trips import fold_fills


@njit(nogil=True, cache=True, error_model="numpy")
def describe(cash, equity, cash_left, ends, profits, scale, out):
    describe_curve(cash, equity, cash_left, ends, profits, scale, out[0])


@njit(nogil=True, cache=True, error_model="numpy")
def fold(fills, step, last_close, trips):
    return fold_fills(fills, step, last_close, trips)
'''
_FORM = """
simulate_{form} = make_simulate(decide, STATE, "{key}_{form}", {flags})


@njit(nogil=True, cache=True, error_model="numpy")
def run_{form}(
    candles, samples, warm, first, params, exits, overlay, begin, end, costs, scale, rows, fills, equities
):
    state = np.zeros(1, STATE)
    book = np.zeros(1, BOOK)
    n_fills = 0
    for c in range(begin, end):
        state[0] = np.zeros(1, STATE)[0]
        prepare(state[0], params[c])
        n_fills = simulate_{form}(
            candles, samples, warm[c], first, params[c], state[0], exits[c], overlay, book[0],
            costs[0], scale, rows[c], fills, equities,
        )
    return n_fills

"""
CANDLES_A_FILL = 4  # room for the fills of most strategies; what has more is run once more
FORMS = {
    "plain": "",
    "protected": "protected=True",
    "ladders": "ladders=True",
    "protected_ladders": "protected=True, ladders=True",
}
_CHANGES_FORM = {
    ("plain", ERROR_EXITS): "protected",
    ("plain", ERROR_LADDER): "ladders",
    ("protected", ERROR_LADDER): "protected_ladders",
    ("ladders", ERROR_EXITS): "protected_ladders",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that a slice of a sweep reads, and the arrays that it fills."""

    candles: np.ndarray
    samples: np.ndarray
    warm: np.ndarray
    first: int
    params: np.ndarray
    exits: np.ndarray
    overlay: Overlay
    costs: np.ndarray
    scale: tuple[float, float]
    rows: np.ndarray
    fills: np.ndarray
    equities: np.ndarray

    @property
    def form(self) -> str:
        """Return the form of the loop that these settings need."""
        guards = self.overlay.guards[0]  # volatility_bars has a value even where nothing is guarded
        guarded = any(guards[name] for name in guards.dtype.names if name != "volatility_bars")
        return "protected" if guarded or is_any(self.exits) else "plain"

    def only(self, numbers: np.ndarray) -> Run:
        """Return the run of these combinations alone, with rows of its own."""
        params, warm, exits = self.params[numbers], self.warm[numbers], self.exits[numbers]
        rows = np.zeros(len(numbers), self.rows.dtype)
        return replace(self, params=params, warm=warm, exits=exits, rows=rows)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The compiled functions of one strategy; a form of the loop is compiled on its first run."""

    name: str
    forms: Mapping[str, Callable[..., int]]
    mark_valid: Callable[..., None]
    key: str
    ladders: bool  # whether the strategy's source writes one

    def run(self, run: Run, begin: int, end: int, form: str | None = None) -> int:
        """Run combinations begin to end (not included); return the number of fills of the last one.

        Where a decision asks for what the form does not have, they run once more in one that has it.
        """
        form = _with_ladders(form or run.form, self.ladders)
        try:
            count = self.forms[form](
                run.candles, run.samples, run.warm, run.first, run.params, run.exits, run.overlay, begin,
                end, run.costs, run.scale, run.rows, run.fills, run.equities,
            )  # fmt: skip
        except FAILURES as failure:
            raise decision_failed(self.name, failure) from failure
        for (had, error), wanted in _CHANGES_FORM.items():
            if form == had and (run.rows["error"][begin:end] == error).any():
                return self.run(run, begin, end, wanted)
        return count

    def run_whole(self, run: Run) -> np.ndarray:
        """Run the one set of a run and return all its fills, however many they are."""
        room = len(run.candles) // CANDLES_A_FILL + 1
        while True:
            fills = np.zeros(room, FILL)
            room = self.run(replace(run, fills=fills), 0, 1)
            if room <= len(fills):
                return fills[:room]


def kernel(spec: Spec) -> Kernel:
    """Return the strategy's kernel, generated on first use and compiled on first call."""
    return _kernel_of(kernel_key(spec), spec.name, import_name(spec), spec.writes_ladders)


@cache
def _kernel_of(key: str, name: str, module_name: str, ladders: bool) -> Kernel:
    forms = "".join(
        _FORM.format(key=key[:16], form=form, flags=flags) for form, flags in FORMS.items()
    )
    text = _TEMPLATE.format(name=name, module=module_name, forms=forms)
    module = generated_module(key, text)
    run = {form: getattr(module, f"run_{form}") for form in FORMS}
    return Kernel(name, run, module.mark_valid, key, ladders)


def _with_ladders(form: str, ladders: bool) -> str:
    return _CHANGES_FORM.get((form, ERROR_LADDER), form) if ladders else form


def curve_kernel() -> Callable[..., None]:
    """Return the compiled `describe_curve`."""
    return cast("Callable[..., None]", _of_results().describe)


def trips_kernel() -> Callable[..., int]:
    """Return the compiled `fold_fills`."""
    return cast("Callable[..., int]", _of_results().fold)


@cache
def _of_results() -> ModuleType:
    """Return what describes results, under a key of its own: it is the same for all strategies."""
    return generated_module(key_of(_RESULTS_TEMPLATE), _RESULTS_TEMPLATE)


def kernel_key(spec: Spec) -> str:
    """Return the hash of all that the machine code depends on; its module imports the strategy by name."""
    return key_of(spec.name, spec.sha)


def key_of(*texts: str) -> str:
    """Return the hash of these texts and of all else that a generated module depends on."""
    parts = [engine_sha(), *texts, numba.__version__, np.__version__, *_processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def engine_sha() -> str:
    """Return the hash of the engine's own sources: what two machines must share to agree.

    Taken once a process, which has imported what it has imported.
    """
    parts = [
        _TEMPLATE,
        _FORM,
        repr(FORMS),
        *(path.read_text(encoding="utf-8") for path in _core_sources()),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _core_sources() -> list[Path]:
    core = Path(workbench.core.__path__[0])
    here = [Path(__file__).with_name(name) for name in ("event_form.py", "scratch.py")]
    return [*sorted(core.glob("*.py")), *here]


def _processor() -> tuple[str, str, str]:
    name = os.environ.get("NUMBA_CPU_NAME") or _host()
    flags = os.environ.get("NUMBA_CPU_FEATURES", "") + os.environ.get("NUMBA_OPT", "")
    return name, flags, sys.version


@cache
def _host() -> str:
    return str(llvmlite.binding.get_host_cpu_name())


def import_name(spec: Spec) -> str:
    """Return the name of the module that a generated one imports the strategy's functions from."""
    name = getattr(spec.decide, "py_func", spec.decide).__module__
    if name not in sys.modules:
        raise ValueError(f"{spec.name}: its decide function belongs to no module")
    return str(name)


@cache
def generated_module(key: str, text: str) -> ModuleType:
    """Return the module with this text, written under this key on first use."""
    folder = home() / "kernels"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{key[:32]}.py"
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    spec = importlib.util.spec_from_file_location(f"workbench_kernel_{key[:32]}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the generated kernel {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    ready_numba()
    return module
