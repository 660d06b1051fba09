"""The exchange's state in a folder: its keys and its truth log, from which it goes on where it was.

Everything that users did is done again, prints in between included, and the trades that come of it
are compared with those that were logged: another version, other candles or other options are
noticed, never guessed around. Limits, sockets and conditions of the clock are not state: a new start
has fresh ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import EnumType
from pathlib import Path
from types import UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.truth_log import TruthLog, read_log
from bridge.local_exchange.venue import Venue
from workbench.errors import DataError, UsageError
from workbench.execution.filters import FilterRules
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import NewList, NewOrder
from workbench.market.instruments import Instrument

VERSION = 2
LOG, KEYS = "truth.jsonl", "keys.json"
T = TypeVar("T")


def state_folder(path: Path) -> Path:
    """Return the folder, made for its owner alone where there is none."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"state folder {path}: {error.strerror}; name another with --state"
        ) from None
    if path.stat().st_mode & 0o077:
        raise UsageError(f"state folder {path.name} is open to others; run chmod 700 on it")
    return path


def open_state(venue: Venue, folder: Path) -> bool:
    """Bring a fresh venue to where its log ends, and log on; whether there was anything to restore.

    Raises UsageError where the log was made with other options, DataError where it is damaged or
    this version makes other trades of it.
    """
    path = folder / LOG
    entries = read_log(path) if path.exists() else []
    if entries:
        _demand_same(entries[0], fingerprint(venue), path)
        restore(venue, entries[1:])
    _cut_torn_line(path)
    venue.log_to(TruthLog.append_to(path), begins=None if entries else fingerprint(venue))
    return bool(entries)


def fingerprint(venue: Venue) -> Object:
    """Return what the same inputs need to give the same outcome."""
    settings = venue.settings
    balances: list[Json] = [[asset, amount_e8] for asset, amount_e8 in settings.balances]
    tapes: Object = {symbol: _hash(one.tape) for symbol, one in venue.replays.items()}
    return {
        "do": "begin",
        "version": VERSION,
        "seed": settings.seed,
        "fee_bps": settings.fee_bps,
        "slippage_bps": settings.slippage_bps,
        "touch_fills": settings.touch_fills,
        "share_bps": settings.share_bps,
        "bnb_fees": settings.bnb_fees,
        "balances": balances,
        "accounts": [account.name for account in venue.accounts.all],
        "start": {symbol: one.played for symbol, one in venue.replays.items()},
        "tapes": tapes,
    }


def restore(venue: Venue, entries: list[Object]) -> None:
    """Do again what the entries tell, and compare the trades."""
    logged: list[Json] = []
    for entry in entries:
        what = str(entry["do"])
        if what == "fills":
            fills = entry["fills"]
            assert isinstance(fills, list)
            logged.extend(fills)
            continue
        if what not in _AGAIN:
            raise DataError(f"the truth log has an entry {what!r} that this version cannot do")
        logged = [] if what == "wipe" else logged
        _AGAIN[what](venue, entry)
    made = [_through_json(venue.engine.written(fill)) for fill in venue.engine.executions]
    if made != logged[: len(made)]:
        at = next(i for i, fill in enumerate(made) if logged[i : i + 1] != [fill])
        raise DataError(
            f"trade {at + 1} comes out as {made[at]} instead of {logged[at : at + 1]}; this log was "
            "made by another version: start with another --state folder"
        )


def revived(kind: type[T], values: Json) -> T:
    """Return the dataclass of that kind whose fields were written as JSON."""
    assert isinstance(values, dict)
    hints = get_type_hints(kind)
    return kind(**{name: _revived(hints[name], value) for name, value in values.items()})


def _revived(hint: object, value: Json) -> object:
    if value is None or get_origin(hint) is UnionType:
        return value
    if isinstance(hint, EnumType):
        return hint(value)
    if get_origin(hint) is tuple and isinstance(value, list):
        inner = get_args(hint)[0]
        return tuple(_revived(inner, one) for one in value)
    if isinstance(value, dict) and isinstance(hint, type):
        return revived(hint, value)
    return value


