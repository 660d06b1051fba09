"""The names of the columns that describe a backtest: of every row, and those that a sweep adds when asked."""

from __future__ import annotations

METRIC_COLUMNS = (
    "final_equity", "total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "trades",
    "open_trade", "win_rate", "profit_factor", "exposure", "fees", "bars",
)  # fmt: skip
DETAIL_COLUMNS = (
    "bar_sharpe", "adjusted_sharpe", "capital_exposure", "expectancy", "expectancy_r", "sqn",
)  # fmt: skip
