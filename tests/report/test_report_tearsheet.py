"""A tear sheet shows the run's own numbers beside holding, and carries its pictures inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import workbench as wb
from workbench.report.page import external_loads
from workbench.report.tearsheet import Tearsheet, tearsheet, written


@pytest.fixture(scope="module")
def run() -> object:
    """Backtest MACD on four months of the synthetic market."""
    from workbench.data import Places

    nowhere = Places(workbench_data=None, datasets=None, shared=None)
    candles = wb.load("BTCUSDT", "4h", start="2024-03-01", end="2024-07-01", places=nowhere)
    return wb.backtest(candles, wb.strategies.macd, fast=12, slow=26, signal=9)


@pytest.fixture(scope="module")
def sheet(run: object) -> Tearsheet:
    """Return its tear sheet."""
    return run.tearsheet()  # type: ignore[attr-defined, no-any-return]


def test_metrics_are_the_runs_own_with_holding_behind_the_return(
    run: object, sheet: Tearsheet
) -> None:
    metrics = run.metrics  # type: ignore[attr-defined]
    held = run.equity["holding"]  # type: ignore[attr-defined]
    assert {name: sheet.metrics[name] for name in metrics} == metrics
    assert sheet.metrics["holding_return"] == held[-1] / 10_000 - 1
    names = list(sheet.metrics)
    assert names.index("holding_return") == names.index("total_return") + 1


def test_a_synthetic_run_says_so_on_the_sheet_and_on_both_pictures(sheet: Tearsheet) -> None:
    assert 'class="wb-synthetic">SYNTHETIC' in sheet._repr_html_()
    for chart in (sheet.equity_chart, sheet.candle_chart):
        assert any(text.get_text().startswith("SYNTHETIC") for text in chart.texts)


def test_a_saved_sheet_is_one_page_that_loads_nothing(sheet: Tearsheet, tmp_path: Path) -> None:
    text = sheet.save(tmp_path / "sheet.html").read_text()
    assert external_loads(text) == []
    assert text.count("data:image/png;base64,") == 2


def test_a_metric_that_cannot_be_computed_is_a_dash_with_its_reason(run: object) -> None:
    @dataclass
    class Quiet:
        """The run, but its window is too short to annualise."""

        metrics: dict[str, object]
        reasons: dict[str, str]

        def __getattr__(self, name: str) -> object:
            return getattr(run, name)

    metrics = {**run.metrics, "cagr": None}  # type: ignore[attr-defined]
    told = tearsheet(Quiet(metrics, {"cagr": "the window has 30 < 90 days"}), theme="dark")  # type: ignore[arg-type]
    assert told.table().filter(metric="CAGR").row(0)[1:] == ("–", "the window has 30 < 90 days")
    assert "the window has 30 &lt; 90 days" in told._repr_html_()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("total_return", -0.7621, "−76.2 %"),
        ("win_rate", 0.308, "30.8 %"),
        ("sharpe", -2.266, "−2.27"),
        ("trades", 1594, "1,594"),
        ("open_trade", True, "yes"),
        ("profit_factor", None, "–"),
    ],
)
def test_each_metric_is_written_in_its_own_way(name: str, value: float, text: str) -> None:
    assert written(name, value) == text
