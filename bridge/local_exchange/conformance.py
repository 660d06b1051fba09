"""Which of Binance's documented endpoints and methods this exchange serves, refuses or has retired."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.local_exchange.endpoints import ENDPOINTS, RETIRED, RETIRED_METHODS
from bridge.local_exchange.session_methods import SESSION_METHODS
from bridge.local_exchange.unbuilt import UNBUILT, UNBUILT_METHODS

TITLES = ("API", "operation", "state", "answer")
LISTEN_KEYS = ("POST", "PUT", "DELETE")  # the methods of a user data stream's listen key


class State(StrEnum):
    """What a client gets."""

    SERVED = "served"
    REFUSED = "refused"
    RETIRED = "retired"


ANSWERS = {
    ("REST", State.SERVED): "200",
    ("REST", State.REFUSED): "400 -1020",
    ("REST", State.RETIRED): "410 HTML",
    ("WebSocket API", State.SERVED): "200",
    ("WebSocket API", State.REFUSED): "400 -1020",
    ("WebSocket API", State.RETIRED): "400 -1020",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One operation of REST ("GET /api/v3/ping") or of the WebSocket API ("ping")."""

    api: str
    operation: str
    state: State

    @property
    def answer(self) -> str:
        """What a good request gets: HTTP's status and the code."""
        return ANSWERS[self.api, self.state]


def table() -> list[Row]:
    """Return every operation, REST first, each part by name."""
    listen_keys = [f"{method} {RETIRED[0]}" for method in LISTEN_KEYS]
    rest = {
        State.SERVED: [f"{one.method} {one.path}" for one in ENDPOINTS],
        State.REFUSED: [f"{method} {path}" for method, path in UNBUILT],
        State.RETIRED: listen_keys,
    }
    socket = {
        State.SERVED: [one.ws_method for one in ENDPOINTS if one.ws_method] + [*SESSION_METHODS],
        State.REFUSED: [*UNBUILT_METHODS],
        State.RETIRED: [*RETIRED_METHODS],
    }
    return [
        Row(api, name, state)
        for api, states in (("REST", rest), ("WebSocket API", socket))
        for name, state in sorted((name, state) for state in states for name in states[state])
    ]


def markdown() -> str:
    """Return the table as Markdown."""
    lines = [f"| {' | '.join(TITLES)} |", "|---" * len(TITLES) + "|"]
    for row in table():
        cells = (row.api, f"`{row.operation}`", row.state, row.answer)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
