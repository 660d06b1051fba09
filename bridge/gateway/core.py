"""What a gateway does with a candle, a decision or an order's news: rows to commit, and a ticket to send.

Nothing here waits, sends or reads a clock. `decide` turns one intent into one `Step`; all rows of
a step go into one transaction, and only then may its ticket leave. A target is acted on once,
when it differs from the last one written.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge.exchanges.base import Side, TradeReport
from bridge.gateway.guards import LiveGuards
from bridge.gateway.ids import client_order_id
from bridge.gateway.tickets import ticket_event
from bridge.journal_rows import (
    MOVES,
    CandleRow,
    DecisionRow,
    Event,
    FillRow,
    InstanceRow,
    InstanceState,
    JsonValue,
    Row,
    Ticket,
    TicketStatus,
)
from workbench.execution.instance import target_beside_exits, written_target
from workbench.execution.ledger import Fill, LedgerAccount
from workbench.execution.rebalance import MarketBuy, MarketSell, Nothing, Plan, plan
from workbench.market.candles import CANDLE
from workbench.market.instruments import SCALE, Instrument


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction writes, the instance as it is after it, and the ticket to send then."""

    instance: InstanceRow
    rows: tuple[Row, ...]
    ticket: Ticket | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A runner's answer to one Bar."""

    state: bytes
    intent: bytes


def candle_bytes(candle: CandleRow) -> bytes:
    """Return a candle as the record that `decide` reads."""
    return candle_records([candle]).tobytes()


def candle_records(candles: list[CandleRow]) -> np.ndarray:
    """Return candles as an array of records."""
    records = np.zeros(len(candles), CANDLE)
    for i, one in enumerate(candles):
        records[i] = (
            one.open_time_ms, one.open, one.high, one.low, one.close, one.volume, one.missing_before, (0, 0, 0, 0),
        )  # fmt: skip
    return records


def warmed(
    row: InstanceRow,
    candles: list[CandleRow],
    state: bytes,
    layout: str,
    *,
    newest: CandleRow | None,
    earlier: Sequence[CandleRow] = (),
) -> Step:
    """Begin to trade after these warm-up candles, with what follows the `newest` closed candle.

    Candles `earlier` than them were not fed to the strategy: the exits measure their range from them.

    A strategy that needs no warm-up is fed none; history is not traded all the same.
    """
    after = replace(
        moved(row, InstanceState.RUNNING),
        first_warm_ms=candles[0].open_time_ms if candles else 0,
        last_candle_ms=newest.open_time_ms if newest else 0,
        last_close=newest.close if newest else 0.0,
        strategy_state=state,
        state_layout=layout,
    )
    told = instance_event(after, warm_up=len(candles), first_warm_ms=after.first_warm_ms)
    return Step(after, (after, *earlier, *candles, told))


def decide(
    row: InstanceRow,
    account: LedgerAccount,
    candle: CandleRow,
    answer: Answer,
    *,
    late: bool,
    in_doubt: bool,
    guards: LiveGuards,
    held_back: str = "",
    more: Sequence[Row] = (),
) -> Step:
    """Turn a decision into rows and perhaps a ticket; `more` rows belong to it as well.

    The `guards` have seen the candle's close; `held_back` is the one that took a ladder's buys back.
    Raises UsageError for an intent that cannot be carried out.
    """
    target = target_beside_exits(row.last_target, answer.intent, ladders=bool(row.ladder))
    seq, close = row.seq + 1, candle.close
    wanted: Plan = Nothing()
    if target is not None:
        wanted = plan(guards.size(target), account=account, close=close)
    skipped = _why_skipped(row, wanted, late=late, in_doubt=in_doubt)
    guard = "" if skipped or not isinstance(wanted, MarketBuy) else guards.objection()
    if guard:
        skipped = f"{guards.reason(guard)}: its target is spent"
    elif held_back:
        guard = held_back
    ticket = (
        None
        if skipped
        else _ticket(row, wanted, seq=seq, candle_ms=candle.open_time_ms, reason="signal")
    )
    note = skipped or getattr(wanted, "reason", "")
    if held_back and not note:
        note = f"{guards.reason(held_back)}: the ladder's buys wait"
    after = replace(
        row,
        seq=seq,
        bars=row.bars + 1,
        last_candle_ms=candle.open_time_ms,
        last_close=close,
        last_target=row.last_target if target is None else target,
        strategy_state=answer.state,
    )
    decision = DecisionRow(
        instance=row.name,
        seq=seq,
        open_time_ms=candle.open_time_ms,
        kind="bar",
        target=written_target(answer.intent),
        acted=ticket is not None,
        side=ticket.side if ticket else "",
        equity=account.equity(close),
        cash=account.cash,
        quantity=account.quantity,
        late=late,
        note=note,
        intent=zlib.compress(answer.intent, 1),
        state_sha=hashlib.sha256(answer.state).hexdigest(),
        guard=guard,
    )
    rows: list[Row] = [
        after,
        candle,
        decision,
        candle_event(candle),
        decision_event(decision),
        *more,
    ]
    if ticket:
        rows += [ticket, ticket_event(ticket)]
    return Step(after, tuple(rows), ticket)


