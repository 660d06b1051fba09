"""Draw the README's picture from recorded candles: python docs/picture.py."""

from __future__ import annotations

from pathlib import Path

import workbench as wb
from workbench.report import charts
from workbench.report.theme import SCREEN_DPI

candles = wb.load("XRPUSDT", "1d", start="2024-10-02T17:40Z", end="2025-10-02")
run = wb.backtest(candles, wb.strategies.macd, fast=30, slow=60, signal=15)
print(run, f"holding {run.equity['holding'][-1] / 10_000 - 1:+.2%}", candles.source)
chart = charts.equity(
    run.equity,
    title="XRPUSDT 1d · MACD 30/60/15 · 10,000 USDT",
    subtitle="364 days, fill at the next open, 10 bps fee and 1 bp slippage a side",
    source=candles.source if candles.synthetic else "",
)
chart.savefig(Path(__file__).with_name("macd-xrpusdt.png"), dpi=1.3 * SCREEN_DPI)
