"""Which sweeps the event form runs, and how: chunks of parameter sets on threads, block by block.

MACD, EMA cross and SMA cross, with protective exits or without: their decisions look at closes alone
and are all in or all out (`workbench.core.event_form` has the theory). Numbers are those of the plain
kernel to 1e-9, whatever the number of threads and however a sweep is cut.

The plain kernel runs what does not fit, all of it said here: any other strategy, a changed source, the
exchange's filters, guards and scaled sizes (`has_event_form`), and rows in doubt: where rounding alone
would decide, or where an average true range has no value yet (`EventForm.run`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from types import ModuleType

import numpy as np

from workbench import strategies
from workbench.backtest.kernels import Run, generated_module, key_of
from workbench.backtest.setting import Costs
from workbench.backtest.slices import run_spans
from workbench.core.event_form import Market
from workbench.core.event_form_exits import HOLDING, Reach
from workbench.core.event_form_ranges import BLOCK
from workbench.core.event_form_signals import (
    FAST,
    FED_FROM,
    LONGEST_WINDOW,
    MEMORY_SIZE,
    SHAPE_SIZE,
    SIGNAL,
    SLOW,
)
from workbench.core.event_form_trades import TRADER
from workbench.core.vectors import LANES
from workbench.execution.exits import is_any, ranged
from workbench.strategies.spec import Spec

SIGNALS = {
    "macd": "macd_signals",
    "ema_cross": "ema_cross_signals",
    "sma_cross": "sma_cross_signals",
}
CHUNK = 1_024  # parameter sets that share a block's table, at most
CANDLES_A_CALL = 24_000_000  # candles x parameter sets: about 20 ms

_TEMPLATE = '''"""The event form of {name}, generated from the sources of workbench.core; do not edit."""

from numba import njit

from workbench.core import event_form, event_form_exits
from workbench.core.event_form_signals import {signals}, running_sums
from workbench.core.event_form_trades import trade_block

_run_blocks = event_form.make_run_blocks({signals}, trade_block, "{name}")
_run_protected = event_form.make_run_blocks(
    {signals}, event_form_exits.trade_protected_block, "{name}_protected"
)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_market(candles, samples, first, costs, market):
    event_form.fill_market(candles, samples, first, costs[0], market)
    running_sums(market.closes[: candles.shape[0]], market.sums, market.rests)


@njit(nogil=True, cache=True, error_model="numpy")
def run_blocks(market, protection, first, stop, settled, shapes, memories, traders):
    _run_blocks(market, protection, first, stop, settled, shapes, memories, traders)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_reach(candles, costs, reach):
    event_form_exits.fill_reach(candles, costs[0], reach)


@njit(nogil=True, cache=True, error_model="numpy")
def run_protected(market, holdings, exits, reach, costs, first, stop, settled, shapes, memories, traders):
    sight = event_form_exits.sight_of(reach, market)
    protection = event_form_exits.Protection(
        holdings, exits, costs[0], sight, reach.fine, reach.offsets
    )
    _run_protected(market, protection, first, stop, settled, shapes, memories, traders)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_rows(market, bars, costs, scale, traders, rows, doubtful):
    event_form.fill_rows(market, bars, costs[0], scale, traders, rows, doubtful)
'''


def has_event_form(spec: Spec, costs: Costs) -> bool:
    """Return whether the event form knows this very strategy under these costs."""
    if costs.filters != "none" or costs.guards.is_any or spec.code or spec.name not in SIGNALS:
        return False
    return spec.sha == strategies.load(spec.name).sha


@dataclass(frozen=True, slots=True)
class EventForm:
    """The event form of one strategy in one run; `market` and `reach` are what all sets share."""

    spec: Spec
    todo: Run
    market: Market
    reach: Reach | None  # what exits look at; None where no set has any
    compiled: ModuleType

    @classmethod
    def of(cls, spec: Spec, run: Run) -> EventForm:
        """Prepare the series of a run."""
        compiled, market = _compiled(spec), _empty_market(len(run.candles))
        compiled.fill_market(run.candles, run.samples, run.first, run.costs, market)
        reach = None
        if is_any(run.exits):
            reach = _empty_reach(run)
            compiled.fill_reach(run.candles, run.costs, reach)
        return cls(spec, run, market, reach, compiled)

    def run(self, *, threads: int, progress: bool) -> np.ndarray:
        """Fill one row a parameter set; return the numbers of those that the plain kernel must run."""
        stopped, todo, total = Event(), self.todo, len(self.todo.params)
        doubtful, bars = np.zeros(total, np.bool_), len(todo.candles) - todo.first

        def run(begin: int, end: int) -> None:
            part = slice(begin, end)
            traders, holdings = self._trade(part, stopped)
            self.compiled.fill_rows(
                self.market, bars, todo.costs, todo.scale, traders, todo.rows[part], doubtful[part]
            )
            if holdings is not None:
                _tell_of_exits(todo.rows[part], holdings)

        size = min(CHUNK, -(-total // (2 * threads * LANES)) * LANES)
        spans = ((b, min(b + size, total)) for b in range(0, total, size))
        run_spans(run, spans, total, threads=threads, progress=progress, stopped=stopped)
        return np.flatnonzero(doubtful)

    def _trade(self, part: slice, stopped: Event) -> tuple[np.ndarray, np.ndarray | None]:
        """Take a chunk of parameter sets through all blocks, about 20 ms a call."""
        params, warm = self.todo.params[part], self.todo.warm[part]
        starts = warm + self.spec.first_value(params)
        shapes, settled = _shapes(params, warm), _in_groups(starts).max(axis=1)
        memories = np.zeros((len(shapes), MEMORY_SIZE))
        traders = self._traders(starts)
        run_blocks, holdings = self._form(part, traders)
        blocks = -(-len(self.todo.candles) // BLOCK)
        step = max(1, CANDLES_A_CALL // (BLOCK * len(params)))
        for first in range(int(warm.min()) // BLOCK, blocks, step):
            if stopped.is_set():
                break
            run_blocks(first, first + step, settled, shapes, memories, traders)
        return traders, holdings

    def _form(
        self, part: slice, traders: np.ndarray
    ) -> tuple[Callable[..., None], np.ndarray | None]:
        """Return the loop over blocks that these sets need, and what it keeps of their exits."""
        if self.reach is None:
            return partial(self.compiled.run_blocks, self.market, None), None
        exits, costs = self.todo.exits[part], self.todo.costs
        holdings = np.zeros(len(exits), HOLDING)
        holdings["ranges"] = self._ranges_of(exits)
        which = np.flatnonzero(holdings["ranges"] >= 0)
        at = np.minimum(traders["starts"][which], len(self.todo.candles) - 1)
        traders["doubt"][which] = np.isnan(self.reach.ranges[holdings["ranges"][which], at])
        loop = partial(self.compiled.run_protected, self.market, holdings, exits, self.reach, costs)
        return loop, holdings

    def _ranges_of(self, exits: np.ndarray) -> np.ndarray:
        """Return the row of each set's average true range, -1 where no exit is measured in one."""
        rows = np.searchsorted(self.todo.overlay.periods, exits["atr_period"])
        return np.where(ranged(exits), rows, -1)

    def _traders(self, starts: np.ndarray) -> np.ndarray:
        traders = np.zeros(len(starts), TRADER)
        for name in ("cash", "spent", "peak", "sampled"):
            traders[name] = self.todo.costs["cash"][0]
        traders["worst"] = 1.0
        traders["starts"] = np.maximum(starts, self.todo.first)
        return traders


