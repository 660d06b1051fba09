"""The same MACD sweep by two peers, each with its own indicator, fills at the close, fee 0.1 %.

Candles open at the close before, so the price of a fill at the close is that of ours at the next open.
"""

from __future__ import annotations

import numpy as np

from workbench.market.candles import Candles

FEE, CASH = 0.001, 10_000.0
Indices = tuple[list[int], list[int]]


def vectorbt_sweep(candles: Candles, sets: np.ndarray, *, chunk: int, columns: str) -> np.ndarray:
    """Return one row of metrics a parameter set: the five of the prototypes, or "all" that it knows."""
    return np.vstack(
        [
            _vectorbt_metrics(_vectorbt_portfolio(candles, sets[b : b + chunk]), columns)
            for b in range(0, len(sets), chunk)
        ]
    )


def vectorbt_fills(candles: Candles, one: np.ndarray) -> Indices:
    """Return the candles at whose close one parameter set buys and sells."""
    orders = _vectorbt_portfolio(candles, one.reshape(1, 3)).orders.records
    side, index = orders["side"].to_numpy(), orders["idx"].to_numpy()
    return index[side == 0].tolist(), index[side == 1].tolist()


def raptorbt_sweep(candles: Candles, sets: np.ndarray) -> list[object]:
    """Return one metrics object a parameter set; all parameter sets are one batch on all cores."""
    import raptorbt

    columns = _raptorbt_columns(candles)
    items = [
        raptorbt.BatchSingleItem(str(i), *_raptorbt_signals(columns[4], one))
        for i, one in enumerate(sets)
    ]
    done = raptorbt.batch_single_backtest(*columns, items, config=_raptorbt_config())
    return [result.metrics for _, result in done]


def raptorbt_metrics(candles: Candles, one: np.ndarray) -> object:
    """Run one parameter set and return its metrics alone."""
    return _raptorbt_single(candles, one).metrics


def raptorbt_fills(candles: Candles, one: np.ndarray) -> Indices:
    """Return the candles at whose close one parameter set buys and sells."""
    trades = _raptorbt_single(candles, one).trades()
    entries = [trade.entry_idx for trade in trades]
    return entries, [t.exit_idx for t in trades if t.exit_idx < len(candles) - 1]


def _vectorbt_portfolio(candles: Candles, sets: np.ndarray):
    import pandas as pd
    import vectorbt as vbt

    index = pd.to_datetime(candles.records["open_time"], unit="ms")
    close = pd.Series(candles.records["close"], index=index)
    fast, slow, signal = (sets[:, i].tolist() for i in range(3))
    macd = vbt.MACD.run(
        close,
        fast_window=fast,
        slow_window=slow,
        signal_window=signal,
        macd_ewm=True,
        signal_ewm=True,
    )
    return vbt.Portfolio.from_signals(
        close, macd.macd_crossed_above(macd.signal), macd.macd_crossed_below(macd.signal),
        fees=FEE, init_cash=CASH, freq="1h",
    )  # fmt: skip


def _vectorbt_metrics(portfolio, columns: str) -> np.ndarray:
    trades = portfolio.trades
    found = [
        portfolio.total_return(), portfolio.sharpe_ratio(), portfolio.max_drawdown(),
        trades.win_rate(), trades.count(),
    ]  # fmt: skip
    if columns == "all":
        found += [
            portfolio.final_value(), portfolio.annualized_return(), portfolio.sortino_ratio(),
            portfolio.calmar_ratio(), trades.profit_factor(), portfolio.position_coverage(),
            portfolio.orders.fees.sum(), trades.open.count(),
        ]  # fmt: skip
    return np.column_stack(found)


def _raptorbt_columns(candles: Candles) -> list[np.ndarray]:
    r = candles.records
    columns = [np.ascontiguousarray(r[n]) for n in ("open", "high", "low", "close", "volume")]
    return [np.ascontiguousarray(r["open_time"]) * 1_000_000, *columns]


def _raptorbt_signals(close: np.ndarray, one: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import raptorbt

    histogram = raptorbt.macd(close, *(int(n) for n in one))[2]
    entries, exits = (np.zeros(len(close), np.bool_) for _ in range(2))
    before, now = histogram[:-1], histogram[1:]
    entries[1:] = (before <= 0.0) & (now > 0.0)
    exits[1:] = (before >= 0.0) & (now < 0.0)
    return entries, exits


def _raptorbt_config():
    import raptorbt

    return raptorbt.BacktestConfig(initial_capital=CASH, fees=FEE, slippage=0.0)


def _raptorbt_single(candles: Candles, one: np.ndarray):
    import raptorbt

    columns = _raptorbt_columns(candles)
    signals = _raptorbt_signals(columns[4], one)
    return raptorbt.run_single_backtest(*columns, *signals, config=_raptorbt_config())
