"""The parameters of one request, read with Binance's own refusals.

A name sent twice in the same place is refused; a name in query and body counts as the query says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from workbench.errors import UsageError
from workbench.execution.filters import parse_amount
from workbench.execution.orders import Rejected
from workbench.market.timeframes import Timeframe, parse_timeframe

_INTEGER = r"^[0-9]{1,20}$"
_LONGEST = 2**63 - 1
_MICROSECONDS = 10**14  # a time above this is in microseconds
_CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"


_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?", re.ASCII)
SYMBOL_STATUSES = ("TRADING", "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY")


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A span of time, open where it was not given; both ends belong to it."""

    start_ms: int | None
    end_ms: int | None

    @property
    def asked(self) -> bool:
        """Whether either end was given."""
        return self.from_start or self.end_ms is not None

    @property
    def from_start(self) -> bool:
        """Whether rows are wanted from a start on, the oldest first."""
        return self.start_ms is not None

    def holds(self, time_ms: int) -> bool:
        """Whether a time lies in it."""
        after = self.start_ms is None or time_ms >= self.start_ms
        return after and (self.end_ms is None or time_ms <= self.end_ms)


def missing(name: str) -> Rejected:
    """Return the refusal of a mandatory parameter that was not sent or makes no sense."""
    return Rejected(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


class Parameters:
    """Named texts, with one reader a kind."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def names(self) -> set[str]:
        """Return every name that was sent."""
        return set(self._values)

    def require(self, names: Iterable[str]) -> None:
        """Refuse with -1102 the first of the names that was not sent."""
        for name in names:
            self.text(name)

    def text(self, name: str) -> str:
        """Return a mandatory text."""
        value = self._values.get(name)
        if not value:
            raise missing(name)
        return value

    def optional(self, name: str) -> str | None:
        """Return a text that may be absent; -1105 for one sent empty."""
        value = self._values.get(name)
        if value == "":
            raise Rejected(-1105, f"Parameter '{name}' was empty.")
        return value

    def symbol(self) -> str:
        """Return the mandatory symbol; whether it is listed is the engine's business."""
        value = self.text("symbol")
        if re.fullmatch(r"[A-Z0-9\-._]{1,50}", value) is None:
            raise _illegal("symbol", _SYMBOL)
        return value

    def symbols(self) -> list[str] | None:
        """Return `symbol` or the JSON list `symbols`; None without either, -1128 for both."""
        listed = self.optional("symbols")
        if listed is None:
            return [self.symbol()] if "symbol" in self else None
        if "symbol" in self:
            raise Rejected(-1128, "Combination of optional parameters invalid.")
        try:
            names = json.loads(listed)
        except ValueError:
            raise Rejected(-1135, "JSON sent for parameter 'symbols' is not valid") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Rejected(-1130, "Data sent for parameter 'symbols' is not valid.")
        if len(set(names)) < len(names):
            raise Rejected(-1151, "Symbol is present multiple times in the list.")
        return names

    def integer(self, name: str) -> int | None:
        """Return a whole number that may be absent; -1100 for anything else."""
        value = self.optional(name)
        if value is None:
            return None
        if re.fullmatch(_INTEGER, value, re.ASCII) is None:
            raise _illegal(name, _INTEGER)
        if int(value) > _LONGEST:
            raise Rejected(-1108, f"Parameter '{name}' overflowed.")
        return int(value)

    def time_ms(self, name: str) -> int | None:
        """Return a time that may be absent, sent in milli- or microseconds."""
        value = self.integer(name)
        return value // 1000 if value is not None and value > _MICROSECONDS else value

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """Return one of the allowed words; -1102 without one, -1130 for another."""
        value = self.optional(name)
        if value is None and default is not None:
            return default
        if value is None:
            raise missing(name)
        if value not in allowed:
            raise Rejected(-1130, f"Data sent for parameter '{name}' is not valid.")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean that may be absent."""
        return self.choice(name, ("true", "false"), str(default).lower()) == "true"

    def optional_amount(self, name: str) -> int:
        """Return a decimal at 1e-8 that may be absent, then zero."""
        value = self.optional(name)
        return 0 if value is None else parse_amount(name, value)

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are asked for, cut at what the endpoint gives at most."""
        asked = self.integer("limit")
        if asked == 0:
            raise Rejected(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(default if asked is None else asked, most)

    def amount(self, name: str) -> int:
        """Return a mandatory decimal at 1e-8."""
        return parse_amount(name, self.text(name))

    def client_id(self, name: str) -> str | None:
        """Return a client order id that may be absent."""
        value = self.optional(name)
        if value is not None and re.fullmatch(_CLIENT_ID, value, re.ASCII) is None:
            raise _illegal(name, _CLIENT_ID)
        return value

    def window(self, *, within_ms: int | None = None) -> TimeWindow:
        """Return startTime and endTime; -1127 where they are further apart than allowed."""
        start, end = self.time_ms("startTime"), self.time_ms("endTime")
        if within_ms and start is not None and end is not None and end - start > within_ms:
            hours = within_ms // 3_600_000
            raise Rejected(-1127, f"More than {hours} hours between startTime and endTime.")
        return TimeWindow(start, end)

    def zone_offset_ms(self) -> int:
        """Return `timeZone` ("8", "-1:30") as milliseconds ahead of UTC; -12:00 to +14:00."""
        sent = self.optional("timeZone") or "0"
        match = _ZONE.fullmatch(sent)
        minutes = 0 if match is None else int(match[2]) * 60 + int(match[3] or 0)
        minutes = -minutes if match and match[1] == "-" else minutes
        if match is None or not -12 * 60 <= minutes <= 14 * 60:
            raise Rejected(-1130, "Data sent for parameter 'timeZone' is not valid.")
        return minutes * 60_000

    def symbol_status(self) -> str | None:
        """Return the status that symbols must have; -1122 for one that does not exist."""
        status = self.optional("symbolStatus")
        if status not in (None, *SYMBOL_STATUSES):
            raise Rejected(-1122, "Invalid symbolStatus.")
        return status

    def timeframe(self) -> Timeframe:
        """Return the mandatory kline interval; -1120 for one that Binance does not have."""
        try:
            return parse_timeframe(self.text("interval"))
        except UsageError:
            raise Rejected(-1120, "Invalid interval.") from None

    def refuse_others(self, known: frozenset[str]) -> None:
        """Refuse names that an endpoint does not know."""
        others = self.names() - known
        if others and not known:
            count = len(self._values)
            raise Rejected(-1101, f"Too many parameters; expected '0' and received '{count}'.")
        if others:
            read, sent = len(self._values) - len(others), len(self._values)
            raise Rejected(
                -1104,
                f"Not all sent parameters were read; read '{read}' parameter(s) "
                f"but was sent '{sent}'.",
            )


def parse_query(query: str, body: str = "") -> Parameters:
    """Return the parameters of a raw query and a raw form body, the query's first."""
    return Parameters({**_pairs(body), **_pairs(query)})


def _pairs(raw: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in raw.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = _decoded(name)
        if name in found:
            raise Rejected(-1101, "Duplicate values for a parameter detected.")
        found[name] = _decoded(value)
    return found


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise Rejected(-1100, "Illegal characters found in a parameter.") from None


def _illegal(name: str, legal: str) -> Rejected:
    return Rejected(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )
