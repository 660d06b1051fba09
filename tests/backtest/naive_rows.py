"""Every column of a sweep's row, from the fills and the equity that a naive book tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests import naive
from workbench.market.candles import Candles

CASH = 10_000.0
NaiveFill = tuple[int, str, float]  # candle, side, price after slippage


def row_of(
    candles: Candles, fills: Sequence[NaiveFill], equity: list[float], fee: float
) -> dict[str, float | None]:
    """Return the columns of an account that is all in or all out, None where one is undefined.

    A statistic that is rounding more than anything else is left out: there is nothing to compare.
    """
    first, days = candles.first, len(candles) * candles.timeframe.mean_ms / 86_400_000
    profits, fees, held, base = _replayed(candles, fills, fee)
    returns = naive.daily_returns(
        candles.records["open_time"][first:].tolist(), candles.timeframe.mean_ms, CASH, equity
    )
    growth = (equity[-1] / CASH) ** (365 / days) - 1 if days >= 90 else None
    drawdown = naive.max_drawdown(CASH, equity)
    lost = -sum(p for p in profits if p <= 0)
    # Of returns that hardly differ, sums of squares lose the digits that the Sharpe ratio is made of.
    told = len(returns) > 1 and np.std(returns) > 1e-3 * np.sqrt(np.mean(np.square(returns)))
    lost_days = len(returns) > 1 and min(returns) < -1e-9
    wanted = {
        "final_equity": equity[-1],
        "total_return": equity[-1] / CASH - 1,
        "cagr": growth,
        "calmar": growth / -drawdown if growth is not None and drawdown < 0 else None,
        "sharpe": naive.sharpe(returns, 365) if told else None,
        "sortino": naive.sortino(returns, 365) if lost_days else None,
        "max_drawdown": drawdown,
        "trades": len(profits),
        "open_trade": base > 0,
        "win_rate": sum(p > 0 for p in profits) / len(profits) if profits else None,
        "profit_factor": sum(p for p in profits if p > 0) / lost if lost > 0 else None,
        "exposure": held / len(candles),
        "fees": fees,
        "bars": len(candles),
    }
    if not told and any(returns):
        del wanted["sharpe"]
    if not lost_days and len(returns) > 1 and min(returns) < 0:
        del wanted["sortino"]
    return wanted


def demand_equal(got: dict[str, object], wanted: dict[str, float | None]) -> None:
    """Demand each wanted column to 1e-9."""
    for column, value in wanted.items():
        if value is None:
            assert got[column] is None, (column, got)
        else:
            assert got[column] == pytest.approx(value, rel=1e-9, abs=1e-9), (column, got)


def _replayed(
    candles: Candles, fills: Sequence[NaiveFill], fee: float
) -> tuple[list[float], float, int, float]:
    """Return profits of round trips, fees in quote, candles held at their close and base at the end."""
    cash, base, spent, fees, held = CASH, 0.0, 0.0, 0.0, 0
    profits, waiting = [], list(fills)
    for t in range(candles.first, len(candles.records)):
        while waiting and waiting[0][0] == t:
            _, side, price = waiting.pop(0)
            if side == "BUY":
                spent, base, cash = cash, cash / price * (1 - fee), 0.0
                fees += spent * fee
            else:
                cash = base * price * (1 - fee)
                fees += base * price * fee
                profits.append(cash - spent)
                base = 0.0
        held += base > 0
    assert not waiting
    return profits, fees, held, base
