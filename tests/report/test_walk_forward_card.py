"""What a walk-forward shows of itself: its folds on the curve and in a table, and what lasted in a sentence."""

from __future__ import annotations

import re

import workbench as wb
from tests.candle_builders import martingale, to_cents
from workbench.report import numbers
from workbench.report.walk_forward_card import walk_forward_chart

WALK = to_cents(martingale(1_800, 61, substeps=10))


def test_the_card_tells_the_folds_the_finding_and_the_trials() -> None:
    walk = wb.walk_forward(
        WALK, wb.strategies.macd, train=800, test=200, choose="plateau", progress=False,
        fast=(2, 4, 6), slow=(12, 18),
    )  # fmt: skip
    card = walk._repr_html_()
    folds = next(one for one in re.findall(r"<table.*?</table>", card, re.DOTALL) if "Folds" in one)
    assert "<th>fast/slow</th>" in folds
    rows = re.findall(r"<tr>(<td>.*?)</tr>", folds)
    assert len(rows) == len(walk) == 5
    for told, row in zip(rows, walk.folds.iter_rows(named=True), strict=True):
        cells = re.findall(r"<td>(.*?)</td>", told)
        assert cells[0] == str(row["fold"])
        assert cells[2] == f"{row['test_start']:%Y-%m-%d}"
        assert cells[4] == f"{row['fast']}/{row['slow']}"
        assert cells[7] == numbers.percent(row["test_return"], sign=True)
        assert cells[8] == numbers.percent(row["test_holding"], sign=True)
    assert "Walk-forward efficiency: insufficient, 41.7 days out of sample" in card
    assert "35 trials: 6 sets on each of 5 train windows" in card
    assert f"<b>{numbers.percent(walk.metrics['total_return'], sign=True)}</b>" in card  # type: ignore[arg-type]
    assert card.count("data:image/png;base64,") == 1
    assert repr(walk).startswith(
        "WalkForwardResult(macd on BTCUSDT 1h, walked forward: 5 rolling folds"
    )


def test_the_chart_has_a_line_where_each_fold_but_the_first_begins() -> None:
    walk = wb.walk_forward(WALK, wb.strategies.macd, folds=3, progress=False, fast=4, slow=12)
    upper, lower = walk_forward_chart(walk).axes[:2]
    begins = [time.timestamp() / 86_400 for time in walk.folds["test_start"][1:]]
    for axis in (upper, lower):
        upright = [line.get_xdata()[0] for line in axis.lines if len(set(line.get_xdata())) == 1]  # type: ignore[arg-type, index]
        assert upright == begins
    assert {
        "1", "2", "3",
    } <= {text.get_text() for text in upper.texts}  # fmt: skip
    assert "<th>exits</th>" in walk._repr_html_()
    assert walk.stability.height == 0, "nothing could move"
