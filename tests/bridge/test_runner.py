"""The runner process: a pure function, and whatever its strategy does stays in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bridge.runner import KEPT_VARIABLES, Runner
from bridge.runner_link import RunnerFactory, RunnerFault, RunnerGone, RunnerLink
from bridge.runner_wire import CASH, Frame, Kind, decode_header
from workbench import strategies
from workbench.core.records import INTENT, POSITION
from workbench.execution.instance import Decider
from workbench.market.candles import CANDLE
from workbench.processes import alive

PARAMS = {"fast": 3, "slow": 7, "signal": 3}


def walk(count: int) -> np.ndarray:
    """Return candles of a price that swings, so that the averages cross."""
    records = np.zeros(count, CANDLE)
    steps = np.arange(count)
    price = 100 + 10 * np.sin(steps / 4.0)
    records["open_time"] = steps * 3_600_000
    for name in ("open", "high", "low", "close"):
        records[name] = price
    records["volume"] = 1.0
    return records


async def test_a_runner_decides_exactly_what_the_function_decides_in_process() -> None:
    """Same bytes in, same bytes out, candle after candle, with the same code hash."""
    factory = RunnerFactory()
    try:
        link = await factory.start("macd")
        loaded = await link.load("macd", PARAMS, "")
        spec = strategies.load("macd")
        assert loaded.code_sha == spec.sha
        assert (loaded.stable, loaded.first_value) == (69, 9)
        decider = Decider(spec, spec.params(**PARAMS))
        records, position = walk(60), np.zeros((), POSITION).tobytes()
        state = await link.warm_up(loaded.initial_state, records[:20].tobytes(), 1_000.0)
        assert state == decider.warm_up(records[:20], decider.initial_state(), 1_000.0)
        wanted = set()
        for seq, record in enumerate(records[20:], 1):
            answer = await link.decide(seq, state, record.tobytes(), position, timeout=5)
            assert answer == decider.decide(state, record.tobytes(), position)
            state = answer[0]
            wanted.add(float(np.frombuffer(answer[1], INTENT)["target"][0]))
        assert {0.0, 1.0} <= wanted
    finally:
        factory.close()


async def test_a_wrong_parameter_a_wrong_code_or_a_wrong_strategy_is_a_fault() -> None:
    """Each in one line that says what is wrong."""
    factory = RunnerFactory()
    try:
        link = await factory.start("macd")
        with pytest.raises(RunnerFault, match="no parameter 'speed'"):
            await link.load("macd", {"speed": 3}, "")
        with pytest.raises(RunnerFault, match="has changed"):
            await link.load("macd", PARAMS, "ab" * 32)
        with pytest.raises(RunnerFault, match="unknown strategy"):
            await link.load("martingale", {}, "")
        await link.load("macd", PARAMS, "")
        with pytest.raises(RunnerFault, match="state has 3 bytes"):
            await link.decide(
                1, b"abc", walk(1).tobytes(), np.zeros((), POSITION).tobytes(), timeout=5
            )
    finally:
        factory.close()


async def test_a_killed_runner_is_told_from_a_hanging_one_and_replaced_at_once() -> None:
    """kill -9 is RunnerGone; SIGSTOP is a fault after the timeout; the next runner needs no compiler."""
    factory = RunnerFactory()
    try:
        began = time.monotonic()
        first = await factory.start("macd")
        loaded = await first.load("macd", PARAMS, "")
        cold = time.monotonic() - began
        bar = (loaded.initial_state, walk(1).tobytes(), np.zeros((), POSITION).tobytes())
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(RunnerGone):
            await first.decide(1, *bar, timeout=5)
        began = time.monotonic()
        second = await factory.start("macd")
        await second.load("macd", PARAMS, loaded.code_sha)
        assert time.monotonic() - began < cold / 2
        os.kill(second.pid, signal.SIGSTOP)
        with pytest.raises(RunnerFault, match=r"longer than 0.2 s"):
            await second.decide(1, *bar, timeout=0.2)
        third = await factory.start("macd")
        assert third.pid not in (first.pid, second.pid)
    finally:
        factory.close()
    for _ in range(100):
        if not alive(second.pid) and not alive(third.pid):
            break
        time.sleep(0.05)
    assert not alive(second.pid)
    assert not alive(third.pid)


async def test_a_runner_sees_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what finding the code needs is passed on, and memory is bounded."""
    monkeypatch.setenv("CANARY_SECRET", "do-not-pass-on")
    factory = RunnerFactory()
    try:
        link = await factory.start("macd")
        await link.load("macd", PARAMS, "")
        environment = Path(f"/proc/{link.pid}/environ")
        if not environment.exists():
            pytest.skip("needs /proc")
        names = {
            item.split(b"=")[0].decode() for item in environment.read_bytes().split(b"\0") if item
        }
        assert names <= set(KEPT_VARIABLES)
        limits = Path(f"/proc/{link.pid}/limits").read_text()
        assert str(2 * 1024**3) in next(
            line for line in limits.splitlines() if "address space" in line
        )
    finally:
        factory.close()


async def test_an_answer_with_another_seq_is_a_fault() -> None:
    """A late answer to an older Bar is never taken for this one's."""
    import asyncio

    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    theirs.sendall(Frame(Kind.DECISION, 4, b"state", b"intent").encode())
    with pytest.raises(RunnerFault, match="DECISION 4 to BAR 5"):
        await RunnerLink(1, reader, writer).decide(5, b"", b"", b"", timeout=5)
    writer.close()
    theirs.close()


def test_a_frame_survives_the_wire() -> None:
    """Three parts of any length come back as they were; an absurd length is refused."""
    frame = Frame(Kind.BAR, 7, b"one", b"", b"three", bytes(range(32)))
    data = frame.encode()
    size = len(data) - 8
    assert decode_header(data[:size]).with_body(data[size:]) == frame
    with pytest.raises(ValueError, match="above"):
        decode_header(b"\x05" + bytes(8) + b"\xff" * 4 + data[13:size])


def test_a_strategy_that_raises_becomes_a_fault_and_not_a_crash() -> None:
    """Foreign code may raise whatever it likes."""
    runner = Runner()

    class Exploding:
        def decide(self, *_: bytes) -> tuple[bytes, bytes]:
            raise ZeroDivisionError("by the strategy")

    runner._decider, runner._sha = Exploding(), bytes(32)  # type: ignore[assignment]
    answer = runner.answer(Frame(Kind.BAR, 1))
    assert (answer.kind, answer.first) == (Kind.FAULT, b"ZeroDivisionError: by the strategy")
    assert runner.answer(Frame(Kind.WARM, 1, b"", b"", CASH.pack(1.0))).kind is Kind.FAULT


def test_strategies_are_described_by_a_process_of_their_own() -> None:
    """What a form needs, as JSON."""
    out = subprocess.run(
        [sys.executable, "-m", "bridge.runner", "describe"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"name": "macd"' in out.stdout
