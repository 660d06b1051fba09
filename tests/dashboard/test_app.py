"""The dashboard's one task: it connects when somebody looks, shows, obeys, and survives a lost bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fake_bridge import FakeBridge

from bridge.dashboard import app
from bridge.dashboard.app import Dashboard
from workbench.errors import ExchangeError, UsageError

START = {
    "strategy": "macd",
    "symbol": "BTCUSDT",
    "interval": "1m",
    "account": "paper",
    "capital": "1000",
    "name": "one",
    "params": {"fast": "12", "slow": "26", "signal": "9"},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "EVERY_S", 0.02)
    monkeypatch.setattr(app, "AFTER_A_LOSS_S", 0.02)


async def until(true: Callable[[], object], what: str) -> None:
    """Wait at most ten seconds for something to become true."""
    for _ in range(1_000):
        if true():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"did not happen: {what}")


def look_at(dashboard: Dashboard) -> None:
    """Do what an opened page does."""
    dashboard.status._handle_custom_msg({"kind": "here"}, [])


async def end(dashboard: Dashboard) -> None:
    """End the dashboard's task, as the kernel's end does."""
    if dashboard._task:
        dashboard._task.cancel()
        await asyncio.gather(dashboard._task, return_exceptions=True)


async def test_nothing_connects_before_somebody_looks() -> None:
    connections: list[int] = []

    def connect() -> FakeBridge:
        connections.append(1)
        return FakeBridge()

    dashboard = Dashboard(connect=connect)
    await asyncio.sleep(0.05)
    assert connections == []
    look_at(dashboard)
    await until(lambda: dashboard.status.link == "live", "live")
    assert connections == [1]
    await end(dashboard)


async def test_an_instance_started_in_the_form_is_selected_and_its_candles_and_fills_arrive() -> (
    None
):
    bridge = FakeBridge(candles_per_s=200, fill_every=5)
    dashboard = Dashboard(bridge)
    look_at(dashboard)
    await until(lambda: dashboard.form.specs, "strategies offered")
    dashboard.form._handle_custom_msg({"kind": "start", "fields": START}, [])
    await until(lambda: dashboard.instances.selected == "one", "selected")
    await until(lambda: len(dashboard.fills.rows) >= 3, "fills")
    assert not dashboard.form.busy
    assert len(dashboard.chart.fills) >= 3
    assert dashboard.chart.title == "BTCUSDT 1m"
    kind, request = bridge.commands[0]
    assert (kind, request["params"]) == ("start", {"fast": 12, "slow": 26, "signal": 9})
    assert len(str(request["command_id"])) == 32
    await end(dashboard)


async def test_a_refused_start_is_said_in_the_form() -> None:
    bridge = FakeBridge()
    bridge.refusal = UsageError("name 'one' is taken; choose another")
    dashboard = Dashboard(bridge)
    look_at(dashboard)
    await until(lambda: dashboard.form.specs, "strategies offered")
    dashboard.form._handle_custom_msg({"kind": "start", "fields": START}, [])
    await until(lambda: dashboard.form.error, "an error")
    assert dashboard.form.error == "name 'one' is taken; choose another"
    assert not dashboard.form.busy
    await end(dashboard)


async def test_a_stop_carries_its_policy_and_a_refused_one_is_said_on_top() -> None:
    bridge = FakeBridge()
    dashboard = Dashboard(bridge)
    bridge.start_instance(
        name="one",
        account="paper",
        strategy="macd",
        params={},
        symbol="BTCUSDT",
        interval="1m",
        capital=1.0,
    )
    look_at(dashboard)
    await until(lambda: dashboard.instances.rows, "a row")
    bridge.refusal = ExchangeError("gateway does not answer")
    dashboard.instances._handle_custom_msg({"kind": "stop", "name": "one", "policy": "flatten"}, [])
    await until(lambda: dashboard.status.messages, "a message")
    assert dashboard.status.messages[0]["text"] == "one was not stopped: gateway does not answer"
    bridge.refusal = None
    dashboard.instances._handle_custom_msg({"kind": "stop", "name": "one", "policy": "keep"}, [])
    await until(lambda: dashboard.instances.rows[0]["state"] == "STOPPED", "stopped")
    assert [c[1]["policy"] for c in bridge.commands if c[0] == "stop"] == ["flatten", "keep"]
    await end(dashboard)


async def test_a_lost_bridge_is_said_and_found_again_at_its_new_address() -> None:
    bridges = [FakeBridge(), FakeBridge()]
    bridges[0].gone = ConnectionRefusedError("nobody listens")
    left = iter(bridges)
    dashboard = Dashboard(connect=lambda: next(left))
    look_at(dashboard)
    await until(lambda: dashboard.status.link == "lost", "lost")
    assert "nobody listens" in dashboard.status.messages[0]["text"]
    await until(lambda: dashboard.status.link == "live", "live again")
    assert dashboard.status.messages == []
    await end(dashboard)


async def test_a_page_nobody_looks_at_falls_silent_and_wakes_when_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "UNSEEN_S", 0.1)
    dashboard = Dashboard(FakeBridge())
    look_at(dashboard)
    await until(lambda: dashboard._task and dashboard._task.done(), "silence")
    beats = dashboard.status.beat
    look_at(dashboard)
    await until(lambda: dashboard.status.beat > beats, "a beat")
    await end(dashboard)


async def test_an_empty_bridge_says_what_to_do() -> None:
    dashboard = Dashboard(FakeBridge())
    look_at(dashboard)
    await until(lambda: dashboard.status.link == "live", "live")
    assert dashboard.instances.empty == "No instance yet: start one on the left."
    assert dashboard.chart.waiting == app.NOTHING_SELECTED
    assert dashboard.facts.facts == []
    await end(dashboard)


def test_the_notebook_is_a_title_and_one_cell_and_opens_no_connection() -> None:
    import nbformat

    from bridge.dashboard.voila_page import NOTEBOOKS

    notebook = nbformat.read(NOTEBOOKS / "bridge.ipynb", as_version=4)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]
    assert "def " not in notebook.cells[1].source
