"""The dashboard: widgets in their places, and the one task that keeps them true.

Nothing connects when the module is imported or the page is put together, because Voila runs the
notebook before anybody asks for it. A view that opens says "here"; then one asyncio task asks the
bridge twice a second, every call in a thread, and falls silent when nobody has looked for a while,
so that an abandoned kernel can be culled. A click is answered at once and wakes the task early.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Coroutine

import ipywidgets

from bridge.dashboard.candle_chart import CandleChart, rows_of
from bridge.dashboard.control import ControlClient, State, connect_from_environment
from bridge.dashboard.fills import Fill, FillsTable, market_time
from bridge.dashboard.instances import ENDED, Instance, InstanceFacts, InstancesTable
from bridge.dashboard.start_form import StartForm, StartRequest
from bridge.dashboard.status import StatusBar
from workbench.errors import WorkbenchError

EVERY_S = 0.5
BEAT_S = 1.0
AFTER_A_LOSS_S = 2.0
UNSEEN_S = 90.0  # a browser calls home once a minute from a tab in the background
HISTORY = 600
NOTHING_SELECTED = "Start an instance, and its candles and fills appear here."


class Dashboard:
    """The page: start form, instances, chart, fills and the state of the bridge."""

    def __init__(
        self,
        client: ControlClient | None = None,
        *,
        connect: Callable[[], ControlClient] | None = None,
    ) -> None:
        """Put the page together around a client, or around a way to get one when it is needed."""
        self._client = client
        self._connect = connect
        self._strategies_known = False
        self._selected = ""
        self._fills: list[Fill] = []
        self._task: asyncio.Task[None] | None = None
        self._commands: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._seen = 0.0
        self._problem = ""  # of the last command
        self._trouble = ""  # of the last look
        self.status = StatusBar()
        self.form = StartForm()
        self.instances = InstancesTable()
        self.facts = InstanceFacts()
        self.chart = CandleChart(waiting=NOTHING_SELECTED, height=400)
        self.fills = FillsTable()
        self.page = self._page()
        self.status.on_seen(self._on_seen)
        self.form.on_start(self._on_start)
        self.instances.on_stop(self._on_stop)
        self.instances.observe(self._on_select, "selected")

    @classmethod
    def from_environment(cls) -> Dashboard:
        """Return a dashboard that finds the bridge by itself, when somebody looks."""
        return cls(connect=connect_from_environment)

    def _page(self) -> ipywidgets.VBox:
        detail = ipywidgets.VBox([self.chart, self.fills]).add_class("wb-detail")
        main = ipywidgets.VBox([self.instances, self.facts, detail]).add_class("wb-main")
        columns = ipywidgets.VBox([self.form, main]).add_class("wb-columns")
        return ipywidgets.VBox([self.status, columns]).add_class("wb-page")

    def _repr_mimebundle_(self, **kwargs: object) -> object:
        return self.page._repr_mimebundle_(**kwargs)

    # What the page says: each answers at once, the work is the task's.

    def _on_seen(self) -> None:
        self._seen = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep_true())

    def _on_start(self, request: StartRequest) -> None:
        self._command(self._start(request))

    def _on_stop(self, name: str, policy: str) -> None:
        self._command(self._stop(name, policy))

    def _on_select(self, _change: object) -> None:
        self._wake.set()

    def _command(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)

    async def _start(self, request: StartRequest) -> None:
        try:
            client = await self._connected()
            started = await asyncio.to_thread(
                client.start_instance,
                request.name,
                account=request.account,
                strategy=request.strategy,
                params=request.params,
                symbol=request.symbol,
                interval=request.interval,
                capital=request.capital,
                exits=request.exits,
                guards=request.guards,
                command_id=uuid.uuid4().hex,
            )
        except Exception as failure:
            self.form.answered(_one_line(failure))
            return
        self.form.answered("")
        self.instances.selected = started["name"]
        self._wake.set()

    async def _stop(self, name: str, policy: str) -> None:
        try:
            client = await self._connected()
            await asyncio.to_thread(
                client.stop_instance, name, policy=policy, command_id=uuid.uuid4().hex
            )
            self._problem = ""
        except Exception as failure:
            self._problem = f"{name} was not stopped: {_one_line(failure)}"
        self._wake.set()

    # The task that keeps the page true.

    async def _keep_true(self) -> None:
        beating = asyncio.create_task(
            self._beat()
        )  # of its own: a bridge that hangs is not a dead kernel
        try:
            while time.monotonic() - self._seen < UNSEEN_S:
                pause = EVERY_S
                try:
                    await self._refresh()
                except Exception as failure:
                    self._lost(failure)
                    pause = AFTER_A_LOSS_S
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self.status.beat += 1
            await asyncio.sleep(BEAT_S)

    async def _refresh(self) -> None:
        client = await self._connected()
        if not self._strategies_known:
            self.form.offer(await asyncio.to_thread(client.strategies))
            self._strategies_known = True
        state = await asyncio.to_thread(client.state)
        self._show(state)
        one = self._choose(state["instances"])
        self.facts.show(one)
        if one is None:
            self._forget()
        else:
            try:
                await self._show_market(client, one)
                self._trouble = ""
            except WorkbenchError as failure:  # the bridge answers, this instance cannot be read
                self._trouble = f"{one['name']}: {_one_line(failure)}"

    async def _connected(self) -> ControlClient:
        if self._client is None:
            if self._connect is None:
                raise WorkbenchError("no bridge: start one with `bridge serve`")
            self._client = await asyncio.to_thread(self._connect)
        return self._client

    def _show(self, state: State) -> None:
        instances, accounts = state["instances"], state["accounts"]
        self.status.show(
            accounts, locked=state["supervisor"]["locked"], problem=self._problem or self._trouble
        )
        self.status.link = "live"
        self.status.words = "bridge live"
        self.instances.show(instances)
        self.form.show(accounts, [one["name"] for one in instances])

    def _choose(self, instances: list[Instance]) -> Instance | None:
        named = {one["name"]: one for one in instances}
        if self.instances.selected not in named:
            alive = [one["name"] for one in instances if one["state"] not in ENDED]
            self.instances.selected = (alive or list(named) or [""])[0]
        return named.get(self.instances.selected)

    async def _show_market(self, client: ControlClient, one: Instance) -> None:
        name = one["name"]
        if name != self._selected:
            rows = rows_of(await asyncio.to_thread(client.candles, name, limit=HISTORY, after=None))
            self._fills = await asyncio.to_thread(client.fills, name, after=0)
            self._selected = name
            self.chart.set_fills([])
            self.chart.set_candles(rows)
            self._show_fills()
        else:
            await self._show_news(client, name)
        with self.chart.hold_sync():
            self.chart.title = f"{one['symbol']} {one['interval']}"
            self.chart.synthetic = "SYNTHETIC" if one["synthetic"] else ""
            self.chart.waiting = "Waiting for the first candle…"
            self.chart.cost_price = one["entry_price"] or 0.0

    async def _show_news(self, client: ControlClient, name: str) -> None:
        after = self.chart.last_time_ms
        rows = rows_of(await asyncio.to_thread(client.candles, name, limit=HISTORY, after=after))
        if after is None:
            if len(rows):
                self.chart.set_candles(rows)
        else:
            self.chart.add_candles(rows)
        seen = self._fills[-1]["seq"] if self._fills else 0
        new = await asyncio.to_thread(client.fills, name, after=seen)
        if new:
            self._fills += new
            self._show_fills()

    def _show_fills(self) -> None:
        self.fills.show(self._fills)
        self.chart.set_fills([{**one, "time_ms": market_time(one)} for one in self._fills])

    def _forget(self) -> None:
        if self._selected or self.chart.waiting != NOTHING_SELECTED:
            self._selected = ""
            self.chart.clear(NOTHING_SELECTED)
        self._fills = []
        self.fills.show([])

    def _lost(self, failure: Exception) -> None:
        if self._connect is not None:
            self._client = None  # read the address anew: the bridge may have moved
        self.status.link = "lost"
        self.status.words = "no bridge"
        self.status.messages = [{"tone": "down", "text": _one_line(failure)}]


def _one_line(failure: Exception) -> str:
    text = " ".join(str(failure).split())
    return (
        text
        if isinstance(failure, WorkbenchError) and text
        else f"{type(failure).__name__}: {text}"
    )
