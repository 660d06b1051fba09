"""A ladder as real orders: parts of fills, orders that end, and going on from the record alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.records import empty_intent
from workbench.errors import UsageError
from workbench.execution.ladder import RestingLadder, RungOrder
from workbench.execution.ledger import Fill, Ledger
from workbench.execution.orders import Side
from workbench.market.instruments import instrument, to_e8

RULES = instrument("BTCUSDT")  # tick 0.01, lot 0.00001, notional 5
LOT_E8 = RULES.step_e8


class Desk:
    """One instance's ladder and ledger; its fills pay ten basis points in what is received."""

    def __init__(self, capital: str = "1000") -> None:
        self.ledger = Ledger()
        self.ledger.open_instance("one", to_e8(capital), RULES)
        self.ladder = RestingLadder(self.ledger.record("one"), RULES)
        self.trades = self.numbers = 0

    def lay(self, revision: int, *rungs: tuple[int, int, float, float, float]) -> list[int]:
        intent = empty_intent()
        intent["revision"], intent["n_ladder"] = revision, len(rungs)
        for place, rung in zip(intent["ladder"], rungs, strict=False):
            place["id"], place["side"], place["price"], place["quote"], place["pair_price"] = rung
        return self.ladder.lay(intent.tobytes(), revision)

    def send(self, order: RungOrder) -> int:
        self.numbers += 1
        self.ladder.sent(order.rung, self.numbers)
        return self.numbers

    def place(self) -> list[int]:
        return [self.send(order) for order in self.ladder.due()]

    def fill(self, number: int, lots: int) -> int | None:
        """Fill so many lots; return the number of the opposite order that was sent then."""
        order = self.ladder.order_of(number)
        bought, quantity_e8 = order.side is Side.BUY, lots * LOT_E8
        received_e8 = quantity_e8 if bought else quantity_e8 * order.price_e8 // 10**8
        self.trades += 1
        fee_e8 = received_e8 // 1_000
        self.ledger.book_fill(
            Fill(
                instance="one", symbol="BTCUSDT", trade_id=self.trades, order_id=number,
                client_order_id=str(number), side=order.side.value,  # type: ignore[arg-type]
                price_e8=order.price_e8, qty_e8=quantity_e8, commission_e8=fee_e8,
                commission_asset="BTC" if bought else "USDT", time_ms=0,
            )
        )  # fmt: skip
        kept_e8 = quantity_e8 - fee_e8 if bought else 0
        opposite = self.ladder.has_filled(order.rung, quantity_e8, kept_e8)
        return None if opposite is None else self.send(opposite)

    def locked(self) -> tuple[int, int]:
        account = self.ledger.account("one")
        return account.cash_locked_e8, account.base_locked_e8


def test_a_part_that_fills_gives_back_its_part_of_what_was_reserved() -> None:
    # 500 / 50,000 = 0.01 BTC = 1,000 lots of 0.50 each.
    desk = Desk()
    desk.lay(1, (1, 1, 50_000.0, 500.0, 51_000.0))
    (buy,) = desk.place()
    assert desk.locked() == (to_e8("500"), 0)
    assert desk.fill(buy, 400) is None
    assert desk.locked() == (to_e8("300"), 0)
    assert desk.ladder.resting()[buy].quantity_e8 == 600 * LOT_E8
    assert desk.ladder.filled == 0
    sell = desk.fill(buy, 600)
    assert desk.ladder.filled == 1
    assert sell is not None
    order = desk.ladder.order_of(sell)  # 0.01 less 0.1 % is 0.00999: 999 lots
    assert (order.side, order.price_e8, order.quantity_e8) == (
        Side.SELL, to_e8("51000"), to_e8("0.00999"),
    )  # fmt: skip
    assert desk.locked() == (0, to_e8("0.00999"))
    again = desk.fill(sell, 999)
    assert again is not None
    assert desk.ladder.order_of(again).price_e8 == to_e8("50000")
    assert desk.locked() == (to_e8("500"), 0)


def test_an_order_that_ended_at_the_exchange_is_off_until_another_revision() -> None:
    desk = Desk()
    rungs = (1, 1, 50_000.0, 400.0, 51_000.0), (2, 1, 49_000.0, 400.0, 50_000.0)
    desk.lay(1, *rungs)
    first, second = desk.place()
    desk.ladder.has_ended(first)
    assert set(desk.ladder.resting()) == {second}
    assert desk.ladder.refused == 1
    assert desk.place() == []
    assert desk.lay(2, *rungs) == []
    (again,) = desk.place()
    assert desk.ladder.order_of(again).price_e8 == to_e8("50000")


def test_the_record_of_another_layout_is_refused() -> None:
    with pytest.raises(UsageError, match="another version wrote it"):
        Desk().ladder.restore(b"short")


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_parts_and_restarts_change_nothing(data: st.DataObject) -> None:
    """Whole fills in one life, or parts with a new process between any two: the same orders and money."""
    whole, parts = Desk("3000"), Desk("3000")
    grid = [(i + 1, 1, 48_000.0 + 500 * i, 300.0, 48_500.0 + 500 * i) for i in range(8)]
    for desk in (whole, parts):
        desk.lay(1, *grid)
        desk.place()
    for _ in range(data.draw(st.integers(1, 8))):
        number = data.draw(st.sampled_from(sorted(whole.ladder.resting())))
        lots = whole.ladder.order_of(number).quantity_e8 // LOT_E8
        whole.fill(number, lots)
        for part in (lots // 3, lots - lots // 3):
            parts.fill(number, part)
            reborn = RestingLadder(parts.ledger.record("one"), RULES)
            locked = parts.locked()
            parts.ledger.record("one")["cash_locked_e8"] = -1  # whatever the fold left there
            reborn.restore(parts.ladder.record)
            assert parts.locked() == locked
            parts.ladder = reborn
        assert parts.ladder.filled == whole.ladder.filled
        mine, theirs = ({n: o.side for n, o in d.ladder.resting().items()} for d in (parts, whole))
        assert mine == theirs
        assert np.all(np.abs(np.subtract(parts.locked(), whole.locked())) <= 2 * LOT_E8 * 50_000)
