"""Which protective exits an instance may be started with, said before it starts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bridge.exchanges.base import OrderKind, OrderRules
from bridge.gateway.books import Book
from bridge.journal_rows import InstanceState
from workbench.core.exits import UNIT_NONE
from workbench.errors import UsageError
from workbench.execution.exits import exits_of


def demand_exits_that_can_stand(form: str, rules: OrderRules, *, writes_ladder: bool) -> None:
    """Raise UsageError for exits that the symbol has no order for, or that lie beside a ladder."""
    if not form:
        return
    exits = exits_of(form)
    stops, gains = _stops(exits), bool(exits["take_profit"]["unit"][0] != UNIT_NONE)
    if stops and not {OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT} & rules.kinds:
        raise UsageError(f"exits {form!r}: the exchange takes no stop orders for this symbol")
    if stops and (gains or writes_ladder) and not rules.pairs:
        mend = "leave the stop out" if writes_ladder else "choose a stop or a take-profit"
        raise UsageError(f"exits {form!r}: the exchange takes no OCO for this symbol; {mend}")


def demand_stop_slot(symbol: str, form: str, rules: OrderRules, books: Iterable[Book]) -> None:
    """Raise UsageError where the exchange would not let one more stop of ours wait on the symbol."""
    if not rules.most_stops or not form or not _stops(exits_of(form)):
        return
    others = [
        book.row.name for book in books if book.row.symbol == symbol and _may_have_a_stop(book)
    ]
    if len(others) + 1 > rules.most_stops:
        raise UsageError(
            f"{symbol} takes {rules.most_stops} waiting stops (MAX_NUM_ALGO_ORDERS) and {len(others)} instances "
            f"may use one each ({', '.join(others)}): {len(others)} + 1 is more; stop one of them first"
        )


def _may_have_a_stop(book: Book) -> bool:
    ended = book.row.state is InstanceState.STOPPED
    standing = any(ticket.stop_e8 for ticket in book.exits)
    return standing or (not ended and _stops(exits_of(book.row.exits)))


def _stops(exits: np.ndarray) -> bool:
    return bool(
        (exits["stop"]["unit"] != UNIT_NONE).any() or (exits["trail"]["unit"] != UNIT_NONE).any()
    )