def _prints(venue: Venue, entry: Object) -> None:
    runs: list[tuple[str, int]] = entry["runs"]  # type: ignore[assignment]
    for symbol, count in runs:
        if any(venue.engine.open_orders(account.name, symbol) for account in venue.accounts.all):
            for _ in range(count):
                venue.play(symbol)
        else:
            venue.skip(symbol, count)


def _lead(venue: Venue, entry: Object) -> None:
    venue.lead(str(entry["symbol"]))


def _told(venue: Venue, entry: Object) -> None:
    venue.tell_candle(str(entry["symbol"]))


def _place(venue: Venue, entry: Object) -> None:
    done = venue.engine.place(revived(NewOrder, entry["new"]), _at(entry))
    venue.tell(done.reports, _at(entry))


def _place_list(venue: Venue, entry: Object) -> None:
    done = venue.engine.place_list(revived(NewList, entry["new"]), _at(entry))
    venue.tell(done.reports, _at(entry))


def _cancel(venue: Venue, entry: Object) -> None:
    done = venue.engine.cancel(
        str(entry["account"]),
        str(entry["symbol"]),
        _number(entry, "order_id"),
        _at(entry),
        client_order_id=str(entry["name"]),
    )
    venue.tell(done.reports, _at(entry))


def _cancel_list(venue: Venue, entry: Object) -> None:
    found = venue.engine.floor.lists[_number(entry, "list_id")]
    done = venue.engine.cancel_list(found, _at(entry), client_order_id=str(entry["name"]))
    venue.tell(done.reports, _at(entry))


def _amend(venue: Venue, entry: Object) -> None:
    order = venue.engine.orders[_number(entry, "order_id")]
    quantity_e8 = _number(entry, "quantity_e8")
    done = venue.engine.amend(order, quantity_e8, _at(entry), client_order_id=str(entry["name"]))
    venue.tell(done.reports, _at(entry))


def _deposit(venue: Venue, entry: Object) -> None:
    if not entry.get("first"):  # the first balances come with the settings
        amount_e8 = _number(entry, "amount_e8")
        venue.engine.deposit(str(entry["account"]), str(entry["asset"]), amount_e8)


def _status(venue: Venue, entry: Object) -> None:
    venue.set_status(str(entry["symbol"]), revived(FilterRules, entry["rules"]).status)


def _rules(venue: Venue, entry: Object) -> None:
    venue.set_instrument(revived(Instrument, entry["instrument"]))


def _wipe(venue: Venue, entry: Object) -> None:
    venue.wipe()


_AGAIN: dict[str, Callable[[Venue, Object], None]] = {
    "prints": _prints,
    "lead": _lead,
    "told": _told,
    "place": _place,
    "list": _place_list,
    "cancel": _cancel,
    "cancel_list": _cancel_list,
    "amend": _amend,
    "deposit": _deposit,
    "status": _status,
    "rules": _rules,
    "wipe": _wipe,
}


def _at(entry: Object) -> int:
    return _number(entry, "at")


def _number(entry: Object, name: str) -> int:
    value = entry[name]
    assert isinstance(value, int)
    return value


def _hash(tape: Tape) -> str:
    digest = hashlib.sha256()
    for column in (tape.time_ms, tape.price_e8, tape.quantity_e8):
        digest.update(column.astype("<i8").tobytes())
    return digest.hexdigest()


def _demand_same(before: Object, now: Object, path: Path) -> None:
    changed = [name for name in now if before.get(name) != _through_json(now[name])]
    if changed:
        raise UsageError(
            f"the state in {path.parent.name} was made with another {' and '.join(changed)}; start "
            "with the same options and candles, or with another --state folder"
        )


def _through_json(value: Json) -> Json:
    """Return a value as it comes back from the log: enums as texts, tuples as lists."""
    if isinstance(value, dict):
        return {name: _through_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_through_json(one) for one in value]
    return str(value) if isinstance(value, str) else value


def _cut_torn_line(path: Path) -> None:
    """Drop the half of a line that a crash left at the end."""
    if not path.exists():
        return
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as file:
            file.truncate(len(whole))
