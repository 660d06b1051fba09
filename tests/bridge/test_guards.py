"""Guards of a live instance without processes: what they judge by, whatever dies, and what is told of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exchanges.base import Kline, MarketOrder, OrderReport, Side, StreamBroken, TradeReport
from bridge.gateway import desk, driver
from bridge.gateway.books import Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.driver import Driver
from bridge.gateway.guards import LiveGuards
from bridge.journal import Journal
from bridge.journal_rows import InstanceState
from bridge.runner_link import Loaded
from tests.bridge.deaths import Death
from tests.bridge.doubles import JumpingClock, MemoryExchange, instance_row, journal_in
from tests.candle_builders import martingale, to_cents
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs, trading_rules
from workbench.backtest.single import backtest
from workbench.core.records import empty_intent
from workbench.execution.guards import Guards
from workbench.market.candles import CANDLE, Candles
from workbench.market.instruments import SCALE, Instrument

HOUR = 3_600_000
SLIPPAGE = 0.0001


@dataclass
class OpenMarket(MemoryExchange):
    """Fills a market order at the open of the candle after the last that was decided on, 1 bp worse."""

    candles: Candles | None = None
    rules: Instrument | None = None
    books: Books | None = None
    told: list[OrderReport] = field(default_factory=list)

    async def send_market_order(self, order: MarketOrder) -> OrderReport:
        """Fill it."""
        assert self.candles is not None
        assert self.rules is not None
        assert self.books is not None
        opens_ms = self.books.by_name["one"].row.last_candle_ms + HOUR
        at = np.searchsorted(self.candles.records["open_time"], opens_ms)
        price = float(self.candles.records["open"][at]) if at < len(self.candles.records) else 100.0
        one, bought = self.rules, order.side is Side.BUY
        worse = round(price * (1 + SLIPPAGE if bought else 1 - SLIPPAGE) * SCALE, 3)
        ticks = -int(-worse // one.tick_e8) if bought else int(worse // one.tick_e8)
        lots = (
            order.quote_e8 // (ticks * one.unit_e8) if bought else order.quantity_e8 // one.step_e8
        )
        received_e8 = lots * one.step_e8 if bought else lots * ticks * one.unit_e8
        number = len(self.told) + 1
        trade = TradeReport(
            order.symbol, number, number, ticks * one.tick_e8, lots * one.step_e8, received_e8 // 1000,
            one.base if bought else one.quote, opens_ms, is_maker=False,
        )  # fmt: skip
        self.told.append(
            OrderReport(
                order.client_order_id, number, order.symbol, order.side, "FILLED", lots * one.step_e8, opens_ms,
                (trade,),
            )
        )  # fmt: skip
        return self.told[-1]

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Answer from what was told."""
        for report in self.told:
            if report.client_order_id == client_order_id:
                return replace(report, trades=())
        return None

    async def trades_of(self, symbol: str, order_id: int) -> tuple[TradeReport, ...]:
        """Return the trades of an order."""
        return self.told[order_id - 1].trades

    async def kline_stream(self, symbol: str, interval: str) -> AsyncIterator[Kline | StreamBroken]:
        """Yield what has not been decided on, then be silent."""
        assert self.candles is not None
        assert self.books is not None
        last_ms = self.books.by_name["one"].row.last_candle_ms
        for one in self.candles.window:
            if one["open_time"] > last_ms:
                yield kline(one)
        await asyncio.Event().wait()


def kline(one: np.void) -> Kline:
    """Return a record as a closed kline."""
    opened = int(one["open_time"])
    prices = (float(one[name]) for name in ("open", "high", "low", "close", "volume"))
    return Kline(opened, opened + HOUR - 1, *prices, True, opened + HOUR - 1)


