"""The page with a bridge in memory: what it draws, asks and says, and that it reaches no other host."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from bridge.dashboard.voila_page import NOTEBOOKS, VoilaPage, launch_voila

HOSTILE = "<img src=x onerror=alert(1)>"
CELL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1] / "dashboard")!r})
from fake_bridge import FakeBridge
from bridge.dashboard.app import Dashboard
bridge = FakeBridge(candles_per_s=8)
bridge.synthetic = True
bridge.start_instance(name={HOSTILE!r}, account={HOSTILE!r}, strategy="macd",
    params={{}}, symbol="BTCUSDT", interval="1m", capital=1.0)
bridge.started[{HOSTILE!r}]["state"] = "STOPPED"
Dashboard(bridge)
"""


@pytest.fixture(scope="module")
def voila(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoilaPage]:
    """Serve a notebook like the real one, with a bridge in memory."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata = nbformat.read(NOTEBOOKS / "bridge.ipynb", as_version=4).metadata
    nbformat.write(notebook, folder / "page.ipynb")
    (folder / "voila.json").write_text((NOTEBOOKS / "voila.json").read_text())
    page = launch_voila(notebook=folder / "page.ipynb")
    yield page
    page.stop()


def kernels(voila: VoilaPage) -> list[psutil.Process]:
    """Return the kernels of a Voila server."""
    children = psutil.Process(voila.pid).children(recursive=True)
    return [one for one in children if "ipykernel_launcher" in " ".join(one.cmdline())]


def test_voila_answers_nobody_without_its_token_and_hides_it_from_the_process_list(
    voila: VoilaPage,
) -> None:
    address, token = voila.url.split("?token=")
    assert len(token) >= 32
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert "/login" in answer.url
    seen = [*psutil.Process(voila.pid).cmdline(), *psutil.Process(voila.pid).environ().values()]
    assert [text for text in seen if token in text] == []
    assert token not in voila.log.read_text()


def test_the_page_starts_draws_asks_and_stops_without_any_other_host(
    voila: VoilaPage, tab: object, screenshots: Path
) -> None:
    page = tab.page  # type: ignore[attr-defined]
    page.goto(voila.url)
    page.wait_for_selector('[data-link="live"]', timeout=60_000)

    hostile = page.locator("tr[data-instance]")
    assert HOSTILE in hostile.first.inner_text()
    assert page.locator(".wb img").count() == 0

    page.fill("input[name=capital]", "lots")
    page.click("[data-action=start]")
    page.wait_for_selector("[role=alert]:not([hidden])")
    assert page.inner_text("[role=alert]") == "capital 'lots' is not a number"

    page.fill("input[name=capital]", "1000")
    page.fill("input[name=name]", "one")
    page.click("[data-action=start]")
    page.wait_for_selector('tr[data-instance="one"][data-selected="true"]')
    page.wait_for_function("+document.querySelector('[data-panel=chart]').dataset.markers >= 3")
    chart = dict(page.evaluate("({...document.querySelector('[data-panel=chart]').dataset})"))
    assert int(chart["bars"]) > 300
    assert page.inner_text("[data-synthetic]") == "SYNTHETIC"
    assert int(page.get_attribute("[data-panel=fills]", "data-count")) >= 3

    page.click('tr[data-instance="one"] [data-action=stop]')
    assert "Stop one?" in page.inner_text(".wb-confirm")
    page.screenshot(path=str(screenshots / "alone_1280.png"))
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.screenshot(path=str(screenshots / "alone_1600.png"))
    page.click("[data-policy=keep]")
    page.wait_for_selector('tr[data-instance="one"][data-state="STOPPED"]')

    assert tab.outside == []  # type: ignore[attr-defined]
    assert tab.errors == []  # type: ignore[attr-defined]


def test_only_the_page_scrolls(voila: VoilaPage, tab: object) -> None:
    page = tab.page  # type: ignore[attr-defined]
    page.goto(voila.url)
    page.wait_for_selector('[data-link="live"]', timeout=60_000)
    scrollers = page.evaluate(
        """[...document.querySelectorAll('body *')].filter(e =>
            ['auto', 'scroll'].includes(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1
        ).map(e => e.id || e.className)"""
    )
    assert scrollers in ([], ["rendered_cells"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_whose_kernel_is_killed_says_that_instances_trade_on(
    voila: VoilaPage, tab: object, screenshots: Path
) -> None:
    page = tab.page  # type: ignore[attr-defined]
    page.goto(voila.url)
    page.wait_for_selector('[data-link="live"]', timeout=60_000)
    for kernel in kernels(voila):
        kernel.kill()
    page.wait_for_selector('[data-link="lost"]', timeout=30_000)
    assert "Instances trade on without it" in page.inner_text(".wb-message")
    page.screenshot(path=str(screenshots / "alone_orphaned.png"))


def test_a_stopped_voila_leaves_no_process(voila: VoilaPage) -> None:
    family = [psutil.Process(voila.pid), *kernels(voila)]
    voila.stop()
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert not voila.folder.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_voila_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    import subprocess

    script = (
        "from bridge.dashboard.voila_page import launch_voila\n"
        "page = launch_voila()\nprint(page.pid, flush=True)\nimport time\ntime.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ
    )
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1)
    family = [server, *server.children(recursive=True)]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _gone, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
