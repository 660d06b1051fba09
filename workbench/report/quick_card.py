"""The quick verdict on a card: how the best of so many trials looks beside what luck alone would give."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from workbench.backtest.verdict.gates import LEAST_DSR
from workbench.report import numbers
from workbench.report.pieces import tiles

if TYPE_CHECKING:
    from workbench.backtest.verdict.quick import QuickVerdict


def quick_section(found: QuickVerdict | None) -> str:
    """Return the verdict in a word, with the figures behind it; nothing where there is nothing to judge."""
    if found is None:
        return ""
    tone, word = (
        ("amber", "Above luck so far") if found.is_enough else ("red", "No better than luck")
    )
    why = (
        f"The best Sharpe ratio is {numbers.plain(found.sharpe)} ({found.chosen}); the best of "
        f"{numbers.count(found.trials)} trials without any skill would show {numbers.plain(found.lucky_sharpe)}. "
        f"The deflated one should be {LEAST_DSR} or more; .verdict() asks the rest."
    )
    return (
        f'<div class="wb-verdict wb-{tone}"><b>{word}</b><span>{html.escape(why)}</span></div>'
        + tiles(_figures(found))
    )


def _figures(found: QuickVerdict) -> dict[str, str]:
    return {
        "trials counted": numbers.count(found.trials),
        "its Sharpe": numbers.plain(found.sharpe),
        "best by luck": numbers.plain(found.lucky_sharpe),
        "deflated Sharpe": numbers.plain(found.dsr, 3),
        "years / years asked": f"{numbers.plain(found.years, 1)} / {numbers.plain(found.min_backtest_years, 1)}",
        "its trades": numbers.count(found.trades),
        "plateau": numbers.plain(found.plateau),
    }
