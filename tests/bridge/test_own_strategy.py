"""A strategy of the user's own in the real runner: pinned by its hash, whatever becomes of its cell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.runner_link import RunnerFactory, RunnerFault
from tests.bridge.test_runner import walk
from workbench import strategies
from workbench.core.records import INTENT, POSITION
from workbench.execution.instance import Decider

FOLLOW = """
from numba import njit

PARAMS = {"lag": (2, 1, 20, 1, "candles that the price is compared with")}
STATE = {"count": int, "closes": (float, 20)}
WARM_UP = 20

@njit
def decide(state, candle, position, params, intent):
    slot = state.count % params.lag
    if state.count >= params.lag:
        intent.target = 1.0 if candle.close > state.closes[slot] else 0.0
    state.closes[slot] = candle.close
    state.count += 1
"""
AGAINST = FOLLOW.replace("candle.close >", "candle.close <")


def kept(name: str, sha: str) -> Path:
    """Return the file that holds one version."""
    from workbench.home import home

    return home() / "strategies" / f"{name}@{sha[:12]}.py"


async def targets(factory: RunnerFactory, name: str, sha: str) -> tuple[str, list[float]]:
    """Return the hash that a fresh runner has loaded, and the target it writes at every close."""
    link = await factory.start(name)
    try:
        loaded = await link.load(name, {"lag": 3}, sha)
        position = np.zeros((), POSITION).tobytes()
        state, written = loaded.initial_state, []
        for seq, record in enumerate(walk(40), 1):
            state, intent = await link.decide(seq, state, record.tobytes(), position, timeout=20)
            written.append(float(np.frombuffer(intent, INTENT)["target"][0]))
        return loaded.code_sha, written
    finally:
        link.close()


def in_process(spec: strategies.spec.Spec) -> list[float]:
    """Return the targets that the function itself writes."""
    decider = Decider(spec, spec.params(lag=3))
    position = np.zeros((), POSITION).tobytes()
    state, written = decider.initial_state(), []
    for record in walk(40):
        state, intent = decider.decide(state, record.tobytes(), position)
        written.append(float(np.frombuffer(intent, INTENT)["target"][0]))
    return written


async def test_an_instance_keeps_the_version_it_was_started_with() -> None:
    """The cell is edited while it runs: a new runner of the instance still loads the old code."""
    first = strategies.register("follower", FOLLOW)
    factory = RunnerFactory()
    try:
        sha, written = await targets(factory, "follower", "")
        assert sha == first.sha
        assert np.array_equal(written, in_process(first), equal_nan=True)
        assert {0.0, 1.0} <= set(written)
        second = strategies.register("follower", AGAINST)
        assert second.sha != first.sha
        again, same = await targets(factory, "follower", first.sha)
        assert again == first.sha
        assert np.array_equal(same, written, equal_nan=True)
        newest, other = await targets(factory, "follower", "")
        assert newest == second.sha
        assert np.array_equal(other, in_process(second), equal_nan=True)
        assert other != written
    finally:
        factory.close()


async def test_a_version_that_is_gone_or_changed_is_refused() -> None:
    """A running instance must never go on with other code than it was started with."""
    spec = strategies.register("lost", FOLLOW)
    newer = strategies.register("lost", AGAINST)
    factory = RunnerFactory()
    try:
        kept("lost", spec.sha).unlink()
        link = await factory.start("lost")
        with pytest.raises(RunnerFault, match=f"'lost' in version {spec.sha[:12]}"):
            await link.load("lost", {}, spec.sha)
        kept("lost", newer.sha).write_text(FOLLOW)
        with pytest.raises(RunnerFault, match="was changed after it was kept"):
            await link.load("lost", {}, newer.sha)
        strategies.register("lost", FOLLOW)
        wrong = await factory.start("lost")
        with pytest.raises(RunnerFault, match="lag=99 is out of range"):
            await wrong.load("lost", {"lag": 99}, "")
    finally:
        factory.close()


def test_the_form_offers_it_and_leaves_out_what_no_longer_loads() -> None:
    """The dashboard's form is built from what a process of its own describes."""
    spec = strategies.register("offered", FOLLOW)
    broken = strategies.register("broken", FOLLOW)
    kept("broken", broken.sha).write_text("nonsense")
    done = subprocess.run(
        [sys.executable, "-m", "bridge.runner", "describe"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    described = {one["name"]: one for one in json.loads(done.stdout)}
    assert set(strategies.names()) < set(described)
    assert described["offered"]["sha"] == spec.sha
    (lag,) = described["offered"]["parameters"]
    assert (lag["low"], lag["high"], lag["default"], lag["kind"]) == (1, 20, 2, "int")
    assert lag["doc"] == "candles that the price is compared with"
    assert "broken" not in described
    assert "was changed after it was kept" in done.stderr


async def test_the_supervisor_describes_anew_when_a_strategy_was_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cell that is run while the dashboard is open is in the form when the page is opened next."""
    from bridge import supervisor as module

    told = 0

    async def describe() -> list[dict[str, object]]:
        nonlocal told
        told += 1
        return [{"name": name} for name in strategies.own_names()]

    monkeypatch.setattr(module, "_describe_strategies", describe)
    supervisor = module.Supervisor.__new__(module.Supervisor)
    supervisor._strategies, supervisor._described_ns = None, 0
    strategies.register("early", FOLLOW)
    assert {"name": "early"} in await supervisor.strategies()
    await supervisor.strategies()
    assert told == 1
    strategies.register("late", FOLLOW)
    assert {"name": "late"} in await supervisor.strategies()
    assert told == 2
