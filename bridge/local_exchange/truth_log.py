"""The exchange's own truth: a log of everything that changed it, from which it can be made again.

One JSON object a line, appended and handed to the system before the answer leaves, so that `kill -9`
at any instant loses at most what nobody was told:

    {"do": "begin", ...}    the settings and tapes that all that follows depends on
    {"do": "prints", ...}   which symbols printed how often, in the order in which they did
    {"do": "lead" | "told", ...}   the next price that resting orders met ahead; the candle told afterwards
    {"do": "place" | "list" | "cancel" | "cancel_list" | "amend" | "deposit", ...}   what users did
    {"do": "fills", ...}    trades and, after them, the balances of whom they touched
    {"do": "status" | "rules" | "wipe", ...}   what the operator did

The engine has neither clock nor chance: the same inputs give the same orders, fills and balances
(`restore`). The oracle of `audit` reads deposits, fills and balances and trusts nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.wire import encode
from workbench.errors import DataError
from workbench.execution.matching.amending import Amended
from workbench.execution.matching.engine import MatchingEngine
from workbench.execution.matching.listing import ListResult
from workbench.execution.order_lists import OrderList
from workbench.execution.orders import Execution, NewList, NewOrder, Order, OrderResult, Report


class TruthLog:
    """An open log; entries are written in order and never changed."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._runs: list[tuple[str, int]] = []

    @classmethod
    def append_to(cls, path: Path) -> TruthLog:
        """Open a log for writing on, private to its owner; make it where there is none."""
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        return cls(os.fdopen(descriptor, "w", encoding="utf-8"))

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self.flush()
        self._file.close()

    def printed(self, symbol: str) -> None:
        """Note that a symbol is about to print."""
        if self._runs and self._runs[-1][0] == symbol:
            self._runs[-1] = (symbol, self._runs[-1][1] + 1)
        else:
            self._runs.append((symbol, 1))

    def flush(self) -> None:
        """Hand everything to the system."""
        if self._runs:
            runs: list[Json] = [[symbol, count] for symbol, count in self._runs]
            self._runs.clear()
            self._file.write(encode({"do": "prints", "runs": runs}) + "\n")
        self._file.flush()

    def write(self, *entries: Object) -> None:
        """Append entries after the prints before them."""
        self.flush()
        self._file.write("".join(f"{encode(entry)}\n" for entry in entries))
        self._file.flush()


