"""The published rules of the 2,400-scenario study, its error included, and their cold-start cure.

Published: the arrays line, signal and close each begin at another candle (slow - 1,
slow + signal - 2 and slow - fast) and are compared at the same offset, so a trade is booked at a
close that lies fast + signal - 2 candles before the newest close its decision needs. Profit is the
plain sum of per-trade percentages, without costs; an open trade is dropped.

Cold start: the same averages, aligned; fill at the next open, a fee each side (entry p (1 + f),
exit p (1 - f)); an open trade is marked at the last close less the exit fee.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

FEE = 0.001


@dataclass(frozen=True, slots=True)
class Outcome:
    """The sum of per-trade percentages, closed trades, and whether anything was ever bought."""

    value: float
    trades: int
    entered: bool


NOTHING = Outcome(0.0, 0, False)


def ema_series(values: np.ndarray, period: int) -> np.ndarray:
    """Return the average from its first definitional value on: len(values) - period + 1 values.

    Seeded with the simple average of the first `period` values; then y = y + w (x - y) with
    w = 2 / (period + 1), as a first-order recursive filter.
    """
    weight = 2.0 / (period + 1.0)
    seed = values[:period].mean()
    rest, _ = lfilter([weight], [1.0, weight - 1.0], values[period:], zi=[seed * (1.0 - weight)])
    return np.concatenate([[seed], rest])


def published(close: np.ndarray, fast: int, slow: int, signal: int) -> Outcome:
    """Score one scenario by the published rules, misalignment included."""
    if len(close) < slow + signal:
        return NOTHING
    line, signal_line = _line_and_signal(close, fast, slow, signal)
    count = len(signal_line)
    up, down = _crossings(line[:count] - signal_line)
    booked_at = close[slow - fast :]
    total, trades, bought = 0.0, 0, 0.0
    for i in np.flatnonzero(up | down):
        if up[i] and not bought:
            bought = booked_at[i]
        elif down[i] and bought:
            total += (booked_at[i] / bought - 1.0) * 100.0
            trades += 1
            bought = 0.0
    return Outcome(float(total), trades, bool(trades > 0 or bought > 0.0))


def cold_start(
    open: np.ndarray, close: np.ndarray, fast: int, slow: int, signal: int, *, fee: float = FEE
) -> Outcome:
    """Score one scenario with everything aligned and costs on, but no candle before the window."""
    if len(close) < slow + signal:
        return NOTHING
    line, signal_line = _line_and_signal(close, fast, slow, signal)
    up, down = _crossings(line[signal - 1 :] - signal_line)
    first = slow + signal - 2
    total, trades, paid = 0.0, 0, 0.0
    for i in np.flatnonzero(up | down):
        fill = first + i + 1
        if fill >= len(open):
            break  # the signal came with the last candle: it is pending, not a trade
        if up[i] and not paid:
            paid = open[fill] * (1.0 + fee)
        elif down[i] and paid:
            total += (open[fill] * (1.0 - fee) / paid - 1.0) * 100.0
            trades += 1
            paid = 0.0
    if paid:
        total += (close[-1] * (1.0 - fee) / paid - 1.0) * 100.0
    return Outcome(float(total), trades, bool(trades > 0 or paid > 0.0))


def _line_and_signal(
    close: np.ndarray, fast: int, slow: int, signal: int
) -> tuple[np.ndarray, np.ndarray]:
    line = ema_series(close, fast)[slow - fast :] - ema_series(close, slow)
    return line, ema_series(line, signal)


def _crossings(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before, now = difference[:-1], difference[1:]
    up, down = np.zeros(len(difference), bool), np.zeros(len(difference), bool)
    up[1:] = (before <= 0.0) & (now > 0.0)
    down[1:] = (before >= 0.0) & (now < 0.0)
    return up, down
