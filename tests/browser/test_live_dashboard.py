"""The page on the real bridge: start an instance, see it fill, kill the page, and find it trading.

Exchange, supervisor, gateway, runner and Voila are the real processes. What the page is asked to do
it does through its form and buttons; whether the instance lives is asked past the page.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from processes import Bridge, start_bridge

from bridge.dashboard.voila_page import VoilaPage, launch_voila
from tests.conftest import shared_path

pytestmark = pytest.mark.slow

SPEED = (
    600.0  # ten minutes of market a second: MACD(3, 7, 3) crosses several times within ten seconds
)


@pytest.fixture(scope="module")
def bridge(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """Trade on recorded candles."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    started = start_bridge(
        home, shared_path("data/klines_1m_BTCUSDT_2025-01.parquet").parent, speed=SPEED
    )
    yield started
    started.stop()


def launch(bridge: Bridge) -> VoilaPage:
    """Serve the project's own notebook for that bridge."""
    return launch_voila(environment={"WORKBENCH_HOME": str(bridge.home)})


@pytest.fixture
def voila(bridge: Bridge) -> Iterator[VoilaPage]:
    """Serve the dashboard until the test ends."""
    page = launch(bridge)
    yield page
    page.stop()


def until(true: Callable[[], object], what: str, *, seconds: float = 60.0) -> object:
    """Wait for something to become true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = true()
        if value:
            return value
        time.sleep(0.1)
    pytest.fail(f"not within {seconds:g} s: {what}")


def open_page(page: object, url: str) -> float:
    """Open the dashboard and return the seconds until its widgets are live."""
    begin = time.monotonic()
    page.goto(url)  # type: ignore[attr-defined]
    page.wait_for_selector('[data-link="live"]', timeout=60_000)  # type: ignore[attr-defined]
    page.wait_for_selector("select[name=strategy] option", state="attached")  # type: ignore[attr-defined]
    return time.monotonic() - begin


def test_an_instance_started_in_the_page_outlives_the_page_its_kernel_and_voila(
    bridge: Bridge, voila: VoilaPage, tab: object, screenshots: Path
) -> None:
    page = tab.page  # type: ignore[attr-defined]
    seconds = {"open": open_page(page, voila.url)}
    page.screenshot(path=str(screenshots / "live_1_empty.png"))

    for name, value in {"fast": "3", "slow": "7", "signal": "3"}.items():
        page.fill(f'input[name="params.macd.{name}"]', value)
    page.fill('input[name="params.macd.fast"]', "30")
    page.click("[data-action=start]")
    page.wait_for_selector("[role=alert]:not([hidden])")
    assert "fast" in page.inner_text("[role=alert]"), (
        "the bridge's own refusal is shown in the form"
    )
    page.fill('input[name="params.macd.fast"]', "3")
    page.select_option("select[name=symbol]", "BTCUSDT")
    page.select_option("select[name=interval]", "1m")
    page.fill("input[name=guards]", "cooldown_bars=6")
    page.fill("input[name=capital]", "2000")
    page.fill("input[name=name]", "skeleton")
    begin = time.monotonic()
    page.click("[data-action=start]")
    page.wait_for_selector('tr[data-instance="skeleton"]')
    seconds["start to row"] = time.monotonic() - begin
    page.wait_for_selector("tr[data-fill]", timeout=90_000)
    seconds["start to fill"] = time.monotonic() - begin
    page.wait_for_function(
        "+document.querySelector('[data-panel=chart]').dataset.markers >= 2", timeout=90_000
    )
    assert int(page.get_attribute("[data-panel=chart]", "data-bars")) > 20
    page.screenshot(path=str(screenshots / "live_2_trading_1280.png"))
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.wait_for_timeout(300)
    page.screenshot(path=str(screenshots / "live_3_trading_1600.png"))
    assert tab.outside == []  # type: ignore[attr-defined]
    assert [text for text in tab.errors if "Content Security Policy" in text] == []  # type: ignore[attr-defined]

    shown = bridge.client.instance("skeleton")
    assert shown["state"] == "RUNNING"
    page.close()
    family = [psutil.Process(voila.pid), *psutil.Process(voila.pid).children(recursive=True)]
    kernels = [one for one in family if "ipykernel_launcher" in " ".join(one.cmdline())]
    assert kernels, "no kernel served the page"
    for process in [*kernels, family[0]]:
        process.kill()
    bars = bridge.client.instance("skeleton")["bars"]
    until(
        lambda: bridge.client.instance("skeleton")["bars"] > bars + 20,
        "20 more bars without any page",
    )
    assert bridge.client.instance("skeleton")["runner_pid"] == shown["runner_pid"]

    again = launch(bridge)
    try:
        second = page.context.new_page()
        seconds["open again"] = open_page(second, again.url)
        row = second.wait_for_selector('tr[data-instance="skeleton"][data-state="RUNNING"]')
        seen = int(row.get_attribute("data-bars"))
        assert seen > bars
        second.wait_for_selector("tr[data-fill]")
        until(
            lambda: (
                int(second.get_attribute('tr[data-instance="skeleton"]', "data-bars")) > seen + 5
            ),
            "bars that grow on the page opened again",
        )
        held_back = second.wait_for_selector('[data-fact="Buys refused"]')
        until(lambda: held_back.inner_text().split()[-1] not in ("0", "–"), "a buy refused")
        last = second.inner_text('[data-fact="Last refused by"]')
        assert re.search(r"cooldown_bars, 20\d\d-", last)
        second.screenshot(path=str(screenshots / "live_4_reopened.png"))

        begin = time.monotonic()
        second.click('tr[data-instance="skeleton"] [data-action=stop]')
        second.click("[data-policy=flatten]")
        second.wait_for_selector(
            'tr[data-instance="skeleton"][data-state="STOPPED"]', timeout=30_000
        )
        seconds["stop to stopped"] = time.monotonic() - begin
        second.screenshot(path=str(screenshots / "live_5_stopped.png"))
    finally:
        again.stop()
    stopped = bridge.client.instance("skeleton")
    assert stopped["state"] == "STOPPED"
    assert stopped["entry_price"] is None, "flatten left a position"
    fills = bridge.client.fills("skeleton")
    assert len({one["trade_id"] for one in fills}) == len(fills)
    (screenshots / "seconds.json").write_text(json.dumps(seconds, indent=1))


def test_no_key_of_the_exchange_reaches_voila_or_its_kernels(
    bridge: Bridge, voila: VoilaPage
) -> None:
    from processes import PASSPHRASE

    from bridge.vault import Vault

    secret = Vault.open(bridge.home / "vault.json", PASSPHRASE).secret("paper")
    family = [psutil.Process(voila.pid), *psutil.Process(voila.pid).children(recursive=True)]
    told = [text for one in family for text in (*one.environ().values(), *one.cmdline())]
    files = [path.read_text(errors="ignore") for path in voila.folder.rglob("*") if path.is_file()]
    log = (bridge.home / "logs" / "voila.log").read_text()
    for needle in (secret.secret, secret.api_key, PASSPHRASE):
        assert [text for text in (*told, *files, log) if needle in text] == []
    assert os.stat(voila.folder / "voila.json").st_mode & 0o077 == 0
