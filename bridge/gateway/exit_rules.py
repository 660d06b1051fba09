"""Which protective exits an instance may have: those it is started with, and those its strategy writes.

Both are looked at before it starts, as far as its first intents tell (`first_intents`); what a strategy
writes later is looked at when it is written, and faults the instance where no order can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bridge.exchanges.base import OrderKind, OrderRules
from bridge.gateway.books import Book
from bridge.journal_rows import InstanceState
from workbench.core.exits import UNIT_NONE
from workbench.core.records import INTENT
from workbench.errors import UsageError
from workbench.execution.exits import exits_of


@dataclass(frozen=True, slots=True)
class AskedExits:
    """Whether a stop and a take-profit are asked for, and by whom, for people."""

    stop: bool
    gain: bool
    by: str
    written: bool = False  # by the strategy itself, at least one of them

    @classmethod
    def of(cls, form: str, strategy: str = "", intents: Iterable[bytes] = ()) -> AskedExits:
        """Return what a form of exits and a strategy's intents ask for."""
        stop, gain = _of_form(form)
        own = [_of_intent(intent) for intent in intents]
        own_stop, own_gain = any(one[0] for one in own), any(one[1] for one in own)
        names = ["stop"] * own_stop + ["take-profit"] * own_gain
        said = [f"exits {form!r}"] if stop or gain else []
        said += [f"the {' and '.join(names)} that {strategy} writes itself"] if names else []
        return cls(stop or own_stop, gain or own_gain, " and ".join(said), bool(names))


def demand_exits_that_can_stand(
    asked: AskedExits, rules: OrderRules, *, writes_ladder: bool
) -> None:
    """Raise UsageError for exits that the symbol has no order for, or none beside a ladder."""
    if asked.stop and not {OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT} & rules.kinds:
        raise UsageError(
            f"{asked.by}: the exchange takes no stop orders for this symbol; leave the stop out"
        )
    if asked.stop and (asked.gain or writes_ladder) and not rules.pairs:
        beside = "beside a ladder " if writes_ladder else ""
        mend = "leave the stop out" if writes_ladder else "choose a stop or a take-profit"
        raise UsageError(
            f"{asked.by}: a stop {beside}needs an OCO, and the exchange takes no OCO for this symbol; {mend}"
        )


def demand_stop_slot(
    symbol: str, asked: AskedExits, rules: OrderRules, books: Iterable[Book]
) -> None:
    """Raise UsageError where the exchange would not let one more stop of ours wait on the symbol."""
    if not rules.most_stops or not asked.stop:
        return
    others = [
        book.row.name for book in books if book.row.symbol == symbol and _may_have_a_stop(book)
    ]
    if len(others) + 1 > rules.most_stops:
        raise UsageError(
            f"{asked.by}: {symbol} takes {rules.most_stops} waiting stops (MAX_NUM_ALGO_ORDERS) and "
            f"{len(others)} instances may use one each ({', '.join(others)}): {len(others)} + 1 is more; "
            "stop one of them first"
        )


def demand_written_levels(
    book: Book, intent: bytes, books: Iterable[Book], *, is_open: bool
) -> None:
    """Raise UsageError for levels that a running instance's strategy writes and no order can hold."""
    asked = AskedExits.of(book.row.exits, book.row.strategy, [intent])
    if not asked.written:
        return
    try:
        demand_exits_that_can_stand(asked, book.rules, writes_ladder=bool(book.row.ladder))
        if not _may_have_a_stop(book):
            demand_stop_slot(book.row.symbol, asked, book.rules, books)
    except UsageError as error:
        bare = "UNPROTECTED: what is held has no stop; " if is_open and not book.exits else ""
        raise UsageError(f"{bare}{error}") from None


def _may_have_a_stop(book: Book) -> bool:
    """Tell whether an instance has a stop, or would have one if it held something."""
    ended = book.row.state is InstanceState.STOPPED
    standing = any(ticket.stop_e8 for ticket in book.exits)
    return standing or (not ended and (book.expects_stop or book.protection.has_stop))


def _of_form(form: str) -> tuple[bool, bool]:
    if not form:
        return False, False
    exits = exits_of(form)
    return _is_set(exits["stop"]) or _is_set(exits["trail"]), _is_set(exits["take_profit"])


def _is_set(exit_: np.ndarray) -> bool:
    return bool((exit_["unit"] != UNIT_NONE).any())


def _of_intent(intent: bytes) -> tuple[bool, bool]:
    written = np.frombuffer(intent, INTENT)[0]
    return bool(written["stop"] > 0.0 or written["trail"] > 0.0), bool(written["take_profit"] > 0.0)
