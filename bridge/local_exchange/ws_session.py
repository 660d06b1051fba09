"""One WebSocket API connection: who logged on to it, and how it wants its answers.

Only an Ed25519 key may log on, unless the exchange was started lenient. A session that is logged on
may leave out `apiKey` and `signature`; a request that names a key is signed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.local_exchange.accounts import Account, KeyKind
from bridge.local_exchange.connections import Connection
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.time_units import in_microseconds
from bridge.local_exchange.wire import encode
from workbench.execution.orders import Rejected


@dataclass(slots=True, eq=False)
class ApiSession:
    """A connection's state; `account` is None until session.logon."""

    connection: Connection
    shows_limits: bool = True
    microseconds: bool = False
    account: Account | None = None
    authorized_ms: int | None = None
    late_answers: list[str] = field(default_factory=list)  # held back by a planned fault

    def log_on(self, account: Account, wall_ms: int, *, lenient: bool) -> None:
        """Remember whose connection this is; -4056 for a key that may not log on."""
        if account.kind is not KeyKind.ED25519 and not lenient:
            kind = "HMAC_SHA256" if account.kind is KeyKind.HMAC else account.kind
            raise Rejected(-4056, f"{kind} API key is not supported.")
        self.account, self.authorized_ms = account, wall_ms

    def log_out(self) -> None:
        """Forget whose connection this was."""
        self.account = self.authorized_ms = None

    def send_event(self, event: Object, number: int | None = None) -> None:
        """Send an event, that of a subscription with its number."""
        text = encode(in_microseconds(event) if self.microseconds else event)
        head = "" if number is None else f'"subscriptionId":{number},'
        self.connection.send(f'{{{head}"event":{text}}}')

    def status(self, wall_ms: int, *, listens: bool) -> Object:
        """Return what session.logon, .status and .logout answer."""
        return {
            "apiKey": self.account.api_key if self.account else None,
            "authorizedSince": self.authorized_ms,
            "connectedSince": self.connection.opened_ms,
            "returnRateLimits": self.shows_limits,
            "serverTime": wall_ms,
            "userDataStream": listens,
        }
