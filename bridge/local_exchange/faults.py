"""Faults on purpose, as a plan: which message, the how-many-th, before or after it is applied, what.

An entry matches, with `*` for anything,

    "POST /api/v3/order"        a REST request
    "WS order.place"            a request of the WebSocket API
    "EVENT executionReport"     a user event
    "STREAM btcusdt@kline_1m"   a frame of a market stream

`nth` counts from when the entry was added; it acts on that one and the `times - 1` after it, for
ever where `times` is 0.

    drop       no answer, the connection breaks off; an event or a frame is never sent
    delay      `ms` pass before the request is applied, or before its answer leaves
    status     an answer of the plan's own: `status` and `body`
    body       `body` with status 200
    html       what a broken proxy answers: 502 and a page
    half_body  the head of the answer and half of its body, then the connection breaks off
    dup        the request is applied twice; an event, a frame or an answer on a socket is sent twice
    reorder    the answer, event or frame leaves after the next one
    close      the connection is closed in good order, after the answer or event where there is one

`before_apply` leaves the request undone, `after_apply` hides an order that was taken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from bridge.local_exchange.shapes import Json, Object
from workbench.errors import UsageError


class When(StrEnum):
    """Before the request changes anything, or after."""

    BEFORE = "before_apply"
    AFTER = "after_apply"


class Do(StrEnum):
    """What goes wrong."""

    DROP = "drop"
    DELAY = "delay"
    STATUS = "status"
    BODY = "body"
    HTML = "html"
    HALF_BODY = "half_body"
    DUP = "dup"
    REORDER = "reorder"
    CLOSE = "close"


SENT_ONLY = frozenset({Do.DROP, Do.DELAY, Do.DUP, Do.REORDER, Do.CLOSE})  # events and frames
PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)
INTERNAL = (
    '{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the plan; `ms` is for delays, `status` and `body` for answers."""

    match: str
    do: Do
    nth: int = 1
    times: int = 1
    when: When = When.BEFORE
    ms: int = 0
    status: int = 503
    body: str = INTERNAL

    def acts_on(self, seen: int) -> bool:
        """Whether it acts on the `seen`-th message that matched."""
        return seen >= self.nth and (not self.times or seen < self.nth + self.times)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0

    @property
    def done(self) -> bool:
        """Whether it will never act again."""
        return bool(self.fault.times) and self.seen >= self.fault.nth + self.fault.times - 1


@dataclass(slots=True)
class FaultPlan:
    """The entries and how often each has seen its match."""

    _armed: list[_Armed] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing is planned."""
        return not self._armed

    def add(self, fault: Fault) -> None:
        """Arm an entry."""
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Forget all entries."""
        self._armed.clear()

    def arrive(self, what: str) -> Fault | None:
        """Count an arrival and return the fault that it meets, the first one planned."""
        hit: Fault | None = None
        for armed in self._armed:
            if not fnmatchcase(what, armed.fault.match):
                continue
            armed.seen += 1
            if armed.fault.acts_on(armed.seen):
                hit = hit or armed.fault
        return hit

    def listed(self) -> list[Json]:
        """Return the entries as JSON, with what they have seen."""
        return [
            {**asdict(armed.fault), "seen": armed.seen, "done": armed.done} for armed in self._armed
        ]


def parse_fault(entry: Json) -> Fault:
    """Return the fault that a JSON object describes; UsageError for anything else."""
    if not isinstance(entry, dict):
        raise UsageError(f"fault {entry!r}: must be an object like {_EXAMPLE}")
    unknown = set(entry) - set(Fault.__slots__)
    if unknown:
        raise UsageError(f"fault has unknown fields {sorted(unknown)}; write e.g. {_EXAMPLE}")
    try:
        fault = Fault(
            match=str(entry["match"]),
            do=Do(str(entry["do"])),
            nth=_whole(entry, "nth", 1),
            times=_whole(entry, "times", 1),
            when=When(str(entry.get("when", When.BEFORE))),
            ms=_whole(entry, "ms", 0),
            status=_whole(entry, "status", 503),
            body=str(entry.get("body", INTERNAL)),
        )
    except (KeyError, ValueError) as error:
        raise UsageError(f"fault {entry!r}: {error}; write e.g. {_EXAMPLE}") from None
    if fault.nth < 1:
        raise UsageError(f"fault {entry!r}: nth counts from 1; write e.g. {_EXAMPLE}")
    if fault.match.startswith(("EVENT ", "STREAM ")) and fault.do not in SENT_ONLY:
        can = " ".join(sorted(SENT_ONLY))
        raise UsageError(f"fault {entry!r}: what is sent can only {can}; write e.g. {_EXAMPLE}")
    return fault


def _whole(entry: Object, name: str, default: int) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be a whole number")
    return value


_EXAMPLE = '{"match": "POST /api/v3/order", "nth": 1, "when": "after_apply", "do": "drop"}'
