"""One instance's life around its edges: faults, stops and their races, without processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.exchanges.base import ANY_ORDER, Kline, OrderRules, StreamBroken
from bridge.gateway.books import Book
from bridge.gateway.desk import OrderDesk
from bridge.gateway.driver import Driver
from bridge.journal_rows import InstanceState
from bridge.runner_link import Loaded, RunnerFault, RunnerGone
from tests.bridge.doubles import JumpingClock, MemoryExchange, books_with, instance_row, journal_in
from workbench.core.records import empty_intent
from workbench.market.candles import CANDLE

HOUR = 3_600_000
Answer = float | dict[str, float] | Exception


class ScriptedRunner:
    """A runner that answers targets or levels from a list; an exception in the list is raised."""

    pid = 4711

    def __init__(self, script: list[Answer], stable: int = 2) -> None:
        self.script = script
        self.stable = stable
        self.asked: list[int] = []
        self.fed: list[int] = []

    async def start(self, strategy: str) -> ScriptedRunner:
        """Be the factory as well."""
        return self

    async def load(self, strategy: str, params: object, code_sha: str) -> Loaded:
        """Load anything."""
        return Loaded("ab" * 32, {}, 2, self.stable, "x", b"fresh")

    async def warm_up(self, state: bytes, candles: bytes, cash: float) -> bytes:
        """Note which hours were fed."""
        times = np.frombuffer(candles, CANDLE)["open_time"] // HOUR
        self.fed.extend(times.tolist())
        return b"warm"

    async def decide(
        self, seq: int, state: bytes, *_: bytes, timeout: float
    ) -> tuple[bytes, bytes]:
        """Answer the next of the script."""
        self.asked.append(seq)
        answer = self.script.pop(0) if self.script else np.nan
        if isinstance(answer, Exception):
            raise answer
        intent = empty_intent()
        for name, level in answer.items() if isinstance(answer, dict) else [("target", answer)]:
            intent[name] = level
        return f"after {seq}".encode(), intent.tobytes()

    def close(self) -> None:
        """Do nothing."""


class EndlessExchange(MemoryExchange):
    """Plays its frames, then is silent."""

    async def kline_stream(self, symbol: str, interval: str) -> AsyncIterator[Kline | StreamBroken]:
        """Yield the prepared frames and wait for ever."""
        for frame in self.frames:
            yield frame
        await asyncio.Event().wait()


def candle(index: int) -> Kline:
    """Return the closed hour `index` at 100."""
    return Kline(
        index * HOUR, (index + 1) * HOUR - 1, 100, 101, 99, 100, 5.0, True, (index + 1) * HOUR - 1
    )


async def lived(
    folder: Path,
    script: list[Answer],
    *,
    until: str,
    stop: str = "",
    rules: OrderRules = ANY_ORDER,
    **changes: object,
) -> tuple[Book, Any, Any]:
    """Let an instance see four candles with that script; optionally stop it then; wait for a state."""
    clock = JumpingClock()
    exchange = EndlessExchange(clock, frames=[candle(i) for i in range(10, 14)])
    row = instance_row(last_candle_ms=9 * HOUR, state_layout="x", late_entry="take", **changes)
    books, book = books_with(journal_in(folder), row)
    book.rules = rules
    desk = OrderDesk(books, exchange, clock, backend_timeout_ms=500)
    runner = ScriptedRunner(script)
    driver = Driver(
        book, books, exchange=exchange, desk=desk, runners=runner, clock=clock, tape_market=True,  # type: ignore[arg-type]
        on_change=lambda: None,
    )  # fmt: skip
    living = asyncio.ensure_future(driver.run())
    try:
        async with asyncio.timeout(60):  # the first order compiles
            while stop and book.row.bars < 4 and book.row.state is InstanceState.RUNNING:
                await asyncio.sleep(0)
            if stop:
                driver.request_stop(stop)
            while book.row.state != until and not living.done():
                await asyncio.sleep(0)
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
    return book, exchange, runner


@pytest.mark.parametrize(("stable", "fed"), [(0, []), (1, [9]), (3, [7, 8, 9])])
async def test_history_warms_a_strategy_up_and_is_never_traded(
    tmp_path: Path, stable: int, fed: list[int]
) -> None:
    """Hours 0 to 9 lie before the start, 10 to 13 come: four decisions, whatever the warm-up."""
    clock = JumpingClock()
    exchange = EndlessExchange(
        clock,
        history=[candle(i) for i in range(10)],
        frames=[candle(i) for i in range(10, 14)],
    )
    row = instance_row(state=InstanceState.STARTING, state_layout="", late_entry="take")
    books, book = books_with(journal_in(tmp_path), row)
    desk = OrderDesk(books, exchange, clock, backend_timeout_ms=500)
    runner = ScriptedRunner([], stable)
    driver = Driver(
        book, books, exchange=exchange, desk=desk, runners=runner, clock=clock, tape_market=True,  # type: ignore[arg-type]
        on_change=lambda: None,
    )  # fmt: skip
    living = asyncio.ensure_future(driver.run())
    try:
        async with asyncio.timeout(60):
            while book.row.last_candle_ms < 13 * HOUR and not living.done():
                await asyncio.sleep(0)
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
    assert runner.fed == fed
    assert book.row.bars == 4


async def test_flatten_sells_everything_and_keep_sells_nothing(tmp_path: Path) -> None:
    """Both end STOPPED."""
    for policy, sold in (("flatten", 1), ("keep", 0)):
        folder = tmp_path / policy
        folder.mkdir()
        book, exchange, _ = await lived(folder, [1.0], until="STOPPED", stop=policy)
        assert book.row.state is InstanceState.STOPPED
        assert [order.side for order in exchange.accepted] == ["BUY", "SELL"][: 1 + sold]


async def test_a_dead_runner_gets_the_same_bar_again(tmp_path: Path) -> None:
    """Two deaths on one candle are survived, without a second decision."""
    book, exchange, runner = await lived(
        tmp_path, [RunnerGone("died"), RunnerGone("died"), 1.0], until="STOPPED", stop="keep"
    )
    assert runner.asked == [1, 1, 1, 2, 3, 4]
    assert book.row.bars == 4
    assert len(exchange.accepted) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([RunnerGone("runner 7 died")] * 3, "died 3 times on the candle"),
        ([RunnerFault("the strategy took longer than 5 s")], "took longer"),
        ([7.0], "target"),
    ],
)
async def test_a_strategy_that_fails_faults_its_instance_and_can_still_be_sold(
    tmp_path: Path, script: list[Answer], reason: str
) -> None:
    """F45: the position stays until a human says so; a stop then sells it."""
    folder = tmp_path / "fault"
    folder.mkdir()
    book, exchange, _ = await lived(folder, [1.0, *script], until="FAULTED")
    assert book.row.state is InstanceState.FAULTED
    assert reason in book.row.reason
    assert book.row.bars == 1
    assert [order.side for order in exchange.accepted] == ["BUY"]
    again = tmp_path / "stop"
    again.mkdir()
    book, exchange, _ = await lived(again, [1.0, *script], until="STOPPED", stop="flatten")
    assert book.row.state is InstanceState.STOPPED
    assert [order.side for order in exchange.accepted] == ["BUY", "SELL"]
