"""The ledger: who owns which cash and base, in whole numbers at 1e-8, double entry.

Every instance has a cash and a base column; `external` is where its capital came from and where the
market's side of a fill goes; `fees` holds what the exchange kept. Each asset's columns sum to zero,
always. A fill is booked once, however often it is reported: its key is (symbol, trade id).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

import numpy as np

from workbench.core.account import ACCOUNT, MOST_E8, book_buy, book_sell
from workbench.core.costs import SCALE
from workbench.core.orders import close_row, mark_row
from workbench.core.records import POSITION, readable
from workbench.errors import UsageError
from workbench.market.instruments import Instrument, from_e8

_READ = itemgetter(
    *(
        (ACCOUNT.names or ()).index(name)
        for name in (
            "cash_e8", "base_e8", "entry_price", "realised", "fees", "bars_held", "is_open",
            "cash_locked_e8", "base_locked_e8",
        )
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution as the exchange reported it; amounts at 1e-8, time in ms."""

    instance: str
    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: Literal["BUY", "SELL"]
    price_e8: int
    qty_e8: int
    commission_e8: int
    commission_asset: str
    time_ms: int
    is_maker: bool = False


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """What one instance owns; `entry_price` is the average quote paid per unit of base held.

    What is locked rests as orders of a ladder and is a part of cash and base.
    """

    name: str
    instrument: Instrument
    capital_e8: int
    cash_e8: int
    base_e8: int
    entry_price: float
    realised: float
    fees: float
    trades: int
    bars_held: int
    is_open: bool
    cash_locked_e8: int = 0
    base_locked_e8: int = 0

    @property
    def cash(self) -> float:
        """Return the cash in quote."""
        return self.cash_e8 / SCALE

    @property
    def quantity(self) -> float:
        """Return the base held, dust included."""
        return self.base_e8 / SCALE

    def equity(self, close: float) -> float:
        """Return cash plus base, marked at `close`."""
        return self.cash + self.quantity * close


