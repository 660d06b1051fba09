"""A report and the index open in Chromium with the network off, and nothing is asked of anyone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.report.market_frames import candle_frame, equity_frame
from tests.report.notebook_builder import write_report
from workbench.report.runner import ReportRun, run_report

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
CHART = """import polars as pl
from workbench.report import charts
frame = pl.read_parquet(folder + "/equity.parquet")
charts.equity(frame, title="Equity", source="SYNTHETIC seed 5")"""
CANDLES = 'charts.candles(pl.read_parquet(folder + "/candles.parquet"))'
TABLE = "frame.head(3)"
WIDGET = "import ipywidgets\nipywidgets.IntSlider()"
TRAP = (
    'from IPython.display import HTML\nHTML(\'<p id="trap" onclick="document.title=1">trap</p>\')'
)


@dataclass
class Seen:
    """What a page asked for beside itself, and what went wrong in it."""

    page: object
    asked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    """Run one report with charts, a table, a widget and some markup."""
    folder = tmp_path_factory.mktemp("notebooks")
    equity_frame().write_parquet(folder / "equity.parquet")
    candle_frame().write_parquet(folder / "candles.parquet")
    cells = (CHART, CANDLES, TABLE, WIDGET, TRAP)
    write_report(folder, "look", *cells, parameters=f"folder = {str(folder)!r}")
    out = tmp_path_factory.mktemp("out")
    now = datetime(2025, 3, 1, tzinfo=UTC)
    return run_report("look", out=out, now=now, notebooks=folder)


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Open a page that may read files of this machine and nothing else."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM:
        pytest.skip("needs Chromium: `apt-get install chromium`")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1240, "height": 900})
        watched = Seen(page)

        def fence(route: object) -> None:
            url = route.request.url  # type: ignore[attr-defined]
            if url.startswith(("file:", "data:")):
                route.continue_()  # type: ignore[attr-defined]
            else:
                watched.asked.append(url)
                route.abort()  # type: ignore[attr-defined]

        page.route("**/*", fence)
        page.on("console", lambda said: watched.wrong.append(said.text))
        page.on("pageerror", lambda error: watched.wrong.append(str(error)))
        yield watched
        browser.close()


def shoot(page: object, name: str) -> None:
    """Save a screenshot to look at: WORKBENCH_SCREENSHOTS, or screenshots/ in the checkout."""
    folder = Path(os.environ.get("WORKBENCH_SCREENSHOTS") or ROOT / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / name, full_page=True)  # type: ignore[attr-defined]


def test_a_report_opens_with_the_network_off(report: ReportRun, seen: Seen) -> None:
    assert report.ok, report.record.error
    page = seen.page
    page.goto(report.html.as_uri())  # type: ignore[attr-defined]
    widths = page.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.width])")  # type: ignore[attr-defined]
    assert [width[:2] for width in widths] == [[True, 2000], [True, 2000]]
    assert all(600 < width[2] <= 1064 for width in widths)
    assert page.locator("table tbody tr").count() == 3  # type: ignore[attr-defined]
    assert "IntSlider" not in page.inner_text("body")  # type: ignore[attr-defined]
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.evaluate(wider) is False  # type: ignore[attr-defined]
    shoot(page, "report.png")
    assert seen.asked == []


def test_markup_that_would_run_something_runs_nothing(report: ReportRun, seen: Seen) -> None:
    page = seen.page
    page.goto(report.html.as_uri())  # type: ignore[attr-defined]
    page.click("#trap")  # type: ignore[attr-defined]
    assert page.title() == "look – 2025-03-01 00:00 UTC"  # type: ignore[attr-defined]
    assert len(seen.wrong) == 1
    assert "Content Security Policy" in seen.wrong[0]


def test_from_the_index_a_click_opens_the_report_and_another_leads_back(
    report: ReportRun, seen: Seen
) -> None:
    page = seen.page
    page.goto(report.index.as_uri())  # type: ignore[attr-defined]
    shoot(page, "report-index.png")
    page.click("a.name")  # type: ignore[attr-defined]
    assert page.inner_text("h1") == "look"  # type: ignore[attr-defined]
    page.click("a.home")  # type: ignore[attr-defined]
    assert page.inner_text("h1") == "Reports"  # type: ignore[attr-defined]
    assert seen.asked == []
