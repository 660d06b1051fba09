"""States that the whole exchange can be put into: what a venue does to its users now and then.

    skew_ms      its clock is that much ahead of the machine's
    maintenance  REST and new sockets answer 503, open sockets are told and closed
    silent       user data streams stay open and say nothing
    status       {symbol: TRADING | HALT | BREAK | CANCEL_ONLY}; a halted symbol makes no prints
    filters      {symbol: {min_notional, min_qty, max_qty, min_price, max_price, tick_size,
                 step_size}}, the last two only where nobody has an order yet
    wipe         true: orders, trades and balances begin anew, keys stay (the testnet's reset)

A plan in TOML holds `[[fault]]` entries and `[[change]]` entries, each of the latter with `after`,
the time since the start ("5s").
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.local_exchange.faults import Fault, parse_fault
from bridge.local_exchange.settings import parse_hold
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.venue import STATUSES, Venue
from workbench.errors import UsageError
from workbench.market.instruments import Instrument, to_e8

FILTERS = {
    "min_notional": "min_notional_e8",
    "min_qty": "min_qty_e8",
    "max_qty": "max_qty_e8",
    "min_price": "min_price_e8",
    "max_price": "max_price_e8",
    "tick_size": "tick_e8",
    "step_size": "step_e8",
}
GRIDS = frozenset({"tick_size", "step_size"})
KNOWN = ("skew_ms", "maintenance", "silent", "status", "filters", "wipe")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of conditions, as it was written; None or empty leaves things as they are."""

    skew_ms: int | None = None
    maintenance: bool | None = None
    silent: bool | None = None
    status: tuple[tuple[str, str], ...] = ()
    filters: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    wipe: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file plans: faults from the start, and changes after so many seconds."""

    faults: tuple[Fault, ...] = ()
    changes: tuple[tuple[float, Change], ...] = ()


@dataclass(slots=True)
class Conditions:
    """The conditions in force, beside those that the venue keeps itself."""

    skew_ms: int = 0
    maintenance: bool = False
    silent: bool = False

    def apply(self, change: Change, venue: Venue) -> None:
        """Put a change into force, as a whole or, where a filter cannot change, not at all."""
        instruments = [_changed(venue, symbol, values) for symbol, values in change.filters]
        if change.skew_ms is not None:
            self.skew_ms = change.skew_ms
        if change.maintenance is not None:
            self.maintenance = change.maintenance
        if change.silent is not None:
            self.silent = change.silent
        for symbol, status in change.status:
            venue.set_status(symbol, status)
        for one in instruments:
            venue.set_instrument(one)
        if change.wipe:
            venue.wipe()

    def listed(self, venue: Venue) -> Object:
        """Return the conditions as JSON."""
        statuses: Object = {symbol: venue.status(symbol) for symbol in venue.replays}
        return {
            "skew_ms": self.skew_ms,
            "maintenance": self.maintenance,
            "silent": self.silent,
            "status": statuses,
            "epoch": venue.epoch,
        }


def parse_change(entry: Json, symbols: list[str]) -> Change:
    """Return the change that a JSON object describes; UsageError for anything else."""
    if not isinstance(entry, dict) or not entry:
        raise UsageError(f"change {entry!r}: must be an object like {_EXAMPLE}")
    unknown = set(entry) - set(KNOWN)
    if unknown:
        raise UsageError(
            f"change has unknown fields {sorted(unknown)}; there are {' '.join(KNOWN)}"
        )
    skew = entry.get("skew_ms")
    if skew is not None and (isinstance(skew, bool) or not isinstance(skew, int)):
        raise UsageError(f"skew_ms {skew!r}: must be whole milliseconds, e.g. -5000")
    return Change(
        skew_ms=skew,
        maintenance=_flag(entry, "maintenance"),
        silent=_flag(entry, "silent"),
        status=tuple(_statuses(entry.get("status", {}), symbols)),
        filters=tuple(_filters(entry.get("filters", {}), symbols)),
        wipe=bool(_flag(entry, "wipe")),
    )


def read_plan(path: Path, symbols: list[str]) -> Plan:
    """Return the plan of a TOML file; UsageError naming what is wrong with it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"fault plan {path.name}: {error}") from None
    unknown = set(found) - {"fault", "change"}
    if unknown:
        raise UsageError(
            f"fault plan {path.name} has unknown tables {sorted(unknown)}; "
            "write [[fault]] and [[change]]"
        )
    changes = []
    for entry in found.get("change", []):
        after_s = parse_hold(str(entry.pop("after", "0s")))
        changes.append((after_s, parse_change(entry, symbols)))
    return Plan(tuple(parse_fault(entry) for entry in found.get("fault", [])), tuple(changes))


def _flag(entry: Object, name: str) -> bool | None:
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{name} {value!r}: must be true or false")
    return value


def _of_symbols(name: str, value: Json, symbols: list[str]) -> list[tuple[str, Json]]:
    if not isinstance(value, dict):
        raise UsageError(f"{name} {value!r}: must be an object by symbol, like {_EXAMPLE}")
    for symbol in value:
        if symbol not in symbols:
            raise UsageError(f"{name} of {symbol!r}: replayed are {' '.join(symbols)}")
    return list(value.items())


def _statuses(value: Json, symbols: list[str]) -> list[tuple[str, str]]:
    found = []
    for symbol, status in _of_symbols("status", value, symbols):
        if status not in STATUSES:
            raise UsageError(f"status {status!r} of {symbol}: use one of {' '.join(STATUSES)}")
        found.append((symbol, str(status)))
    return found


def _filters(value: Json, symbols: list[str]) -> list[tuple[str, tuple[tuple[str, int], ...]]]:
    found = []
    for symbol, named in _of_symbols("filters", value, symbols):
        if not isinstance(named, dict) or not named or set(named) - set(FILTERS):
            raise UsageError(f"filters {named!r} of {symbol}: use {' '.join(FILTERS)}")
        try:
            amounts = tuple((name, to_e8(str(amount))) for name, amount in named.items())
        except ValueError as error:
            raise UsageError(f"filters of {symbol}: {error}; write e.g. 10.5") from None
        found.append((symbol, amounts))
    return found


def _changed(venue: Venue, symbol: str, values: tuple[tuple[str, int], ...]) -> Instrument:
    ordered = any(order.symbol == symbol for order in venue.engine.orders.values())
    if ordered and GRIDS & {name for name, _ in values}:
        raise UsageError(
            f"{symbol} has orders on its grid; change tick_size and step_size before the first one"
        )
    changed = venue.engine.instrument(symbol)
    for name, amount_e8 in values:
        changed = replace(changed, **{FILTERS[name]: amount_e8})  # type: ignore[arg-type]
    return changed


_EXAMPLE = '{"status": {"BTCUSDT": "HALT"}, "skew_ms": 5000}'