class Ledger:
    """The accounts of all instances on one exchange account."""

    def __init__(self) -> None:
        self._books: dict[str, np.ndarray] = {}
        self._instruments: dict[str, Instrument] = {}
        self._capital: dict[str, int] = {}
        self._trades: dict[str, int] = {}
        self._booked: set[tuple[str, int]] = set()
        self._columns: dict[tuple[str, str], int] = defaultdict(int)

    def open_instance(self, name: str, capital_e8: int, instrument: Instrument) -> None:
        """Give an instance its capital in quote; UsageError where it has one or it is not above 0."""
        if name in self._books:
            raise UsageError(f"instance {name!r} already has an account; choose another name")
        if capital_e8 <= 0:
            raise UsageError(f"capital {from_e8(capital_e8)} must be above 0")
        book = readable(np.zeros(1, ACCOUNT))
        book["cash_e8"] = capital_e8
        book["cash"] = capital_e8 / SCALE
        self._books[name] = book
        self._instruments[name] = instrument
        self._capital[name] = capital_e8
        self._trades[name] = 0
        self._move(instrument.quote, "external", name, capital_e8)

    def close_instance(self, name: str) -> LedgerAccount:
        """Hand what an instance still owns back to `external`; return its last account."""
        last = self.account(name)
        self._move(last.instrument.quote, name, "external", last.cash_e8)
        self._move(last.instrument.base, name, "external", last.base_e8)
        for table in (self._books, self._instruments, self._capital, self._trades):
            table.pop(name)
        return last

    def book_fill(self, fill: Fill) -> bool:
        """Book one execution; return False where it was booked before.

        Raises UsageError for an unknown instance, another symbol than the instance's, or a fill
        that would leave cash or base below zero, or above what whole numbers at 1e-8 can count.
        """
        if (fill.symbol, fill.trade_id) in self._booked:
            return False
        book, one = self._of(fill.instance), self._instruments[fill.instance]
        if fill.symbol != one.symbol:
            raise UsageError(
                f"fill {fill.trade_id} is in {fill.symbol}, instance {fill.instance!r} trades {one.symbol}"
            )
        value_e8 = fill.price_e8 * fill.qty_e8 // SCALE
        fee_base, fee_quote = self._split_fee(fill, one)
        if fill.side == "BUY":
            self._refuse_overdraft(fill, one.quote, int(book["cash_e8"][0]), value_e8)
            self._refuse_overflow(fill, one.base, int(book["base_e8"][0]), fill.qty_e8)
            self._book_buy(book, value_e8, fill.qty_e8, fee_base, fee_quote)
            self._move(one.quote, fill.instance, "external", value_e8)
            self._move(one.base, "external", fill.instance, fill.qty_e8)
        else:
            self._refuse_overdraft(fill, one.base, int(book["base_e8"][0]), fill.qty_e8)
            self._refuse_overflow(fill, one.quote, int(book["cash_e8"][0]), value_e8)
            book_sell(book[0], value_e8, fill.qty_e8, fee_quote)
            book["base_e8"] -= fee_base
            self._move(one.base, fill.instance, "external", fill.qty_e8)
            self._move(one.quote, "external", fill.instance, value_e8)
            self._close_if_flat(fill.instance, book, one)
        self._move(one.base, fill.instance, "fees", fee_base)
        self._move(one.quote, fill.instance, "fees", fee_quote)
        self._booked.add((fill.symbol, fill.trade_id))
        return True

    def end_candle(self, name: str) -> None:
        """Count one more candle held, where the instance has a position at this close."""
        book = self._of(name)
        if book["is_open"][0]:
            book["bars_held"] += 1

    def close_candle(self, name: str, positions: np.ndarray, row: int, close: float) -> bool:
        """End a candle and mark the instance into one of many POSITION records; return if it is in."""
        return bool(close_row(positions, row, self._of(name), close))

    def account(self, name: str) -> LedgerAccount:
        """Return what an instance owns now."""
        cash, base, price, realised, fees, bars, is_open, *locked = _READ(self._of(name).item())
        return LedgerAccount(
            name, self._instruments[name], self._capital[name], cash, base, price, realised, fees,
            self._trades[name], bars, is_open != 0, *locked,
        )  # fmt: skip

    def names(self) -> tuple[str, ...]:
        """Return the instances that have an account."""
        return tuple(self._books)

    def record(self, name: str) -> np.ndarray:
        """Return the ACCOUNT record itself (shape (1,)), for a ladder that reserves in it."""
        return self._of(name)

    def position_bytes(
        self, name: str, close: float, *, exit_reason: int = 0, ladder_filled: int = 0
    ) -> bytes:
        """Return the POSITION record that `decide` sees, marked at `close`."""
        position = readable(np.zeros(1, POSITION))
        mark_row(position, 0, self._of(name), close)
        position["exit_reason"], position["ladder_filled"] = exit_reason, ladder_filled
        return position.tobytes()

    def is_booked(self, symbol: str, trade_id: int) -> bool:
        """Return whether this execution was booked before."""
        return (symbol, trade_id) in self._booked

    def check_conservation(self) -> None:
        """Raise AssertionError unless every asset's columns sum to zero and match the books."""
        sums: dict[str, int] = defaultdict(int)
        for (asset, _), amount in self._columns.items():
            sums[asset] += amount
        wrong = {asset: amount for asset, amount in sums.items() if amount}
        if wrong:
            raise AssertionError(f"the ledger does not balance: {wrong}")
        for name, book in self._books.items():
            one = self._instruments[name]
            held = (int(book["cash_e8"][0]), int(book["base_e8"][0]))
            columns = (self._columns[one.quote, name], self._columns[one.base, name])
            if held != columns:
                raise AssertionError(f"{name}: book {held} and columns {columns} differ")

    def _of(self, name: str) -> np.ndarray:
        try:
            return self._books[name]
        except KeyError:
            raise UsageError(f"no instance {name!r} in the ledger") from None

    def _move(self, asset: str, giver: str, taker: str, amount_e8: int) -> None:
        self._columns[asset, giver] -= amount_e8
        self._columns[asset, taker] += amount_e8

    def _close_if_flat(self, name: str, book: np.ndarray, one: Instrument) -> None:
        if book["is_open"][0] and book["base_e8"][0] < one.step_e8:
            book["is_open"] = 0
            book["bars_held"] = 0
            self._trades[name] += 1

    @staticmethod
    def _book_buy(
        book: np.ndarray, value_e8: int, qty_e8: int, fee_base: int, fee_quote: int
    ) -> None:
        book_buy(book[0], value_e8, qty_e8, fee_base)
        if fee_quote:
            book["cash_e8"] -= fee_quote
            book["cash"] = book["cash_e8"] / SCALE
            book["fees"] += fee_quote / SCALE
            book["realised"] -= fee_quote / SCALE

    @staticmethod
    def _split_fee(fill: Fill, one: Instrument) -> tuple[int, int]:
        if fill.commission_asset == one.base:
            return fill.commission_e8, 0
        if fill.commission_asset == one.quote or fill.commission_e8 == 0:
            return 0, fill.commission_e8
        raise UsageError(
            f"fill {fill.trade_id}: commission in {fill.commission_asset}, neither {one.base} nor "
            f"{one.quote}; value it in {one.quote} at the fill's price before booking"
        )

    @staticmethod
    def _refuse_overdraft(fill: Fill, asset: str, has_e8: int, needs_e8: int) -> None:
        if needs_e8 > has_e8:
            raise UsageError(
                f"fill {fill.trade_id} of {fill.instance!r} takes {from_e8(needs_e8)} {asset}, it owns "
                f"{from_e8(has_e8)}; reconcile the account before going on"
            )

    @staticmethod
    def _refuse_overflow(fill: Fill, asset: str, has_e8: int, gets_e8: int) -> None:
        if has_e8 + gets_e8 > MOST_E8:
            raise UsageError(
                f"fill {fill.trade_id} of {fill.instance!r} adds {from_e8(gets_e8)} {asset} to "
                f"{from_e8(has_e8)}; an account counts at most {from_e8(MOST_E8)} of an asset, start "
                "with less cash"
            )