class LoggedEngine(MatchingEngine):
    """The matching engine, writing down what changes it; without a log it is the engine itself."""

    log: TruthLog | None = None
    _inside = False  # a cancel of a list cancels its orders: one entry, not two

    def deposit(self, account: str, asset: str, amount_e8: int) -> None:
        """Credit an account from outside."""
        super().deposit(account, asset, amount_e8)
        self._write({"do": "deposit", "account": account, "asset": asset, "amount_e8": amount_e8})

    def walk(
        self, symbol: str, prices_e8: Sequence[int], volume_e8: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Print the prices one after the other."""
        reports = super().walk(symbol, prices_e8, volume_e8, now_ms)
        self._write(*self._fills(reports))
        return reports

    def stand_at(
        self, symbol: str, bid_ticks: int, ask_ticks: int, depth_lots: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Renew the standing quote."""
        reports = super().stand_at(symbol, bid_ticks, ask_ticks, depth_lots, now_ms)
        self._write(*self._fills(reports))
        return reports

    def pass_order(
        self, symbol: str, price_e8: int, volume_e8: int, now_ms: int, *, falls: bool
    ) -> tuple[Report, ...]:
        """Let the price come past the orders that rest at one price."""
        reports = super().pass_order(symbol, price_e8, volume_e8, now_ms, falls=falls)
        self._write(*self._fills(reports))
        return reports

    def place(self, new: NewOrder, now_ms: int) -> OrderResult:
        """Accept an order."""
        done = super().place(new, now_ms)
        if self.log is not None:
            entry: Object = {"do": "place", "at": now_ms, "new": asdict(new)}
            self._write(entry | _accepted([done.order]), *self._fills(done.reports))
        return done

    def cancel(
        self, account: str, symbol: str, order_id: int, now_ms: int, *, client_order_id: str = ""
    ) -> OrderResult:
        """Take an order back."""
        done = super().cancel(account, symbol, order_id, now_ms, client_order_id=client_order_id)
        if not self._inside:
            self._write(
                {
                    "do": "cancel",
                    "at": now_ms,
                    "account": account,
                    "symbol": symbol,
                    "order_id": order_id,
                    "name": client_order_id,
                },
                *self._fills(done.reports),
            )
        return done

    def place_list(self, new: NewList, now_ms: int) -> ListResult:
        """Accept an order list."""
        done = super().place_list(new, now_ms)
        if self.log is not None:
            number = done.order_list.list_id
            entry: Object = {"do": "list", "at": now_ms, "new": asdict(new), "list_id": number}
            self._write(entry | _accepted(done.orders), *self._fills(done.reports))
        return done

    def cancel_list(
        self, order_list: OrderList, now_ms: int, *, client_order_id: str = ""
    ) -> ListResult:
        """Take back every order of a list that is still open."""
        self._inside = True
        try:
            done = super().cancel_list(order_list, now_ms, client_order_id=client_order_id)
        finally:
            self._inside = False
        self._write(
            {
                "do": "cancel_list",
                "at": now_ms,
                "list_id": order_list.list_id,
                "name": client_order_id,
            }
        )
        return done

    def amend(
        self, order: Order, quantity_e8: int, now_ms: int, *, client_order_id: str
    ) -> Amended:
        """Take lots off an open order."""
        done = super().amend(order, quantity_e8, now_ms, client_order_id=client_order_id)
        self._write(
            {
                "do": "amend",
                "at": now_ms,
                "order_id": order.order_id,
                "quantity_e8": quantity_e8,
                "name": client_order_id,
            }
        )
        return done

    def _write(self, *entries: Object) -> None:
        if self.log is not None and entries:
            self.log.write(*entries)

    def _fills(self, reports: Iterable[Report]) -> list[Object]:
        """Return the entry of the trades that the reports tell of, with the balances after them."""
        if self.log is None:
            return []
        fills = [report.execution for report in reports if report.execution]
        if not fills:
            return []
        after: Object = {
            account: {
                asset: [one.free_e8, one.locked_e8] for asset, one in self.balances(account).items()
            }
            for account in {fill.account: None for fill in fills}
        }
        return [{"do": "fills", "fills": [self.written(fill) for fill in fills], "after": after}]

    def written(self, fill: Execution) -> Object:
        """Return a fill in amounts, whatever the grid."""
        instrument = self.instrument(fill.symbol)
        return {
            **asdict(fill),
            "base": instrument.base,
            "quote": instrument.quote,
            "price_e8": fill.price_ticks * instrument.tick_e8,
            "quantity_e8": fill.lots * instrument.step_e8,
        }


def read_log(path: Path) -> list[Object]:
    """Return the entries of a log; a last line that was cut off by a crash is left out.

    Raises DataError for anything else that is not an entry, with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise DataError(f"truth log {path.name}: {error.strerror}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        try:
            entry = json.loads(line)
        except ValueError:
            if number == len(lines):
                break
            raise DataError(f"truth log {path.name}, line {number}: not JSON") from None
        if not isinstance(entry, dict) or "do" not in entry:
            raise DataError(f"truth log {path.name}, line {number}: no entry")
        entries.append(entry)
    return entries


def objects_of(value: object) -> list[Object]:
    """Return the objects of a list in an entry."""
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]


def int_of(entry: Object, name: str) -> int:
    """Return a whole number of an entry."""
    value = entry[name]
    assert isinstance(value, int)
    return value


def _accepted(orders: Iterable[Order]) -> Object:
    accepted: list[Json] = [
        {"order_id": one.order_id, "client_order_id": one.client_order_id} for one in orders
    ]
    return {"orders": accepted}
