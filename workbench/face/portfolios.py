"""What notebooks call for portfolios: parts in, one account out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from workbench.backtest.event.market_model import MarketModel, OrderKind
from workbench.backtest.portfolio import AccountCaps, Part, run_portfolio
from workbench.backtest.portfolio_result import PortfolioResult
from workbench.backtest.setting import DEFAULT_FEE_BPS, DEFAULT_SLIPPAGE_BPS, Costs
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm, exits_of
from workbench.face.research import candles_of
from workbench.market.candles import Candles
from workbench.strategies.spec import Number, Spec

if TYPE_CHECKING:
    from workbench.report.charts import Chart

__all__ = ["Portfolio", "part", "portfolio"]


class Portfolio(PortfolioResult):
    """A portfolio that can draw itself."""

    def chart(self) -> Chart:
        """Draw the account's equity beside holding the same symbols, and the drawdown of both."""
        from workbench.report.charts import equity

        sources = {run.candles.source for run in self.parts.values()}
        frame = self.equity.rename({"time": "open_time"})
        return equity(frame, title=self.title, source=" + ".join(sorted(sources)))

    def _repr_html_(self) -> str:
        from workbench.report.portfolio_card import portfolio_card

        return portfolio_card(self)


def part(
    name: str,
    candles: Candles | pl.DataFrame,
    strategy: Spec,
    *,
    capital: float,
    exits: ExitsForm = None,
    **params: Number,
) -> Part:
    """Return one instance for `portfolio`: a strategy on a series, with its capital in quote.

    `exits` protect its position, as in `backtest`. Raises UsageError for bad parameters, DataError for
    candles that cannot be traded.
    """
    strategy.params(**params)
    return Part(name, candles_of(candles), strategy, capital, params, exits_of(exits))


def portfolio(
    parts: Iterable[Part],
    *,
    cash: float | None = None,
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    latency_ms: int = 0,
    volume_share: float | None = None,
    orders: OrderKind = "market",
    maker_fee_bps: float | None = None,
    max_exposure: float | None = None,
    max_positions: int | None = None,
    max_daily_loss: float | None = None,
    max_drawdown: float | None = None,
) -> Portfolio:
    """Backtest several instances on one account, event by event, through the exchange's filters.

    `cash` defaults to the sum of the parts' capital. The caps are the account's: an entry that would
    break one is refused (`.refusals`), an exit never is. Raises UsageError for names taken twice, more
    capital than cash or a value out of range, DataError for candles that cannot be traded.
    """
    chosen = list(parts)
    if not chosen:
        raise UsageError("a portfolio needs at least one part; see wb.part")
    whole = sum(one.capital for one in chosen) if cash is None else cash
    result = run_portfolio(
        chosen,
        costs=Costs(fee_bps, slippage_bps, whole, "exchange"),
        model=MarketModel(latency_ms, volume_share, orders, maker_fee_bps),
        caps=AccountCaps(max_exposure, max_positions, max_daily_loss, max_drawdown),
    )
    return Portfolio(**vars(result))