def sale(row: InstanceRow, quantity_e8: int, reason: str) -> Ticket:
    """Return a sale at market that no decision asks for; `row` has moved on to its seq."""
    wanted = MarketSell(0, quantity_e8)
    made = _ticket(row, wanted, seq=row.seq, candle_ms=row.last_candle_ms, reason=reason)
    assert made is not None
    return made


def begin_stop(row: InstanceRow, policy: str, reason: str) -> Step:
    """Accept a stop; what follows survives a restart because the policy is journaled."""
    after = replace(moved(row, InstanceState.STOPPING), stop_policy=policy, reason=reason)
    return Step(after, (after, instance_event(after, policy=policy)))


def flatten(row: InstanceRow, account: LedgerAccount) -> Step:
    """Sell all that a stopping instance holds: a decision of its own, target 0."""
    seq = row.seq + 1
    wanted = plan(0.0, account=account, close=row.last_close)
    ticket = _ticket(row, wanted, seq=seq, candle_ms=row.last_candle_ms, reason="stop")
    after = replace(row, seq=seq, last_target=0.0)
    decision = DecisionRow(
        instance=row.name,
        seq=seq,
        open_time_ms=row.last_candle_ms,
        kind="stop",
        target=0.0,
        acted=ticket is not None,
        side=ticket.side if ticket else "",
        equity=account.equity(row.last_close),
        cash=account.cash,
        quantity=account.quantity,
        late=False,
        note=getattr(wanted, "reason", ""),
        intent=b"",
        state_sha=hashlib.sha256(row.strategy_state).hexdigest(),
    )
    rows: list[Row] = [after, decision, decision_event(decision)]
    if ticket:
        rows += [ticket, ticket_event(ticket)]
    return Step(after, tuple(rows), ticket)


def ended(row: InstanceRow) -> Step:
    """Finish a stop."""
    after = moved(row, InstanceState.STOPPED)
    return Step(after, (after, instance_event(after)))


def faulted(row: InstanceRow, reason: str) -> Step:
    """Stop deciding, for a reason that a human must look at; the position stays."""
    after = replace(moved(row, InstanceState.FAULTED), reason=reason)
    alarm = Event("alarm", row.name, row.last_candle_ms, {"reason": reason})
    return Step(after, (after, instance_event(after), alarm))


def moved(row: InstanceRow, state: InstanceState) -> InstanceRow:
    """Return the instance in its next state. Raises ValueError for a move that the table lacks."""
    if state not in MOVES[row.state]:
        raise ValueError(f"instance {row.name}: no move from {row.state} to {state}")
    return replace(row, state=state)


def fill_row(
    ticket: Ticket, trade: TradeReport, instrument: Instrument, *, after_seq: int, time_ms: int
) -> FillRow:
    """Return an execution as the journal keeps it, in ticks and lots too."""
    return FillRow(
        symbol=trade.symbol,
        trade_id=trade.trade_id,
        instance=ticket.instance,
        order_id=trade.order_id,
        client_order_id=ticket.client_order_id,
        side=ticket.side,
        price_e8=trade.price_e8,
        quantity_e8=trade.quantity_e8,
        commission_e8=trade.commission_e8,
        commission_asset=trade.commission_asset,
        market_ms=trade.market_ms,
        time_ms=time_ms,
        is_maker=trade.is_maker,
        ticks=trade.price_e8 // instrument.tick_e8,
        lots=trade.quantity_e8 // instrument.step_e8,
        after_seq=after_seq,
    )


