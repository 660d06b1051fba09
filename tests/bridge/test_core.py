"""One decision becomes one step: rows for one transaction, and at most one ticket."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.exchanges.base import Side
from bridge.gateway import core
from bridge.gateway.guards import LiveGuards
from bridge.journal_rows import CandleRow, DecisionRow, InstanceRow, InstanceState, Ticket
from tests.bridge.doubles import ONE, instance_row
from workbench.core.records import empty_intent
from workbench.errors import UsageError
from workbench.execution.ledger import Fill, Ledger
from workbench.market.instruments import SCALE

CANDLE = CandleRow("one", 3_600_000, 99.0, 101.0, 98.0, 100.0, 5.0, 0, warm=False)


def intent(target: float, **more: float) -> bytes:
    """Return an intent with that target."""
    record = empty_intent()
    record["target"] = target
    for name, value in more.items():
        record[name] = value
    return record.tobytes()


def step(
    row: InstanceRow, wanted: bytes, *, base: int = 0, late: bool = False, doubt: bool = False
) -> core.Step:
    """Decide on one candle at 100, with 1,000 USDT of capital of which `base` BTC were bought."""
    ledger = Ledger()
    ledger.open_instance("one", row.capital_e8, ONE)
    if base:
        ledger.book_fill(
            Fill("one", "BTCUSDT", 1, 1, "c", "BUY", 100 * SCALE, base * SCALE, 0, "BTC", 0)
        )
    answer = core.Answer(b"after", wanted)
    account, guards = ledger.account("one"), LiveGuards(row)
    guards.at_close(CANDLE, account.equity(CANDLE.close))
    return core.decide(row, account, CANDLE, answer, late=late, in_doubt=doubt, guards=guards)


def one_of(made: core.Step, kind: type) -> object:
    """Return the step's row of that kind."""
    (row,) = [row for row in made.rows if isinstance(row, kind)]
    return row


def test_a_buy_spends_the_whole_cash_and_is_journaled_with_state_and_decision() -> None:
    """All of it in one step: instance with state', decision, candle and ticket."""
    made = step(instance_row(), intent(1.0))
    assert made.ticket is not None
    assert (made.ticket.side, made.ticket.quote_e8) == (Side.BUY, 1_000 * SCALE)
    assert made.ticket.client_order_id == "wb-00000abc-1-1"
    saved = one_of(made, InstanceRow)
    assert isinstance(saved, InstanceRow)
    assert (saved.strategy_state, saved.seq, saved.last_target) == (b"after", 1, 1.0)
    assert one_of(made, Ticket) == made.ticket
    decision = one_of(made, DecisionRow)
    assert isinstance(decision, DecisionRow)
    assert (decision.acted, decision.side, decision.equity) == (True, "BUY", 1000.0)


def test_a_target_is_acted_on_once() -> None:
    """The same target again, or no opinion, moves nothing; drift never trades."""
    held = instance_row(last_target=1.0)
    assert step(held, intent(1.0), base=5).ticket is None
    quiet = step(held, intent(math.nan), base=5)
    assert quiet.ticket is None
    assert quiet.instance.last_target == 1.0


def test_target_0_sells_all_lots() -> None:
    """Five BTC, sold as five BTC."""
    made = step(instance_row(last_target=1.0), intent(0.0), base=5)
    assert made.ticket is not None
    assert (made.ticket.side, made.ticket.quantity_e8) == (Side.SELL, 5 * SCALE)


@pytest.mark.parametrize("why", ["late", "doubt"])
def test_a_late_or_doubtful_entry_is_skipped_and_spent_but_an_exit_acts(why: str) -> None:
    """The target counts as written; the decision's note says why nothing was bought."""
    flags = {"late": why == "late", "doubt": why == "doubt"}
    made = step(instance_row(), intent(1.0), **flags)
    assert made.ticket is None
    assert made.instance.last_target == 1.0
    decision = one_of(made, DecisionRow)
    assert isinstance(decision, DecisionRow)
    assert "spent" in decision.note
    assert step(instance_row(last_target=1.0), intent(0.0), base=5, **flags).ticket is not None
    taken = step(instance_row(late_entry="take"), intent(1.0), late=True)
    assert taken.ticket is not None


def test_an_order_below_the_minimum_is_refused_with_the_arithmetic_and_spent() -> None:
    """F30: 4 USDT are below a notional of 5."""
    made = step(instance_row(capital_e8=4 * SCALE), intent(1.0))
    assert made.ticket is None
    decision = one_of(made, DecisionRow)
    assert isinstance(decision, DecisionRow)
    assert "below the exchange's minimum" in decision.note


@pytest.mark.parametrize(
    "bad",
    [
        intent(1.5),
        intent(-0.1),
        intent(np.inf),
        intent(1.0, stop=-90.0),
        intent(1.0, trail=np.nan),
        intent(1.0, n_ladder=2, revision=1),
    ],
)
def test_an_intent_that_cannot_be_carried_out_is_an_error(bad: bytes) -> None:
    """Protection and ladders are not built yet: refused aloud, never ignored."""
    with pytest.raises(UsageError):
        step(instance_row(), bad)


def test_a_stop_sells_once_and_ends() -> None:
    """STOPPING, a decision of its own with the next seq, STOPPED, and no way back."""
    row = core.begin_stop(instance_row(seq=7, last_target=1.0), "flatten", "asked").instance
    ledger = Ledger()
    ledger.open_instance("one", row.capital_e8, ONE)
    ledger.book_fill(Fill("one", "BTCUSDT", 1, 1, "c", "BUY", 100 * SCALE, SCALE, 0, "BTC", 0))
    made = core.flatten(row, ledger.account("one"))
    assert made.ticket is not None
    assert made.ticket.client_order_id == "wb-00000abc-8-1"
    stopped = core.ended(made.instance).instance
    assert stopped.state is InstanceState.STOPPED
    with pytest.raises(ValueError, match="no move from STOPPED to RUNNING"):
        core.moved(stopped, InstanceState.RUNNING)


def test_a_voided_entry_gives_its_target_back() -> None:
    """The strategy may write it again; a later decision's target stays."""
    made = step(instance_row(), intent(1.0))
    assert made.ticket is not None
    assert core.voided(made.instance, made.ticket, "why").instance.last_target == 0.0
    later = step(made.instance, intent(math.nan)).instance
    assert core.voided(later, made.ticket, "why").instance.last_target == 1.0
