"""The oracle: what the exchange's truth log proves, alone and beside the journal of a bridge.

    I1  every order of ours that was accepted was written down as an intent before
    I2  an intent traded at most what it intended, and no ticket was accepted twice
    I3  the fills in the journal are the fills of the exchange, each once
    I4  a position whose instance sends stops has one within 3 s (`audit_protection`)
    I5  an instance spends its capital and what its own sales brought, and sells what it bought
    I6  nothing of an instance is accepted after the order that its stop asked for
    I7  every asset adds up: deposits and fills alone give the balances that the exchange told

All sums are integers at 1e-8 and are made here anew: no code of the engine is used. Caps beyond the
capital, and a kill of the whole account, are not checked: the bridge does not have them yet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bridge.journal_reader import JournalReader
from bridge.journal_rows import FillRow, Ticket
from bridge.local_exchange.audit_protection import unprotected
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.truth_log import int_of, objects_of

SCALE = 100_000_000
OURS = "wb-"


@dataclass(slots=True)
class Finding:
    """How many facts an invariant was tested on, and where it was broken."""

    checked: int = 0
    violations: list[str] = field(default_factory=list)

    def demand(self, holds: bool, otherwise: str) -> None:
        """Count a fact, and note it where it does not hold."""
        self.checked += 1
        if not holds:
            self.violations.append(otherwise)


def conservation(entries: Iterable[Object]) -> Finding:
    """Check I7 over a log alone."""
    found = Finding()
    held: dict[tuple[str, str], int] = defaultdict(int)
    sides: dict[tuple[str, int], list[Object]] = defaultdict(list)
    for entry in entries:
        if entry["do"] == "wipe":
            held.clear()
            sides.clear()
        elif entry["do"] == "deposit":
            held[str(entry["account"]), str(entry["asset"])] += int_of(entry, "amount_e8")
        elif entry["do"] == "fills":
            for fill in objects_of(entry["fills"]):
                _book(fill, held, found)
                sides[str(fill["symbol"]), int_of(fill, "trade_id")].append(fill)
            _compare(entry, held, found)
    for (symbol, number), pair in sides.items():
        _check_trade(f"{symbol} trade {number}", pair, found)
    return found


def _book(fill: Object, held: dict[tuple[str, str], int], found: Finding) -> None:
    """Move a fill's money, and check its value."""
    account, quantity, value = (
        str(fill["account"]),
        int_of(fill, "quantity_e8"),
        int_of(fill, "quote_e8"),
    )
    worth = int_of(fill, "price_e8") * quantity
    found.demand(
        worth == value * SCALE,
        f"{fill['symbol']} trade {fill['trade_id']}: {fill['price_e8']} x {quantity} is not {value}",
    )
    sign = 1 if fill["side"] == "BUY" else -1
    held[account, str(fill["base"])] += sign * quantity
    held[account, str(fill["quote"])] -= sign * value
    held[account, str(fill["commission_asset"])] -= int_of(fill, "commission_e8")


def _compare(entry: Object, held: dict[tuple[str, str], int], found: Finding) -> None:
    """Compare the balances that the exchange told with those that fills and deposits make."""
    after = entry["after"]
    assert isinstance(after, dict)
    for account, assets in after.items():
        assert isinstance(assets, dict)
        for asset, pair in assets.items():
            assert isinstance(pair, list)
            free, locked = (amount if isinstance(amount, int) else -1 for amount in pair)
            found.demand(
                free >= 0 and locked >= 0, f"{account} {asset}: {free}/{locked} below zero"
            )
            made = held[account, asset]
            found.demand(
                free + locked == made,
                f"{account} {asset}: told {free + locked}, deposits and fills make {made} (1e-8)",
            )


def _check_trade(name: str, pair: list[Object], found: Finding) -> None:
    found.demand(len(pair) <= 2, f"{name} has {len(pair)} sides")
    if len(pair) == 2:
        one, other = pair
        same = all(one[key] == other[key] for key in ("price_e8", "quantity_e8", "quote_e8"))
        found.demand(same and one["side"] != other["side"], f"{name}: its two sides do not match")


def against_journal(
    entries: list[Object], journal: JournalReader, *, speed: float = 1.0
) -> dict[str, Finding]:
    """Check I1 to I6 of a log against a bridge's journal; `speed` is how fast the market ran."""
    instances = journal.instances()
    tickets = {
        ticket.client_order_id: ticket
        for instance in instances
        for ticket in journal.tickets(instance.name)
    }
    stops = {
        decision.instance: decision.seq  # decisions come newest last: the first stop counts
        for instance in instances
        for decision in reversed(journal.decisions(instance.name))
        if decision.kind == "stop"
    }
    accepted = list(_accepted(entries))
    fills = _fills(entries, dict(accepted))
    return {
        "I1": _journaled(accepted, tickets),
        "I2": _intended(accepted, fills, tickets),
        "I3": _same_fills(fills, [fill for _, fill in journal.fills()]),
        "I4": Finding(
            *unprotected(entries, {n: one.instance for n, one in tickets.items()}, speed=speed)
        ),
        "I5": _afforded(fills, tickets, {one.name: one.capital_e8 for one in instances}),
        "I6": _silent_after_stop(accepted, tickets, stops),
    }


