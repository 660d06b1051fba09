"""The exchange itself, without a socket: accounts, engine and replays, and a listener for what happens.

Everything that changes goes through here: `play` moves a market by one print, `advance` to the
next candle's open, `place` and `cancel` are users' orders. The listener hears of each in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Protocol

from bridge.local_exchange.accounts import Account, Accounts
from bridge.local_exchange.replay import Played, Replay
from bridge.local_exchange.settings import Settings
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.truth_log import LoggedEngine, TruthLog
from workbench.execution.filters import USUAL
from workbench.execution.matching.amending import Amended
from workbench.execution.matching.listing import ListResult
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import NewList, NewOrder, Order, OrderResult, Report
from workbench.market.instruments import Instrument

RATE_PER_BPS_E8 = 10_000
TRADING = "TRADING"
PRINTING = (TRADING, "CANCEL_ONLY")
STATUSES = (*PRINTING, "HALT", "BREAK")


class Listener(Protocol):
    """Who wants to hear what the market and the users do."""

    def on_print(self, symbol: str, played: Played) -> None:
        """A print was made and the market stands around it."""

    def on_deposit(self, account: str, asset: str, change_e8: int, now_ms: int) -> None:
        """Money came in from outside."""

    def on_reports(self, reports: tuple[Report, ...], now_ms: int) -> None:
        """Orders took steps; in order."""


class Venue:
    """One local exchange."""

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        markets: Mapping[str, tuple[Instrument, Tape, int]],
        listener: Listener | None = None,
    ) -> None:
        self.settings = settings
        self.accounts = accounts
        self.listener = listener
        self.updates = dict.fromkeys(markets, 1)  # how often each symbol's book was renewed
        self.reported = 0  # how many steps orders have taken
        self._log: TruthLog | None = None
        self.epoch = 1  # how often the exchange began anew
        self.engine = self._fresh({symbol: rules for symbol, (rules, _, _) in markets.items()})
        self.replays = {
            symbol: Replay(
                tape, self.engine, first_candle=first, slippage_bps=settings.slippage_bps
            )
            for symbol, (_, tape, first) in markets.items()
        }
        self._endow()

    @property
    def ended(self) -> bool:
        """Whether every tape was played to its end."""
        return all(replay.ended for replay in self.replays.values())

    @property
    def now_ms(self) -> int:
        """Market time: the latest of all symbols."""
        return max(replay.now_ms for replay in self.replays.values())

    def replay(self, symbol: str) -> Replay:
        """Return a symbol's replay; -1121 for a symbol that is not listed."""
        self.engine.instrument(symbol)
        return self.replays[symbol]

    def status(self, symbol: str) -> str:
        """Return whether a symbol is traded."""
        return self.engine.floor.rule(symbol).status

    def set_status(self, symbol: str, status: str) -> None:
        """Halt a symbol, or let it trade again; one that is halted makes no prints either."""
        floor = self.engine.floor
        floor.rules[symbol] = replace(floor.rule(symbol), status=status)
        self.replays[symbol].halted = status not in PRINTING
        self._write({"do": "status", "symbol": symbol, "rules": asdict(floor.rule(symbol))})

    def set_instrument(self, changed: Instrument) -> None:
        """Change a symbol's tick, lot or limits, and let the market stand on the new grid."""
        self.engine.instruments[changed.symbol] = changed
        self._write({"do": "rules", "instrument": asdict(changed)})
        self.replays[changed.symbol].stand()

    def log_to(self, log: TruthLog, *, begins: Object | None) -> None:
        """Write down everything from now on; first, where the log begins, what all depends on."""
        self._log = self.engine.log = log
        if begins is not None:
            log.write(begins)
            self._write_endowment()

    def close_log(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            self._log.close()
            self._log = self.engine.log = None

    def deposit(self, account: Account, asset: str, amount_e8: int) -> None:
        """Credit an account from outside."""
        self.engine.deposit(account.name, asset, amount_e8)
        if self.listener:
            self.listener.on_deposit(account.name, asset, amount_e8, self.now_ms)

    def wipe(self) -> None:
        """Begin anew as the testnet does: no orders, no trades, the first balances; keys stay."""
        self.epoch += 1
        self._write({"do": "wipe"})
        rules = self.engine.floor.rules
        self.engine = self._fresh(self.engine.instruments)
        self.engine.floor.rules.update(rules)
        self._endow()
        for symbol, replay in self.replays.items():
            replay.move_to(self.engine)
            self.updates[symbol] += 1
        self.engine.log = self._log
        self._write_endowment()

    def play(self, symbol: str) -> Played:
        """Make a symbol's next print."""
        if self._log is not None:
            self._log.printed(symbol)
        played = self.replays[symbol].play()
        self.updates[symbol] += 1
        if self.listener:
            self.listener.on_print(symbol, played)
        self.tell(played.reports, played.printed.time_ms)
        if played.opens and self._log is not None:
            self._log.flush()
        return played

    def skip(self, symbol: str, count: int) -> None:
        """Make prints that nobody hears and that no order waits for, all at once."""
        self.replays[symbol].skip(count)
        self.updates[symbol] += count

    def advance(self, symbol: str) -> None:
        """Play a symbol's candle to its close and stand at the next open, or at the end."""
        replay = self.replay(symbol)
        while not (replay.ended or replay.halted) and not self.play(symbol).opens:
            pass

    def advance_to_fill(self, symbol: str) -> bool:
        """Go on to the first price at which a resting order trades, or to the next open.

        Returns whether it stands at the next open (or the end), the closed candle told. Until then its
        owners act between two prints, as they do where the market does not stand still.
        """
        replay = self.replay(symbol)
        while replay.leads and not replay.halted:
            if self.lead(symbol):
                return False
        if not replay.halted:
            self.tell_candle(symbol)
        return True

    def lead(self, symbol: str) -> tuple[Report, ...]:
        """Let resting orders meet a symbol's next price, which is told later."""
        self._write({"do": "lead", "symbol": symbol})
        replay = self.replays[symbol]
        reports = replay.lead()
        self.tell(reports, replay.now_ms)
        return reports

    def tell_candle(self, symbol: str) -> None:
        """Tell of the prints that were met ahead, and quote the next open."""
        self._write({"do": "told", "symbol": symbol})
        for played in self.replays[symbol].tell():
            self.updates[symbol] += 1
            if self.listener:
                self.listener.on_print(symbol, played)

    def place(self, new: NewOrder) -> OrderResult:
        """Place an order at market time."""
        now_ms = self.replay(new.symbol).now_ms
        if not new.client_order_id:
            name = self.identifier("order", len(self.engine.orders) + 1)
            new = replace(new, client_order_id=name)
        result = self.engine.place(new, now_ms)
        self.tell(result.reports, now_ms)
        return result

    def cancel(self, account: Account, symbol: str, order_id: int, cancel_id: str) -> OrderResult:
        """Take an order back at market time."""
        now_ms = self.replay(symbol).now_ms
        result = self.engine.cancel(
            account.name, symbol, order_id, now_ms, client_order_id=cancel_id
        )
        self.tell(result.reports, now_ms)
        return result

    def cancel_list(self, account: Account, number: int, cancel_id: str) -> ListResult:
        """Take back what is still open of a list; -2011 where nothing is."""
        found = self.engine.floor.lists[number]
        now_ms = self.replay(found.symbol).now_ms
        done = self.engine.cancel_list(found, now_ms, client_order_id=cancel_id)
        self.tell(done.reports, now_ms)
        return done

    def place_list(self, new: NewList) -> ListResult:
        """Place an order list at market time."""
        now_ms = self.replay(new.symbol).now_ms
        first = len(self.engine.orders) + 1
        named = tuple(
            replace(one, client_order_id=one.client_order_id or self.identifier("order", first + i))
            for i, one in enumerate(new.orders)
        )
        name = new.client_list_id or self.identifier("list", len(self.engine.floor.lists))
        done = self.engine.place_list(replace(new, orders=named, client_list_id=name), now_ms)
        self.tell(done.reports, now_ms)
        return done

    def amend(self, order: Order, quantity_e8: int, client_order_id: str) -> Amended:
        """Make an open order smaller at market time."""
        now_ms = self.replay(order.symbol).now_ms
        done = self.engine.amend(order, quantity_e8, now_ms, client_order_id=client_order_id)
        self.tell(done.reports, now_ms)
        return done

    def identifier(self, *parts: object) -> str:
        """Return 22 letters and digits that depend on the seed and the parts alone."""
        text = "/".join(map(str, (self.settings.seed, *parts)))
        return hashlib.sha256(text.encode()).hexdigest()[:22]

    def _fresh(self, instruments: Mapping[str, Instrument]) -> LoggedEngine:
        rate_e8 = round(self.settings.fee_bps * RATE_PER_BPS_E8)
        engine = LoggedEngine(
            instruments,
            rate_e8,
            rate_e8,
            touch_fills=self.settings.touch_fills,
            share_bps=self.settings.share_bps,
            rules=dict.fromkeys(instruments, USUAL),
        )
        if self.settings.bnb_fees:
            engine.clearing.pays_in_bnb.update(account.name for account in self.accounts.all)
        return engine

    def _write(self, entry: Object) -> None:
        if self._log is not None:
            self._log.write(entry)

    def _write_endowment(self) -> None:
        for account in self.accounts.all:
            for asset, amount_e8 in self.settings.balances:
                deposit: Object = {"account": account.name, "asset": asset, "amount_e8": amount_e8}
                self._write({"do": "deposit", "first": True, **deposit})

    def _endow(self) -> None:
        for account in self.accounts.all:
            for asset, amount_e8 in self.settings.balances:
                self.engine.deposit(account.name, asset, amount_e8)

    def tell(self, reports: tuple[Report, ...], now_ms: int) -> None:
        """Let the listener hear of order reports."""
        self.reported += len(reports)
        for symbol in {report.order.symbol for report in reports}:
            self.updates[symbol] += 1
        if self.listener and reports:
            self.listener.on_reports(reports, now_ms)
