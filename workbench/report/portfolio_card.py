"""What a portfolio shows of itself: the account's figures and equity, and each instance's part in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.report import charts, numbers
from workbench.report.pieces import card, joined, notes, table, tiles
from workbench.report.tearsheet import heading, metric_table, picture, written

if TYPE_CHECKING:
    from workbench.backtest.portfolio_result import PortfolioResult

FIGURES = ("total_return", "max_drawdown", "sharpe", "trades", "exposure", "fees")


def portfolio_card(result: PortfolioResult) -> str:
    """Return a portfolio as HTML."""
    sources = sorted({run.candles.source for run in result.parts.values()})
    made_up = joined([one for one in sources if one.startswith("SYNTHETIC")])
    frame = result.equity.rename({"time": "open_time"})
    chart = charts.equity(frame, subtitle="the account beside holding the same", source=made_up)
    return card(
        (
            heading(result.title, _subtitle(result), made_up or joined(sources)),
            tiles(_figures(result)),
            picture(chart, "The account's equity beside holding, and drawdown"),
            '<div class="wb-columns">', _instances(result), "</div>",
            '<div class="wb-columns">', metric_table(result.metrics, result.reasons), _alike(result), "</div>",
            notes(result.notes),
        )
    )  # fmt: skip


def _subtitle(result: PortfolioResult) -> str:
    first, last, costs = result.equity["time"][0], result.equity["time"][-1], result.costs
    return (
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d} · {costs.fee_bps:g} bps fee, "
        f"{costs.slippage_bps:g} bps slippage a side · filters {costs.filters}"
    )


def _figures(result: PortfolioResult) -> dict[str, str]:
    holding = result.equity["holding"]
    told = {numbers.spoken(name): written(name, result.metrics[name]) for name in FIGURES[:4]}
    held = numbers.percent(holding[-1] / holding[0] - 1.0, sign=True)
    refused = numbers.count(result.refusals.height)
    return {"total return": "", "holding return": held} | told | {"refused entries": refused}


def _instances(result: PortfolioResult) -> str:
    rows = [
        [
            name, run.candles.symbol, str(run.candles.timeframe), run.spec.name,
            numbers.plain(run.costs.cash), *(written(one, run.metrics[one]) for one in FIGURES),
        ]
        for name, run in result.parts.items()
    ]  # fmt: skip
    head = ("instance", "symbol", "interval", "strategy", "capital", *map(numbers.spoken, FIGURES))
    return table("Instances", head, rows)


def _alike(result: PortfolioResult) -> str:
    """Return how alike the instances are: what falls together is one bet under several names."""
    found = result.correlations()
    rows = [[name, *map(numbers.plain, values)] for name, *values in found.rows()]
    return table("Correlation of daily returns", ("", *result.parts), rows)
