"""User data subscriptions over the WebSocket API, and the delivery of events to them."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.faults import Do, FaultPlan
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.user_events import (
    account_position,
    balance_update,
    execution_report,
    list_status,
    stream_terminated,
)
from bridge.local_exchange.venue import Venue
from bridge.local_exchange.ws_session import ApiSession
from workbench.execution.orders import Rejected, Report

MOST_SUBSCRIPTIONS = 1_000  # at a time
MOST_IN_A_LIFE = 65_535  # of a connection


class UserStreams:
    """Who listens to which account: at most one subscription per account and connection."""

    def __init__(self, venue: Venue, faults: FaultPlan) -> None:
        self._venue = venue
        self._faults = faults
        self._listeners: dict[str, dict[ApiSession, int]] = defaultdict(dict)
        self._given: dict[ApiSession, int] = defaultdict(int)
        self._held: dict[str, list[Object]] = defaultdict(list)
        self.silent = False  # subscriptions stay, nothing is said

    def subscribe(self, session: ApiSession, account: Account) -> int:
        """Send an account's events to a connection; return the subscription's number."""
        listeners = self._listeners[account.name]
        if session in listeners:
            raise Rejected(-2035, "User Data Stream subscription already active.")
        number = self._given[session]
        if number >= MOST_IN_A_LIFE or len(self.numbers(session)) >= MOST_SUBSCRIPTIONS:
            raise Rejected(-2042, "Maximum subscription ID reached for this connection.")
        self._given[session] += 1
        listeners[session] = number
        return number

    def unsubscribe(self, session: ApiSession, number: int | None) -> list[int]:
        """End one subscription of a connection, or all; return which, -2036 where there is none."""
        found = {
            listeners[session]: name
            for name, listeners in self._listeners.items()
            if session in listeners and number in (None, listeners[session])
        }
        if not found:
            raise Rejected(-2036, "User Data Stream subscription not active.")
        for name in found.values():
            del self._listeners[name][session]
        return sorted(found)

    def terminated(self, session: ApiSession, numbers: list[int]) -> None:
        """Send the last event of subscriptions that have ended."""
        for number in numbers:
            session.send_event(stream_terminated(self._venue.now_ms), number)

    def numbers(self, session: ApiSession) -> list[int]:
        """Return the subscriptions that a connection holds."""
        return sorted(
            listeners[session] for listeners in self._listeners.values() if session in listeners
        )

    def number(self, session: ApiSession, account: Account) -> int | None:
        """Return a connection's subscription to an account, None without one."""
        return self._listeners[account.name].get(session)

    def listens(self, session: ApiSession) -> bool:
        """Whether the connection hears the account that logged on to it."""
        account = session.account
        return account is not None and session in self._listeners[account.name]

    def forget(self, session: ApiSession) -> None:
        """Drop everything about a connection that closed."""
        for listeners in self._listeners.values():
            listeners.pop(session, None)
        self._given.pop(session, None)

    def on_reports(self, reports: tuple[Report, ...], now_ms: int) -> None:
        """Send each report to its account, then the balances that they may have changed."""
        touched: dict[str, dict[str, None]] = defaultdict(dict)
        for number, report in enumerate(reports, self._venue.reported - len(reports) + 1):
            order = report.order
            if not self._heard(order.account):
                continue
            instrument = self._venue.engine.instrument(order.symbol)
            assets = [instrument.base, instrument.quote]
            assets += [report.execution.commission_asset] if report.execution else []
            touched[order.account] |= dict.fromkeys(assets)
            event = execution_report(report, instrument, execution_id=number, now_ms=now_ms)
            self._send(order.account, event)
            if report.order_list is not None:
                self._send(order.account, list_status(report.order_list, now_ms))
        for account, assets_touched in touched.items():
            self._send_balances(account, list(assets_touched), now_ms)

    def on_deposit(self, account: str, asset: str, change_e8: int, now_ms: int) -> None:
        """Send what came from outside, and the balance that it made."""
        self._send(account, balance_update(asset, change_e8, now_ms))
        self._send_balances(account, [asset], now_ms)

    def terminate_all(self) -> None:
        """End every subscription with its last event."""
        for listeners in self._listeners.values():
            for session, number in list(listeners.items()):
                self.terminated(session, [number])
            listeners.clear()

    def _heard(self, account: str) -> bool:
        """Whether an event of the account would be heard, or counted by a planned fault."""
        return bool(self._listeners.get(account)) or not self._faults.empty

    def _send_balances(self, account: str, assets: list[str], now_ms: int) -> None:
        held = self._venue.engine.balances(account)
        self._send(account, account_position(held, assets, now_ms))

    def _send(self, account: str, event: Object) -> None:
        """Deliver an event, through the fault that was planned for it."""
        fault = self._faults.arrive(f"EVENT {event['e']}")
        do = fault.do if fault else None
        if do is Do.DROP:
            return
        if do is Do.REORDER:
            self._held[account].append(event)
            return
        if fault and do is Do.DELAY:
            loop = asyncio.get_running_loop()
            loop.call_later(fault.ms / 1000, self._deliver, account, event)
            return
        self._deliver(account, event)
        if do is Do.DUP:
            self._deliver(account, event)
        for late in self._held.pop(account, []):
            self._deliver(account, late)
        if do is Do.CLOSE:
            for session in self._listeners[account]:
                session.connection.close()

    def _deliver(self, account: str, event: Object) -> None:
        if self.silent:
            return
        for session, number in list(self._listeners[account].items()):
            session.send_event(event, number)