def _tell_of_exits(rows: np.ndarray, holdings: np.ndarray) -> None:
    """Write what exits add to a row: what was ambiguous, and that a spent target is not pending."""
    rows["ambiguous"] = holdings["ambiguous"]
    rows["pending"][holdings["spent"] != 0] = 0


def _shapes(params: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """Return what each group of parameter sets is, as `event_form_signals` reads it."""
    groups = -(-len(params) // LANES)
    signal = "signal" if "signal" in (params.dtype.names or ()) else "slow"
    shapes = np.zeros((groups, SHAPE_SIZE))
    for at, values in (
        (FED_FROM, warm), (FAST, params["fast"]), (SLOW, params["slow"]), (SIGNAL, params[signal]),
    ):  # fmt: skip
        shapes[:, at : at + LANES] = _in_groups(values)
    return shapes


def _compiled(spec: Spec) -> ModuleType:
    text = _TEMPLATE.format(name=spec.name, signals=SIGNALS[spec.name])
    return generated_module(key_of(text), text)


def _in_groups(values: np.ndarray) -> np.ndarray:
    """Return the values in rows of a group each; the last row is filled up with its last value."""
    return np.pad(values, (0, -len(values) % LANES), mode="edge").reshape(-1, LANES)


def _empty_market(candles: int) -> Market:
    closes = np.zeros(candles + 64)
    return Market(
        closes=closes,
        inverses=np.zeros(candles),
        enter=np.zeros(candles),
        leave=np.zeros(candles),
        slots=np.zeros(candles + 1, np.int64),
        marks=np.zeros(candles + 4 * LANES),
        untradable=np.zeros(-(-candles // 64), np.uint64),
        sums=np.zeros(LONGEST_WINDOW + candles + 65),
        rests=np.zeros(LONGEST_WINDOW + candles + 65),
    )


def _empty_reach(run: Run) -> Reach:
    length = len(run.candles) + LANES
    return Reach(
        paid=np.zeros(length),
        opens=np.zeros(length),
        lows=np.zeros(length),
        highs=np.zeros(length),
        ranges=run.overlay.ranges,
        fine=run.overlay.fine,
        offsets=run.overlay.offsets,
    )