def ledger_fill(row: FillRow) -> Fill:
    """Return an execution as the ledger books it."""
    return Fill(
        instance=row.instance,
        symbol=row.symbol,
        trade_id=row.trade_id,
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        side=row.side.value,
        price_e8=row.price_e8,
        qty_e8=row.quantity_e8,
        commission_e8=row.commission_e8,
        commission_asset=row.commission_asset,
        time_ms=row.market_ms,
        is_maker=row.is_maker,
    )


def voided(row: InstanceRow, ticket: Ticket, why: str) -> Step:
    """Give up a ticket that is proven absent; its target is taken back, so that the strategy may write it again."""
    gone = replace(ticket, status=TicketStatus.VOID, note=why)
    after = row
    if row.seq == ticket.seq:
        after = replace(row, last_target=ticket.target_before)
    alarm = Event(
        "alarm",
        row.name,
        ticket.candle_ms,
        {"client_order_id": ticket.client_order_id, "reason": why},
    )
    return Step(after, (after, gone, ticket_event(gone), alarm))


def candle_event(candle: CandleRow) -> Event:
    """Tell of one closed candle."""
    data: dict[str, JsonValue] = {
        "time_ms": candle.open_time_ms,
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
    }
    return Event("candle", candle.instance, candle.open_time_ms, data)


def decision_event(row: DecisionRow) -> Event:
    """Tell of one decision."""
    data: dict[str, JsonValue] = {
        "seq": row.seq,
        "kind": row.kind,
        "target": None if math.isnan(row.target) else row.target,
        "acted": row.acted,
        "side": row.side,
        "equity": row.equity,
        "late": row.late,
        "note": row.note,
        "guard": row.guard,
        "state_sha": row.state_sha,
    }
    return Event("decision", row.instance, row.open_time_ms, data)


def fill_event(fill: FillRow) -> Event:
    """Tell of one execution."""
    data: dict[str, JsonValue] = {
        "side": fill.side.value,
        "price": fill.price_e8 / SCALE,
        "quantity": fill.quantity_e8 / SCALE,
        "commission": fill.commission_e8 / SCALE,
        "commission_asset": fill.commission_asset,
        "client_order_id": fill.client_order_id,
        "trade_id": fill.trade_id,
    }
    return Event("fill", fill.instance, fill.market_ms, data)


def instance_event(row: InstanceRow, **more: JsonValue) -> Event:
    """Tell of an instance's change of state."""
    data: dict[str, JsonValue] = {"state": row.state.value, "reason": row.reason, **more}
    return Event("instance", row.name, row.last_candle_ms, data)


def _why_skipped(row: InstanceRow, wanted: Plan, *, late: bool, in_doubt: bool) -> str:
    if not isinstance(wanted, MarketBuy):
        return ""  # exits always act
    if late and row.late_entry == "skip":
        return "late candle: entry skipped, its target is spent"
    if in_doubt:
        return f"an order on {row.symbol} is in doubt: entry skipped, its target is spent"
    return ""


def _ticket(
    row: InstanceRow, wanted: Plan, *, seq: int, candle_ms: int, reason: str
) -> Ticket | None:
    if isinstance(wanted, MarketBuy):
        side, quote_e8, quantity_e8 = Side.BUY, wanted.quote_e8, 0
    elif isinstance(wanted, MarketSell):
        side, quote_e8, quantity_e8 = Side.SELL, 0, wanted.qty_e8
    else:
        return None
    return Ticket(
        client_order_id=client_order_id(row.tag, seq, 1),
        instance=row.name,
        seq=seq,
        attempt=1,
        symbol=row.symbol,
        side=side,
        quote_e8=quote_e8,
        quantity_e8=quantity_e8,
        reason=reason,
        candle_ms=candle_ms,
        target_before=row.last_target,
        status=TicketStatus.WRITTEN,
        order_id=0,
        executed_e8=0,
        note="",
    )