class ByTheCandle:
    """A runner whose targets are those in the candles; asked again, it answers the same."""

    pid = 4711

    def __init__(self, candles: Candles) -> None:
        times = candles.records["open_time"].tolist()
        self.targets = dict(zip(times, candles.records["aux"][:, 0].tolist(), strict=True))

    async def start(self, strategy: str) -> ByTheCandle:
        """Be the factory as well."""
        return self

    async def load(self, strategy: str, params: object, code_sha: str) -> Loaded:
        """Load anything."""
        return Loaded("ab" * 32, {}, 2, 0, "x", b"fresh")

    async def warm_up(self, state: bytes, candles: bytes, cash: float) -> bytes:
        """Feed nothing."""
        return b"warm"

    async def decide(
        self, seq: int, state: bytes, candle: bytes, position: bytes, *, timeout: float
    ) -> tuple[bytes, bytes]:
        """Answer what is written."""
        intent = empty_intent()
        intent["target"] = self.targets[int(np.frombuffer(candle, CANDLE)["open_time"][0])]
        return state, intent.tobytes()

    def close(self) -> None:
        """Do nothing."""


class Life:
    """One instance on the window of `candles`, born again from its journal after every death."""

    def __init__(self, folder: Path, candles: Candles, guards: str, exits: str = "") -> None:
        rules, _ = trading_rules(candles, Costs(filters="exchange"))
        assert rules is not None
        self.rules, self.candles = rules, candles
        self.journal: Journal = journal_in(folder)
        row = instance_row(
            symbol=candles.symbol, state=InstanceState.STARTING, state_layout="", late_entry="take",
            guards=guards, exits=exits,
        )  # fmt: skip
        self.journal.write(1, [row])
        self.clock = JumpingClock()
        history = [kline(one) for one in candles.records[: candles.first]]
        self.exchange = OpenMarket(self.clock, candles=candles, rules=rules, history=history)
        self.deaths = 0

    def load(self) -> None:
        """Fold the journal."""
        self.books = self.exchange.books = Books(self.journal)
        (row,) = self.journal.instances()
        self.book = self.books.open(row, self.rules)

    async def live(self) -> None:
        """Decide on all candles, however often it dies."""
        while not await self._one_life():
            self.deaths += 1

    async def _one_life(self) -> bool:
        self.load()
        one = Driver(
            self.book, self.books, exchange=self.exchange,
            desk=OrderDesk(self.books, self.exchange, self.clock, backend_timeout_ms=500),
            runners=ByTheCandle(self.candles), clock=self.clock, tape_market=True, on_change=lambda: None,  # type: ignore[arg-type]
        )  # fmt: skip
        living = asyncio.ensure_future(one.run())
        last_ms = int(self.candles.records["open_time"][-1])
        try:
            async with asyncio.timeout(60):
                while not living.done():
                    if self.book.row.last_candle_ms == last_ms and self.book.is_settled:
                        return True
                    assert self.book.row.state is not InstanceState.FAULTED, self.book.row.reason
                    await asyncio.sleep(0)
            assert isinstance(living.exception(), Death), living
            return False
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    def refused(self) -> list[tuple[int, str]]:
        """Return the candles whose buy was held back, and by which guard."""
        return [(one.open_time_ms, one.guard) for one in self.journal.decisions("one") if one.guard]

    def demand_equal(self, kernel: BacktestResult, event: BacktestResult) -> None:
        """Decisions, fills and equity are the backtests', and so is what was held back, and when."""
        assert len(self.refused()) == self.book.guards.refused == kernel.guarded == event.guarded
        end_ms = int(self.candles.records["open_time"][-1]) + HOUR
        fills = [
            (one.market_ms, one.side.value, one.ticks, one.lots)
            for _, one in self.journal.fills("one")
            if one.market_ms < end_ms
        ]
        for run in (kernel, event):
            times = run.fills["time"].dt.epoch("ms")
            rows = zip(times, run.fills["side"], run.fills["ticks"], run.fills["lots"], strict=True)
            assert fills == list(rows)
            equity = [one.equity for one in self.journal.decisions("one")]
            assert equity == pytest.approx(run.equity["equity"].to_list(), rel=1e-9)


def dies_at(monkeypatch: pytest.MonkeyPatch, steps: list[int]) -> list[str]:
    """Let the gateway die at these of the named places that it passes, counted from the last death.

    Return the list of the places where it died, which grows.
    """
    left, died = list(steps), []

    def crash(point: str) -> None:
        if left:
            left[0] -= 1
            if left[0] < 0:
                left.pop(0)
                died.append(point)
                raise Death(point)

    monkeypatch.setattr(desk, "crash", crash)
    monkeypatch.setattr(driver, "crash", crash)
    return died


