"""Faults on purpose, as a plan: which request, the how-many-th, before or after it is applied, what.

An entry matches "METHOD /path" of a REST request, "WS method" of the WebSocket API, or
"EVENT executionReport" of a user event (drop only). `nth` counts from when the entry was added; an
entry acts once. `drop` closes the connection without an answer, `delay` waits, `status` answers
with a status of its own; "after_apply" does so when the order has already been taken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the plan; `ms` is for delays, `status` and `body` for answers."""

    match: str
    do: Do
    nth: int = 1
    when: When = When.BEFORE
    ms: int = 0
    status: int = 503
    body: str = (
        '{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'
    )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    done: bool = False


@dataclass(slots=True)
class FaultPlan:
    """The entries and how often each has seen its match."""

    _armed: list[_Armed] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Arm an entry."""
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Forget all entries."""
        self._armed.clear()

    def arrive(self, what: str) -> Fault | None:
        """Count an arrival and return the fault that it meets."""
        hit: Fault | None = None
        for armed in self._armed:
            if armed.fault.match != what:
                continue
            armed.seen += 1
            if armed.seen == armed.fault.nth and not armed.done:
                armed.done = True
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
    if str(entry.get("match")).startswith(("WS ", "EVENT ")) and entry.get("do") != Do.DROP:
        raise UsageError(
            f"fault {entry!r}: sockets and events can only drop; write e.g. {_EXAMPLE}"
        )
    try:
        return Fault(
            match=str(entry["match"]),
            do=Do(str(entry["do"])),
            nth=_whole(entry, "nth", 1),
            when=When(str(entry.get("when", When.BEFORE))),
            ms=_whole(entry, "ms", 0),
            status=_whole(entry, "status", 503),
            body=str(entry.get("body", Fault.__dataclass_fields__["body"].default)),
        )
    except (KeyError, ValueError) as error:
        raise UsageError(f"fault {entry!r}: {error}; write e.g. {_EXAMPLE}") from None


def _whole(entry: Object, name: str, default: int) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be a whole number")
    return value


_EXAMPLE = '{"match": "POST /api/v3/order", "nth": 1, "when": "after_apply", "do": "drop"}'
