"""The gateway of one account: its instances and drivers, the user stream, and the commands it takes."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from bridge.clock import Clock, back_off
from bridge.config import GatewayConfig, StartRequest, StopRequest
from bridge.exchanges.base import (
    Balance,
    BalanceUpdate,
    Exchange,
    OrderRules,
    Refused,
    StreamBroken,
)
from bridge.feed import warm_up_candles
from bridge.gateway import core, view
from bridge.gateway.books import Book, Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.driver import Driver
from bridge.gateway.exit_rules import AskedExits, demand_exits_that_can_stand, demand_stop_slot
from bridge.gateway.first_intents import first_intents
from bridge.gateway.guards import demand_guards_that_can_judge
from bridge.gateway.ids import new_tag
from bridge.gateway.ladder import no_ladder
from bridge.gateway.ladder_rules import demand_ladder_that_can_rest
from bridge.journal import Journal
from bridge.journal_rows import CandleRow, CommandRow, InstanceRow, InstanceState
from bridge.runner_link import Loaded, RunnerFactory, RunnerFault, RunnerGone
from workbench.errors import ExchangeError, UsageError
from workbench.market.instruments import Instrument, from_e8, to_e8
from workbench.market.timeframes import parse_timeframe

Known = TypeVar("Known")

RECONCILE_EVERY = 60.0
ENDED = (InstanceState.STOPPED,)


class Conflict(UsageError):
    """The name is taken."""


class Service:
    """Everything of one account that outlives a command."""

    def __init__(
        self, config: GatewayConfig, journal: Journal, exchange: Exchange, clock: Clock
    ) -> None:
        self.config = config
        self.books = Books(journal)
        self.connected = False
        self.trouble = "connecting"
        self.balances: dict[str, Balance] = {}
        self._exchange = exchange
        self._clock = clock
        self._runners = RunnerFactory()
        venue = config.venue
        self._desk = OrderDesk(
            self.books, exchange, clock, backend_timeout_ms=venue.backend_timeout_ms
        )
        self._drivers: dict[str, Driver] = {}
        self._tasks = asyncio.TaskGroup()
        self._commands: dict[str, asyncio.Future[tuple[int, str]]] = {}
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Connect, take up what the journal holds, and live until cancelled. Any bug in here ends the process."""
        self._runners.warm()
        try:
            async with self._tasks:
                await self._connect()
                for row in self.books.journal.instances():
                    instrument = await self._known(row.symbol, self._exchange.instrument)
                    rules = await self._known(row.symbol, self._exchange.order_rules)
                    book = self.books.open(row, instrument, rules)
                    self._drive(book)
                self.connected, self.trouble = True, ""
                self._spawn(self._listen())
                self._spawn(self._reconcile_for_ever())
        finally:
            self._runners.close()
            await self._exchange.close()

    async def start(self, request: StartRequest) -> tuple[int, str]:
        """Start an instance, once a command id. Raises UsageError or ExchangeError."""
        return await self._once(request.command_id, lambda: self._start(request))

    async def stop(self, name: str, request: StopRequest) -> tuple[int, str]:
        """Ask an instance to stop, once a command id. Raises UsageError."""
        return await self._once(request.command_id, lambda: self._stop(name, request))

    def account_view(self) -> dict[str, Any]:
        """Return the account as GET /v1/state tells it."""
        return {
            "name": self.config.account,
            "venue": self.config.venue.name,
            "state": "RUNNING" if self.connected else "CONNECTING",
            "gateway_pid": os.getpid(),
            "balances": {
                asset: from_e8(one.free_e8 + one.locked_e8)
                for asset, one in sorted(self.balances.items())
            },
            "alarms": [*([self.trouble] if self.trouble else []), *self.books.journal.alarms],
        }

    def instance_views(self) -> list[view.View]:
        """Return all instances as GET /v1/state tells them; not yet connected, as the journal does."""
        account, venue = self.config.account, self.config.venue.name
        return [
            self._view(self.books.by_name[row.name])
            if row.name in self.books.by_name
            else view.unreachable(account, venue, row)
            for row in self.books.journal.instances()
        ]

    async def settled(
        self, name: str, candle_ms: int, timeout: float, *, fills: int = 0
    ) -> view.View:
        """Return the instance once it has decided on that candle and all its orders are settled.

        At least so many `fills` must be booked and answered, for whom knows that the market made them.
        """
        book, journal = self._book(name), self.books.journal
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(
                    lambda: (
                        (
                            book.is_settled
                            and book.row.last_candle_ms >= candle_ms
                            and journal.fill_count(name) >= fills
                        )
                        or book.row.state in (InstanceState.FAULTED, InstanceState.STOPPED)
                    )
                )
        except TimeoutError:
            pass
        return self._view(book)

    async def wait_for_event(self, after: int, timeout: float) -> None:
        """Return when the journal has an event above `after`, or after `timeout`."""
        journal = self.books.journal
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: journal.last_seq() > after)
        except TimeoutError:
            pass

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)

    async def _connect(self) -> None:
        failures = 0
        while True:
            try:
                await self._exchange.open()
                self.balances = await self._exchange.balances()
                return
            except ExchangeError as error:
                self.trouble = str(error)
                failures += 1
                await self._clock.sleep(back_off(failures))

    async def _known(self, symbol: str, ask: Callable[[str], Awaitable[Known]]) -> Known:
        failures = 0
        while True:
            try:
                return await ask(symbol)
            except ExchangeError as error:
                self.trouble = str(error)
                failures += 1
                await self._clock.sleep(back_off(failures))

    async def _listen(self) -> None:
        async for item in self._exchange.user_stream():
            if isinstance(item, StreamBroken):
                await self._reconcile()
            elif isinstance(item, BalanceUpdate):
                self.balances |= item.balances
            else:
                self._desk.hear(item)
            self._on_change()

    async def _reconcile_for_ever(self) -> None:
        while True:
            await self._clock.sleep(RECONCILE_EVERY)
            await self._reconcile()

    async def _reconcile(self) -> None:
        await self._desk.reconcile()
        try:
            self.balances = await self._exchange.balances()
            self.trouble = ""
        except ExchangeError as error:
            self.trouble = str(error)

    async def _start(self, request: StartRequest) -> tuple[int, view.View]:
        if any(row.name == request.name for row in self.books.journal.instances()):
            raise Conflict(
                f"an instance named {request.name!r} exists already; choose another name"
            )
        if not self.connected:
            raise ExchangeError(f"account {self.config.account} is not connected: {self.trouble}")
        capital_e8 = to_e8(request.capital)
        instrument = await self._exchange.instrument(request.symbol)
        rules = await self._exchange.order_rules(request.symbol)
        loaded, asked = await self._try_load(request, capital_e8, instrument, rules)
        demand_exits_that_can_stand(asked, rules, writes_ladder=loaded.writes_ladders)
        demand_guards_that_can_judge(request.guards)
        synthetic = await self._exchange.is_synthetic()
        self.balances |= await self._exchange.balances()
        # From here to the instance's own account nothing waits: two starts cannot spend the same quote.
        self._demand_own_symbol(request.symbol, writes_ladder=loaded.writes_ladders)
        self._demand_budget(capital_e8, instrument.quote)
        demand_stop_slot(request.symbol, asked, rules, self.books.by_name.values())
        local = self.config.venue.name == "local"
        row = InstanceRow(
            name=request.name,
            tag=new_tag(os.urandom(5)),
            strategy=request.strategy,
            code_sha=loaded.code_sha,
            params=loaded.params,
            symbol=request.symbol,
            interval=request.interval,
            capital_e8=capital_e8,
            late_entry=request.late_entry or ("take" if local else "skip"),
            started_ms=self._clock.wall_ms(),
            synthetic=synthetic,
            state=InstanceState.STARTING,
            reason="",
            seq=0,
            bars=0,
            first_warm_ms=0,
            last_candle_ms=0,
            last_close=0.0,
            last_target=math.nan,
            strategy_state=b"",
            state_layout="",
            stop_policy="",
            exits=request.exits,
            guards=request.guards,
            ladder=no_ladder() if loaded.writes_ladders else b"",
        )
        book = self.books.open(row, instrument, rules)
        book.expects_stop = asked.stop
        answer = self._view(book)
        # In one transaction: a replay after a crash finds either both or neither.
        done = CommandRow(request.command_id, 201, json.dumps(answer, allow_nan=False))
        self.books.journal.write(self._clock.wall_ms(), [row, core.instance_event(row), done])
        self._drive(book)
        self._on_change()
        return 201, answer

    async def _stop(self, name: str, request: StopRequest) -> tuple[int, view.View]:
        book = self._book(name)
        if book.row.state in (InstanceState.STOPPED, InstanceState.STOPPING):
            raise Conflict(f"instance {name!r} is {book.row.state} already")
        self._drivers[name].request_stop(request.policy)
        return 202, self._view(book)

    async def _try_load(
        self, request: StartRequest, capital_e8: int, instrument: Instrument, rules: OrderRules
    ) -> tuple[Loaded, AskedExits]:
        """Prove that the strategy loads with these parameters, learn its hash, try what it writes first."""
        try:
            link = await self._runners.start(request.strategy)
            try:
                loaded = await link.load(request.strategy, dict(request.params), "")
                intents: tuple[bytes, ...] = ()
                writes = loaded.writes_ladders or loaded.writes_levels
                candles = await self._newest_candles(request, loaded.stable + 1) if writes else []
                if candles:
                    intents = await first_intents(
                        link, loaded, candles, capital_e8=capital_e8, instrument=instrument
                    )
                if candles and loaded.writes_ladders:
                    demand_ladder_that_can_rest(intents[0], instrument, rules, candles[-1].close)
                return loaded, AskedExits.of(request.exits, request.strategy, intents)
            finally:
                link.close()
        except (RunnerFault, RunnerGone) as error:
            raise UsageError(str(error)) from None

    async def _newest_candles(self, request: StartRequest, count: int) -> list[CandleRow]:
        try:
            return await warm_up_candles(
                self._exchange,
                instance=request.name,
                symbol=request.symbol,
                timeframe=parse_timeframe(request.interval),
                count=count,
            )
        except Refused as refusal:
            raise UsageError(
                f"{request.symbol} {request.interval}: the exchange says {refusal}"
            ) from None

    def _demand_own_symbol(self, symbol: str, *, writes_ladder: bool) -> None:
        """Refuse what could make orders of two instances of this account trade with each other."""
        for book in self.books.by_name.values():
            one = book.row
            if one.symbol == symbol and one.state not in ENDED and (writes_ladder or one.ladder):
                raise UsageError(
                    f"{one.name} trades {symbol} on account {self.config.account}: a ladder of resting "
                    "orders would trade with another instance's orders; stop it first, or use another "
                    "symbol or account"
                )

    def _demand_budget(self, capital_e8: int, quote: str) -> None:
        free_e8 = self.balances.get(quote, Balance(0, 0)).free_e8
        owned_e8 = sum(
            self.books.ledger.account(book.row.name).cash_e8 - book.locked_quote_e8
            for book in self.books.by_name.values()
            if book.row.state not in ENDED and book.instrument.quote == quote
        )
        if capital_e8 > free_e8 - owned_e8:
            raise UsageError(
                f"capital {from_e8(capital_e8)} {quote} is more than is free: the account has {from_e8(free_e8)}, "
                f"running instances own {from_e8(owned_e8)} of it; "
                f"at most {from_e8(max(0, free_e8 - owned_e8))} is left"
            )

    def _drive(self, book: Book) -> None:
        if book.row.state in ENDED and not book.exits:
            return
        driver = Driver(
            book,
            self.books,
            exchange=self._exchange,
            desk=self._desk,
            runners=self._runners,
            clock=self._clock,
            tape_market=self.config.venue.market_clock == "tape",
            on_change=self._on_change,
        )
        self._drivers[book.row.name] = driver
        self._spawn(driver.run())

    async def _once(self, command_id: str, work: Any) -> tuple[int, str]:
        """Do a command at most once: a replay gets the first answer, even while the first is being worked on."""
        known = self.books.journal.command(command_id)
        if known is not None:
            return known.status, known.answer
        if command_id in self._commands:
            return await asyncio.shield(self._commands[command_id])
        future: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._commands[command_id] = future
        try:
            status, answer = await work()
            text = json.dumps(answer, allow_nan=False)
            if self.books.journal.command(command_id) is None:
                done = CommandRow(command_id, status, text)
                self.books.journal.write(self._clock.wall_ms(), [done])
            future.set_result((status, text))
            return status, text
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # seen: nobody else may be waiting
            raise
        finally:
            del self._commands[command_id]

    def _book(self, name: str) -> Book:
        try:
            return self.books.by_name[name]
        except KeyError:
            if not self.connected:
                raise ExchangeError(
                    f"account {self.config.account} is not connected: {self.trouble}"
                ) from None
            known = ", ".join(self.books.by_name) or "none"
            raise UsageError(
                f"no instance {name!r} on account {self.config.account}; known: {known}"
            ) from None

    def _view(self, book: Book) -> view.View:
        owned = self.books.ledger.account(book.row.name)
        return view.instance(self.config.account, self.config.venue.name, book, owned)

    def _on_change(self) -> None:
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
