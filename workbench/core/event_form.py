"""The event form: a sweep of signals that are all-in or all-out, at a few cycles a candle.

The plain kernel keeps a whole account for every candle and parameter set. Where a strategy writes only
the targets 1 and 0 and does not look at its position, most of that is the same work over and over:

1. signals of sixteen parameter sets at a time become bits, 64 candles a word (`event_form_signals`);
2. trades are where the bits turn: a few per cent of the candles (`event_form_trades`);
3. what lies between two fills, the extremes of the closes, comes from a table that all parameter sets
   of a block share (`event_form_ranges`);
4. with protective exits, a trade ends at the first low or high that reaches one (`event_form_exits`).

Candles are taken in blocks of 1,024, parameter sets in groups of sixteen, and everything that passes
from one block to the next is in `TRADER` and the signals' memory: a caller may stop after any block.
A row in doubt (see `event_form_trades`) is for the plain kernel to run.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

from workbench.core.costs import worsened_buy, worsened_sell
from workbench.core.event_form_ranges import BLOCK, TABLE_SIZE, build_ranges
from workbench.core.event_form_trades import EDGES_SIZE, WORDS_A_BLOCK
from workbench.core.naming import named
from workbench.core.statistics import growth_a_year, sharpe_ratio, sortino_ratio
from workbench.core.vectors import LANES

# closes, 1 / close, base kept a quote spent and quote kept a base sold at each open, slot of the first
# sample that ends at a candle or later, closes of those, untradable candles as bits, running sums
Market = namedtuple(
    "Market", "closes inverses enter leave slots marks untradable sums rests"
)  # fmt: skip

HARDLY = 1e-9  # drawdowns below this share are in doubt: rounding may be all of them
NOISE = 1e-20  # so are sums of squared returns below this
CONSTANT = 1e-6  # and variances below this share of the mean square
RUINED = 1e-100  # and what is left of an account below this share


@njit(nogil=True)
def fill_market(candles, samples, first, costs, market):
    """Write what every parameter set shares; `market` has the lengths that `event_form` gives it."""
    slot = 0
    for t in range(candles.shape[0]):
        candle = candles[t]
        market.closes[t] = candle.close
        market.inverses[t] = 1.0 / candle.close
        market.enter[t] = (1.0 - costs.fee) / worsened_buy(candle.open, costs.slippage_bps)
        market.leave[t] = worsened_sell(candle.open, costs.slippage_bps) * (1.0 - costs.fee)
        market.slots[t] = slot
        if t >= first and samples[t]:
            market.marks[slot] = candle.close
            slot += 1
        if not (candle.volume > 0.0 and candle.missing_before == 0):
            market.untradable[t // 64] |= np.uint64(1) << np.uint64(t % 64)
    market.slots[candles.shape[0]] = slot


def make_run_blocks(signals, trade, name):
    """Return the compiled loop over blocks and groups around one family's compiled `signals`.

    `trade` is `trade_block` or, for a run with exits, `trade_protected_block`.
    """

    @njit(nogil=True)
    @named(name)
    def run_blocks(market, protection, first, stop, settled, shapes, memories, traders):
        """Run every group over the blocks `first` to before `stop`."""
        candles = market.slots.shape[0] - 1
        table = np.empty(TABLE_SIZE)
        above = np.empty(WORDS_A_BLOCK * LANES, np.uint64)
        below = np.empty(WORDS_A_BLOCK * LANES, np.uint64)
        targets = np.empty(2 * WORDS_A_BLOCK, np.uint64)
        edges = np.empty(EDGES_SIZE, np.int64)
        levels = np.empty(BLOCK + 4 * LANES)
        doubts = np.zeros(LANES, np.int8)
        for begin in range(first * BLOCK, min(stop * BLOCK, candles), BLOCK):
            count = min(BLOCK, candles - begin)
            build_ranges(market.closes, market.inverses, begin, count, table)
            for group in range(shapes.shape[0]):
                doubts[:] = 0
                signals(
                    market, begin, count, settled[group], shapes[group], memories[group], above, below,
                    doubts,
                )  # fmt: skip
                for lane in range(min(LANES, traders.shape[0] - group * LANES)):
                    c = group * LANES + lane
                    trader = traders[c]
                    trader.doubt |= doubts[lane]
                    trade(
                        trader, c, protection, market, begin, count, lane, above, below, table,
                        targets, edges, levels,
                    )  # fmt: skip

    return run_blocks


@njit(nogil=True, error_model="numpy")
def fill_rows(market, bars, costs, scale, traders, rows, doubtful):
    """Turn traders into rows of METRICS; mark those that the plain kernel must run."""
    candles = market.slots.shape[0] - 1
    samples, close = market.slots[candles], market.closes[candles - 1]
    for c in range(traders.shape[0]):
        trader, row = traders[c], rows[c]
        final = trader.quantity * close if trader.holds else trader.cash
        count, worst = trader.trades, trader.worst
        row.error = 0
        row.final_equity = final
        row.total_return = final / costs.cash - 1.0
        row.cagr = growth_a_year(final / costs.cash, scale[1])
        row.sharpe = sharpe_ratio(samples, trader.total, trader.squares, scale[0])
        row.sortino = sortino_ratio(samples, trader.total, trader.losses, scale[0])
        row.max_drawdown = worst - 1.0
        row.calmar = row.cagr / (1.0 - worst) if worst < 1.0 else np.nan
        row.trades = count
        row.open_trade = trader.holds
        row.pending = 1 if trader.target != trader.holds else 0
        row.win_rate = trader.wins / count if count > 0 else np.nan
        row.profit_factor = trader.gained / trader.lost if trader.lost > 0.0 else np.nan
        row.exposure = trader.held / bars
        row.fees = costs.fee * (trader.paid + trader.received / (1.0 - costs.fee))
        row.bars = bars
        row.refused = row.guarded = row.ambiguous = 0
        doubtful[c] = trader.doubt or (trader.paid > 0.0 and _hardly_moved(trader, samples, costs))


@njit(nogil=True)
def _hardly_moved(trader, samples, costs):
    """Return whether a statistic of an account that traded is rounding more than anything else."""
    deviation = trader.squares - trader.total * trader.total / samples
    return (
        1.0 - trader.worst < HARDLY
        or trader.losses < NOISE
        or deviation < CONSTANT * trader.squares
        or min(trader.cash, trader.spent) < RUINED * costs.cash
    )