def _accepted(entries: Iterable[Object]) -> Iterator[tuple[int, str]]:
    """Yield (number, client id) of every order of ours that the exchange accepted."""
    for entry in entries:
        for order in objects_of(entry.get("orders", [])):
            if str(order["client_order_id"]).startswith(OURS):
                yield int_of(order, "order_id"), str(order["client_order_id"])


def _fills(entries: Iterable[Object], names: dict[int, str]) -> list[tuple[str, Object]]:
    return [
        (names[int_of(fill, "order_id")], fill)
        for entry in entries
        if entry["do"] == "fills"
        for fill in objects_of(entry["fills"])
        if int_of(fill, "order_id") in names
    ]


def _journaled(accepted: list[tuple[int, str]], tickets: dict[str, Ticket]) -> Finding:
    found = Finding()
    for number, name in accepted:
        found.demand(name in tickets, f"order {number} ({name}) is in no journal")
    return found


def _intended(
    accepted: list[tuple[int, str]], fills: list[tuple[str, Object]], tickets: dict[str, Ticket]
) -> Finding:
    found = Finding()
    for name, times in Counter(name for _, name in accepted).items():
        found.demand(times == 1, f"{name} was accepted {times} times")
    traded: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for name, fill in fills:
        if name in tickets:
            intent = traded[tickets[name].instance, tickets[name].seq]
            intent[0] += int_of(fill, "quantity_e8")
            intent[1] += int_of(fill, "quote_e8")
    intended = {(one.instance, one.seq): one for one in tickets.values()}
    for key, (quantity, quote) in traded.items():
        ticket = intended[key]
        within = quantity <= ticket.quantity_e8 if ticket.quantity_e8 else quote <= ticket.quote_e8
        found.demand(
            within,
            f"{ticket.client_order_id} traded {quantity} for {quote}, "
            f"intended {ticket.quantity_e8 or ticket.quote_e8} (1e-8)",
        )
    return found


def _same_fills(fills: list[tuple[str, Object]], booked: list[FillRow]) -> Finding:
    found = Finding()
    there = Counter(
        (name, int_of(fill, "trade_id"), int_of(fill, "quantity_e8"), int_of(fill, "commission_e8"))
        for name, fill in fills
    )
    here = Counter(
        (one.client_order_id, one.trade_id, one.quantity_e8, one.commission_e8) for one in booked
    )
    for key in there | here:
        found.demand(
            there[key] == here[key] == 1,
            f"{key[0]} trade {key[1]}: {there[key]} times at the exchange, {here[key]} in the journal",
        )
    return found


def _afforded(
    fills: list[tuple[str, Object]], tickets: dict[str, Ticket], capital_e8: dict[str, int]
) -> Finding:
    """Check after every fill that its instance's own cash and base are not below zero."""
    found = Finding()
    cash, base = dict(capital_e8), dict.fromkeys(capital_e8, 0)
    for name, fill in fills:
        if name not in tickets:
            continue  # I1 tells it
        instance = tickets[name].instance
        sign = 1 if fill["side"] == "BUY" else -1
        cash[instance] -= sign * int_of(fill, "quote_e8")
        base[instance] += sign * int_of(fill, "quantity_e8")
        if fill["commission_asset"] == fill["quote"]:
            cash[instance] -= int_of(fill, "commission_e8")
        elif fill["commission_asset"] == fill["base"]:
            base[instance] -= int_of(fill, "commission_e8")
        found.demand(
            cash[instance] >= 0 and base[instance] >= 0,
            f"{name} trade {fill['trade_id']} leaves {instance} {cash[instance]} of its own "
            f"{fill['quote']} and {base[instance]} {fill['base']} (1e-8)",
        )
    return found


def _silent_after_stop(
    accepted: list[tuple[int, str]], tickets: dict[str, Ticket], stops: dict[str, int]
) -> Finding:
    found = Finding()
    for number, name in accepted:
        ticket = tickets.get(name)
        if ticket is not None and ticket.instance in stops:
            found.demand(
                ticket.seq <= stops[ticket.instance],
                f"order {number} ({name}) was sent after {ticket.instance} had been stopped",
            )
    return found
