"""Times in microseconds, for clients that ask for them (`timeUnit=MICROSECOND`).

The exchange counts milliseconds. Only times are converted: fields have the same letter in many
events, so that what is a time is listed by event. A close is the last microsecond.
"""

from __future__ import annotations

from bridge.local_exchange.shapes import Json, Object
from workbench.execution.orders import Rejected

INVALID = Rejected(
    -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
)
_EVENT_TIMES = {
    "kline": "E",
    "trade": "ET",
    "aggTrade": "ET",
    "avgPrice": "ET",
    "24hrMiniTicker": "E",
    "24hrTicker": "EOC",
    "1hTicker": "EOC",
    "4hTicker": "EOC",
    "1dTicker": "EOC",
    "depthUpdate": "E",
    "executionReport": "ETOWD",
    "outboundAccountPosition": "Eu",
    "balanceUpdate": "ET",
    "listStatus": "ET",
    "eventStreamTerminated": "E",
    "serverShutdown": "E",
}
_ANSWER_TIMES = frozenset(
    {
        "serverTime",
        "time",
        "updateTime",
        "transactTime",
        "transactionTime",
        "workingTime",
        "trailingTime",
        "openTime",
        "authorizedSince",
        "connectedSince",
        "T",
    }
)


def asks_microseconds(sent: str | None) -> bool:
    """Return whether a `timeUnit` asks for microseconds; -1194 for one that makes no sense."""
    unit = (sent or "MILLISECOND").upper()
    if unit not in ("MICROSECOND", "MILLISECOND"):
        raise INVALID
    return unit == "MICROSECOND"


def in_microseconds(event: Object | list[Json]) -> Object | list[Json]:
    """Return an event of a stream with its times in microseconds."""
    if isinstance(event, list):
        return [in_microseconds(one) if isinstance(one, dict) else one for one in event]
    names = _EVENT_TIMES.get(str(event.get("e")), "")
    changed = {name: _longer(event[name]) for name in names if name in event}
    kline = event.get("k")
    if isinstance(kline, dict):
        closed = _longer(kline["T"], last=True)
        changed["k"] = {**kline, "t": _longer(kline["t"]), "T": closed}
    return {**event, **changed}


def answer_in_microseconds(answer: Json) -> Json:
    """Return an answer of REST or the WebSocket API with its times in microseconds."""
    if isinstance(answer, list):
        if len(answer) == 12 and isinstance(answer[0], int):  # a kline
            return [_longer(answer[0]), *answer[1:6], _longer(answer[6], last=True), *answer[7:]]
        return [answer_in_microseconds(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    return {name: _converted(name, value) for name, value in answer.items()}


def _converted(name: str, value: Json) -> Json:
    if name in _ANSWER_TIMES:
        return _longer(value)
    if name == "closeTime":
        return _longer(value, last=True)
    return answer_in_microseconds(value)


def _longer(value: Json, *, last: bool = False) -> Json:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return value
    return value * 1000 + (999 if last else 0)