MANY = "trades_a_day=2,daily_loss=1%,drawdown=4%,cooldown_bars=2,loss_streak=2,streak_pause_bars=5"


def restless(seed: int, count: int, first: int) -> Candles:
    """Return hours whose strategy goes in and out at random, with sizes that differ."""
    rng = np.random.default_rng(seed)
    wish = [None, None, 0.0, 0.0, 0.5, 0.7, 1.0]
    targets = [wish[one] for one in rng.integers(0, len(wish), count)]
    return replace(scripted(to_cents(martingale(count, seed)), targets), first=first)


def both(candles: Candles, guards: str, exits: str = "") -> tuple[BacktestResult, BacktestResult]:
    """Return the run of kernel and of event engine with 1,000 USDT."""
    costs = Costs(filters="exchange", cash=1_000.0, guards=Guards.of(guards))
    return (
        backtest(candles, SCRIPTED, costs=costs, exits=exits),
        event_driven(candles, SCRIPTED, costs=costs, exits=exits),
    )


@pytest.mark.parametrize(
    ("guards", "named"),
    [
        (MANY, {"trades_a_day", "daily_loss", "cooldown_bars"}),
        ("drawdown=4%", {"drawdown"}),
        ("loss_streak=2,streak_pause_bars=6", {"loss_streak"}),
        ("volatility=60%,volatility_bars=20,cooldown_bars=1", {"cooldown_bars"}),
    ],
)
async def test_what_guards_hold_back_is_the_same_in_kernel_event_engine_and_live(
    tmp_path: Path, guards: str, named: set[str]
) -> None:
    candles = restless(4, 220, 20)
    kernel, event = both(candles, guards)
    life = Life(tmp_path, candles, guards)
    await life.live()
    life.demand_equal(kernel, event)
    assert named <= {name for _, name in life.refused()}
    assert kernel.fills.height > 10


SOME_GUARDS = st.tuples(
    st.sampled_from(["", "trades_a_day=1", "trades_a_day=2"]),
    st.sampled_from(["", "daily_loss=0.5%", "daily_loss=2%"]),
    st.sampled_from(["", "drawdown=3%"]),
    st.sampled_from(["", "cooldown_bars=1", "cooldown_bars=4"]),
    st.sampled_from(["", "loss_streak=1,streak_pause_bars=6", "loss_streak=3"]),
    st.sampled_from(["", "volatility=40%,volatility_bars=5"]),
).map(lambda parts: ",".join(filter(None, parts)))


ANY_LIFE = {
    "seed": st.integers(0, 2**20),
    "guards": SOME_GUARDS,
    "exits": st.sampled_from(["", "time_stop=2"]),
    "steps": st.lists(st.integers(0, 25), min_size=1, max_size=6),
}


@settings(max_examples=8, deadline=None)
@given(**ANY_LIFE)
def test_no_death_makes_guards_forget_or_count_twice(
    seed: int, guards: str, exits: str, steps: list[int]
) -> None:
    _lives_on(seed, guards, exits, steps)


@pytest.mark.proof
@settings(max_examples=300, deadline=None)
@given(**ANY_LIFE)
def test_no_death_of_many_makes_guards_forget_or_count_twice(
    seed: int, guards: str, exits: str, steps: list[int]
) -> None:
    _lives_on(seed, guards, exits, steps)


def _lives_on(seed: int, guards: str, exits: str, steps: list[int]) -> None:
    """The backtests do not die: whatever falls between a fill, its booking and a decision changes nothing.

    But for a buy that was journaled and never sent: it is given up, and no guard may count it.
    """
    candles = restless(seed, 60, 8)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        died = dies_at(patch, steps)
        life = Life(Path(folder), candles, guards, exits)
        asyncio.run(life.live())
        if "after_journal" not in died:
            life.demand_equal(*both(candles, guards, exits))
        known = memory(life.book.guards)
        life.load()
        assert memory(life.book.guards) == known
        life.journal.close()


def memory(guards: LiveGuards) -> dict[str, object]:
    """Return all that a watch remembers; its closes and orders are few enough to compare."""
    watch, meter = vars(guards._watch), guards._meter
    known = {name: value for name, value in watch.items() if name != "_record"}
    return known | {"last": guards.last_refused, "volatility": meter and meter.value}
