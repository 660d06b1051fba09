"""Grid: a ladder of resting limit orders between two prices; each fill rests its opposite one line off.

    arithmetic   line i = low + i (high - low) / (lines - 1)
    geometric    line i = low (high / low) ^ (i / (lines - 1))

Between two neighbouring lines lies one rung: buy at the lower, sell at the upper, over and over. The
execution layer does the pairing (`pair_price`); this decision only says which rungs there are.

Inventory "cash" (0) starts with cash: a rung begins as a buy and is laid once a close has been above its
line, so that it rests below the market. Inventory "split" (1) first buys, as a target, the base that
the rungs above the close need; when it has arrived, all rungs are laid: those whose upper line is
above the close as sells, the others as buys.

Stop and take-profit are levels outside the range. A candle that reaches one, or an exit of the
position, ends the grid: the ladder is withdrawn and the base sold (target 0). Stop at or below and
take-profit at or above the range's bounds make that unambiguous; both in one candle are one end.

`revision` counts the changes of the ladder and is written at every candle, the rungs only with a new
revision. Prices are in quote, or multiples of the first close (`unit` 1), which makes one grid fit any
symbol; nothing is rounded here, the execution layer keeps to tick and lot.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.records import LADDER_SIZE
from workbench.strategies.spec import Parameter, Spec, nothing_to_settle

ARITHMETIC, GEOMETRIC = 0, 1
CASH, SPLIT = 0, 1
PRICE, FIRST_CLOSE = 0, 1
WAITING, LAID, ENDED = 0, 1, 2
KEPT_FOR_FEES = 0.005  # of the equity where the order size is left to the grid

PARAMS = np.dtype(
    [
        ("spacing", "<i8"),
        ("unit", "<i8"),
        ("low", "<f8"),
        ("high", "<f8"),
        ("lines", "<i8"),
        ("quote", "<f8"),
        ("stop", "<f8"),
        ("take_profit", "<f8"),
        ("inventory", "<i8"),
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("phase", "<i8"),
        ("laid", "<i8"),
        ("revision", "<i8"),
        ("quote", "<f8"),
        ("scale", "<f8"),
        ("stop", "<f8"),  # in quote, 0 for none or once the grid has ended
        ("take_profit", "<f8"),
        ("next_line", "<f8"),  # a close above it has something to lay
        ("lowest", "<f8"),  # a candle that stays between them ends nothing
        ("highest", "<f8"),
        ("line", "<f8", (LADDER_SIZE + 1,)),
    ],
    align=True,
)


@njit(nogil=True)
def valid(params):
    below = params.stop == 0.0 or params.stop <= params.low
    above = params.take_profit == 0.0 or params.take_profit >= params.high
    return params.low < params.high and below and above


@njit(nogil=True)
def prepare(state, params):
    for i in range(params.lines):
        share = i / (params.lines - 1)
        if params.spacing == GEOMETRIC:
            state.line[i] = params.low * (params.high / params.low) ** share
        else:
            state.line[i] = params.low + (params.high - params.low) * share
    state.line[params.lines - 1] = params.high
    state.next_line = -np.inf


@njit(nogil=True)
def _begin(state, params, close, equity, intent):
    state.scale = close if params.unit == FIRST_CLOSE else 1.0
    state.stop, state.take_profit = params.stop * state.scale, params.take_profit * state.scale
    state.next_line = state.line[0] * state.scale if params.inventory == CASH else 0.0
    state.lowest = state.stop if state.stop > 0.0 else -np.inf
    state.highest = state.take_profit if state.take_profit > 0.0 else np.inf
    rungs = params.lines - 1
    state.quote = params.quote
    if params.quote == 0.0:
        state.quote = equity * (1.0 - KEPT_FOR_FEES) / rungs
    if params.inventory == SPLIT:
        base = 0.0
        for i in range(rungs):
            if state.line[i + 1] * state.scale > close:
                base += state.quote / (state.line[i + 1] * state.scale)
        if base > 0.0 and equity > 0.0:
            wanted = base * close / (1.0 - KEPT_FOR_FEES)
            intent.target = min(1.0, wanted / equity)


@njit(nogil=True)
def _above(state, params, close):
    if params.inventory == CASH:
        return 0
    above = 0
    for i in range(params.lines - 1):
        if state.line[i + 1] * state.scale > close:
            above += 1
    return above


@njit(nogil=True)
def _lay(state, params, rungs, sells, intent):
    state.laid = rungs
    state.revision += 1
    intent.n_ladder = rungs
    for i in range(rungs):
        low, high = state.line[i] * state.scale, state.line[i + 1] * state.scale
        rung = intent.ladder[i]
        rung.id = i + 1
        rung.quote = state.quote
        if i >= rungs - sells:
            rung.side, rung.price, rung.pair_price = -1, high, low
        else:
            rung.side, rung.price, rung.pair_price = 1, low, high


@njit(nogil=True)
def _end(state, params, intent):
    state.phase = ENDED
    state.stop = state.take_profit = 0.0
    state.lowest, state.highest, state.next_line = -np.inf, np.inf, np.inf
    if state.laid > 0:
        _lay(state, params, 0, 0, intent)
    intent.target = 0.0


@njit(nogil=True)
def _follow(state, params, close, intent):
    rungs = state.laid
    while rungs < params.lines - 1 and state.line[rungs] * state.scale < close:
        rungs += 1
    _lay(state, params, rungs, 0, intent)
    state.next_line = state.line[rungs] * state.scale if rungs < params.lines - 1 else np.inf


@njit(nogil=True)
def _act(state, params, candle, equity, quantity, exited, intent):
    """Begin, end or lay the grid."""
    close = candle.close
    if state.scale == 0.0:
        _begin(state, params, close, equity, intent)
    if exited or candle.low <= state.lowest or candle.high >= state.highest:
        _end(state, params, intent)
    elif params.inventory == CASH:
        if close > state.next_line:
            _follow(state, params, close, intent)
    elif state.phase == WAITING:
        sells = _above(state, params, close)
        if sells == 0 or quantity > 0.0:
            state.phase = LAID
            state.next_line = np.inf
            _lay(state, params, params.lines - 1, sells, intent)


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    exited = position.exit_reason != 0
    acts = candle.close > state.next_line or candle.low <= state.lowest
    if (acts or candle.high >= state.highest or exited) and state.phase != ENDED:
        _act(state, params, candle, position.equity, position.quantity, exited, intent)
    intent.stop, intent.take_profit = state.stop, state.take_profit
    intent.revision = state.revision


def first_value(params):
    return nothing_to_settle(params) + 1


SPEC = Spec(
    name="grid",
    title="Grid of limit orders; stop at or below low < high at or below take-profit",
    source="Chen, K.-Y., Chen, K.-H., Jang, J.-S. R. (2025), Dynamic Grid Trading Strategy: From Zero "
    "Expectation to Market Outperformance, arXiv 2506.11921, section 1.1",
    parameters=(
        Parameter("spacing", "int", 0, 1, 1, 1, "0 arithmetic, 1 geometric"),
        Parameter(
            "unit", "int", 0, 1, 1, 1, "of the prices: 0 quote, 1 multiples of the 1st close"
        ),
        Parameter("low", "float", 1e-8, 1e9, 0.01, 0.8, "lowest line"),
        Parameter("high", "float", 1e-8, 1e9, 0.01, 1.25, "highest line"),
        Parameter("lines", "int", 2, LADDER_SIZE + 1, 1, 21, "lines; one rung between each two"),
        Parameter(
            "quote", "float", 0, 1e9, 1, 0, "order size in quote; 0 parts the equity equally"
        ),
        Parameter("stop", "float", 0, 1e9, 0.01, 0, "level that ends the grid below; 0 for none"),
        Parameter("take_profit", "float", 0, 1e9, 0.01, 0, "the same above; 0 for none"),
        Parameter("inventory", "int", 0, 1, 1, 0, "0 starts with cash, 1 buys what sells need"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=nothing_to_settle,
)
