"""The runner of one instance: a dead one is replaced and gets the same Bar again; a faulty one raises."""

from __future__ import annotations

from bridge.clock import Clock, back_off
from bridge.gateway import core
from bridge.gateway.books import Book
from bridge.journal_rows import CandleRow
from bridge.runner_link import Loaded, RunnerFactory, RunnerFault, RunnerGone, RunnerLink
from workbench.market.timeframes import parse_timeframe

MOST_DEATHS = 3  # of a runner on one and the same candle


class InstanceRunner:
    """Answers the Bars of one instance; a RunnerFault means that it must not trade on."""

    def __init__(self, book: Book, runners: RunnerFactory, clock: Clock) -> None:
        self._book, self._runners, self._clock = book, runners, clock
        self._timeout = min(5.0, 0.1 * parse_timeframe(book.row.interval).mean_ms / 1000)
        self._link: RunnerLink | None = None
        self._loaded: Loaded | None = None

    async def decide(self, candle: CandleRow, position: bytes) -> core.Answer:
        """Return the answer to the next Bar."""
        row, deaths = self._book.row, 0
        while True:
            try:
                link, _ = await self.loaded()
                state, intent = await link.decide(
                    row.seq + 1,
                    row.strategy_state,
                    core.candle_bytes(candle),
                    position,
                    timeout=self._timeout,
                )
                return core.Answer(state, intent)
            except RunnerGone as gone:
                deaths += 1
                self.let_go()
                if deaths >= MOST_DEATHS:
                    when = candle.open_time_ms
                    raise RunnerFault(f"{gone} {deaths} times on the candle of {when}") from None
                await self._clock.sleep(back_off(deaths))

    async def loaded(self) -> tuple[RunnerLink, Loaded]:
        """Return the living runner, or a new one with the instance's pinned code loaded."""
        if self._link is not None and self._loaded is not None:
            return self._link, self._loaded
        row, deaths = self._book.row, 0
        while True:
            try:
                link = await self._runners.start(row.strategy)
                loaded = await link.load(row.strategy, row.params, row.code_sha)
                break
            except RunnerGone as gone:
                deaths += 1
                if deaths >= MOST_DEATHS:
                    raise RunnerFault(f"no runner can be started: {gone}") from None
                await self._clock.sleep(back_off(deaths))
        if row.state_layout and loaded.state_layout != row.state_layout:
            raise RunnerFault(
                f"STATE of {row.strategy} has another layout than the saved one; stop the instance and start it anew"
            )
        self._link, self._loaded = link, loaded
        self._book.runner_pid = link.pid
        return link, loaded

    def let_go(self) -> None:
        """End the runner, if one lives."""
        if self._link is not None:
            self._link.close()
        self._link = self._loaded = None
        self._book.runner_pid = None
