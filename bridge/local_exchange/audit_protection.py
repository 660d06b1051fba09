"""I4 of the oracle: a position whose instance protects itself has a stop at the exchange within 3 s.

Read from the truth log alone, but for which instance an order belongs to. An instance that never sent
a stop is not protected by intention and gives no facts. What is held begins with a buy and ends with
the sale that leaves at most a hundredth of it (dust). Times are the market's: 3 s at speed 1, at
speed N they are N times as long, and in step pace everything up to the next print is at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.local_exchange.shapes import Object
from bridge.local_exchange.truth_log import int_of, objects_of

GRACE_MS = 3_000
STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT")
DUST = 100  # a hundredth of the most that was held


@dataclass(slots=True)
class _Holding:
    """What an instance holds, its open stops, and since when it has been without one."""

    base_e8: int = 0
    most_e8: int = 0
    stops: set[int] = field(default_factory=set)
    bare_since: int | None = None
    told: bool = False

    @property
    def is_bare(self) -> bool:
        """Whether there is a position and no stop; what a sale left as dust is no position."""
        return self.most_e8 > 0 and self.base_e8 * DUST > self.most_e8 and not self.stops


def unprotected(
    entries: Iterable[Object], instance_of: Mapping[str, str], *, speed: float = 1.0
) -> tuple[int, list[str]]:
    """Return (entries of positions that were looked at, violations in words).

    `instance_of` names the instance of a client order id; orders of others are passed over.
    """
    entries = list(entries)
    stops = dict(_stop_orders(entries, instance_of))
    holdings = {instance: _Holding() for instance in stops.values()}
    owners = dict(_owners(entries, instance_of))
    lists: dict[int, list[int]] = {}
    checked, grace = 0, GRACE_MS * speed
    violations: list[str] = []
    for entry in entries:
        now = _time_of(entry)
        if now is not None:
            violations += _late(holdings, now, grace)
        if entry["do"] == "list":
            lists[int_of(entry, "list_id")] = list(_numbers(entry, {}))
        for instance, bought in _changes(entry, _numbers(entry, lists), owners, stops, holdings):
            checked += bought
            one = holdings[instance]
            if not one.is_bare:
                one.bare_since, one.told = None, False
            elif one.bare_since is None:
                one.bare_since = now
    return checked, violations


def _late(holdings: Mapping[str, _Holding], now: int, grace: float) -> Iterator[str]:
    for instance, one in holdings.items():
        if one.bare_since is not None and not one.told and now - one.bare_since > grace:
            one.told = True
            yield f"{instance} held {one.base_e8} (1e-8) without a stop from {one.bare_since} to {now}"


def _changes(
    entry: Object,
    numbers: Iterable[int],
    owners: Mapping[int, str],
    stops: Mapping[int, str],
    holdings: Mapping[str, _Holding],
) -> Iterator[tuple[str, int]]:
    """Apply an entry; yield each instance that it concerns, with 1 where it bought."""
    if entry["do"] == "wipe":
        for instance, one in holdings.items():
            one.base_e8, one.most_e8, one.stops = 0, 0, set()
            yield instance, 0
    for number in numbers:
        if number in stops:
            one = holdings[stops[number]]
            ends = str(entry["do"]).startswith("cancel")
            (one.stops.discard if ends else one.stops.add)(number)
            yield stops[number], 0
    for fill in _fills(entry):
        instance = owners.get(int_of(fill, "order_id"), "")
        if instance not in holdings:
            continue
        one, bought = holdings[instance], fill["side"] == "BUY"
        one.base_e8 += int_of(fill, "quantity_e8") if bought else -int_of(fill, "quantity_e8")
        if fill["commission_asset"] == fill["base"]:
            one.base_e8 -= int_of(fill, "commission_e8")
        one.most_e8 = max(one.most_e8, one.base_e8)
        if one.base_e8 * DUST <= one.most_e8:
            one.most_e8, one.stops = 0, set()  # a stop that sold it is no stop of the next one
        yield instance, int(bought)


def _stop_orders(
    entries: Iterable[Object], instance_of: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    for entry in entries:
        if entry["do"] not in ("place", "list"):
            continue
        new = entry["new"]
        assert isinstance(new, dict)
        asked = objects_of(new["orders"]) if entry["do"] == "list" else [new]
        for order, one in zip(objects_of(entry["orders"]), asked, strict=True):
            name = str(order["client_order_id"])
            if one["order_type"] in STOPS and name in instance_of:
                yield int_of(order, "order_id"), instance_of[name]


def _owners(entries: Iterable[Object], instance_of: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for entry in entries:
        for order in objects_of(entry.get("orders", [])):
            if str(order["client_order_id"]) in instance_of:
                yield int_of(order, "order_id"), instance_of[str(order["client_order_id"])]


def _numbers(entry: Object, lists: Mapping[int, list[int]]) -> Iterator[int]:
    """Yield the orders that an entry places or takes back; `lists` holds those of each list."""
    if entry["do"] == "cancel_list":
        yield from lists.get(int_of(entry, "list_id"), ())
    if entry["do"] == "cancel":
        yield int_of(entry, "order_id")
    for order in objects_of(entry.get("orders", [])):
        yield int_of(order, "order_id")


def _fills(entry: Object) -> list[Object]:
    return objects_of(entry["fills"]) if entry["do"] == "fills" else []


def _time_of(entry: Object) -> int | None:
    if "at" in entry:
        return int_of(entry, "at")
    return next((int_of(fill, "time_ms") for fill in _fills(entry)), None)
