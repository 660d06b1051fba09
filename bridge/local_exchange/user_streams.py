"""User data subscriptions over the WebSocket API, and the delivery of events to them."""

from __future__ import annotations

from collections import defaultdict

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.connections import Connection
from bridge.local_exchange.faults import FaultPlan
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.user_events import account_position, execution_report
from bridge.local_exchange.venue import Venue
from bridge.local_exchange.wire import encode
from workbench.execution.orders import Rejected, Report


class UserStreams:
    """Who listens to which account: at most one subscription per account and connection."""

    def __init__(self, venue: Venue, faults: FaultPlan) -> None:
        self._venue = venue
        self._faults = faults
        self._listeners: dict[str, dict[Connection, int]] = defaultdict(dict)
        self._given: dict[Connection, int] = defaultdict(int)
        self._executions = 0

    def subscribe(self, connection: Connection, account: Account) -> int:
        """Send an account's events to a connection; return the subscription's number."""
        listeners = self._listeners[account.name]
        if connection in listeners:
            raise Rejected(-2035, "User Data Stream subscription already active.")
        number = self._given[connection]
        self._given[connection] += 1
        listeners[connection] = number
        return number

    def unsubscribe(self, connection: Connection, number: int | None) -> None:
        """End one subscription of a connection, or all; -2036 where there is none."""
        found = [
            name
            for name, listeners in self._listeners.items()
            if connection in listeners and number in (None, listeners[connection])
        ]
        if not found:
            raise Rejected(-2036, "User Data Stream subscription not active.")
        for name in found:
            del self._listeners[name][connection]

    def numbers(self, connection: Connection) -> list[int]:
        """Return the subscriptions that a connection holds."""
        return sorted(
            listeners[connection]
            for listeners in self._listeners.values()
            if connection in listeners
        )

    def forget(self, connection: Connection) -> None:
        """Drop everything about a connection that closed."""
        for listeners in self._listeners.values():
            listeners.pop(connection, None)
        self._given.pop(connection, None)

    def on_reports(self, reports: tuple[Report, ...], now_ms: int) -> None:
        """Send each report to its account, then the balances that they may have changed."""
        touched: dict[tuple[str, str], None] = {}
        for report in reports:
            self._executions += 1
            order = report.order
            touched[order.account, order.symbol] = None
            if self._lost("executionReport") or not self._listeners.get(order.account):
                continue
            instrument = self._venue.engine.instrument(order.symbol)
            event = execution_report(
                report, instrument, execution_id=self._executions, now_ms=now_ms
            )
            self._send(order.account, event)
        for account, symbol in touched:
            if self._lost("outboundAccountPosition") or not self._listeners.get(account):
                continue
            instrument = self._venue.engine.instrument(symbol)
            held = self._venue.engine.balances(account)
            self._send(account, account_position(held, [instrument.base, instrument.quote], now_ms))

    def _lost(self, kind: str) -> bool:
        """Whether a planned fault swallows an event of that kind."""
        return self._faults.arrive(f"EVENT {kind}") is not None

    def _send(self, account: str, event: Object) -> None:
        text = encode(event)
        for connection, number in list(self._listeners[account].items()):
            connection.send(f'{{"subscriptionId":{number},"event":{text}}}')
