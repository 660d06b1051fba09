"""What clients see of an account: plain JSON objects, money as numbers, never a key or a byte of strategy state."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from bridge.journal_reader import JournalReader, StoredEvent
from bridge.journal_rows import (
    CandleRow,
    DecisionRow,
    FillRow,
    InstanceRow,
    InstanceState,
    JsonValue,
)
from workbench.market.instruments import SCALE

if TYPE_CHECKING:  # the supervisor shows journals too, and needs no compiler for it
    from bridge.gateway.books import Book
    from workbench.execution.ledger import LedgerAccount

View = dict[str, JsonValue | dict[str, JsonValue]]

__all__ = ["candle", "decision", "event", "fill", "instance", "page", "unreachable"]


def instance(account: str, venue: str, book: Book, owned: LedgerAccount) -> View:
    """Return one instance as GET /v1/state tells it."""
    row, price = book.row, book.last_price
    view = _fixed(account, venue, row)
    equity = owned.equity(price) if price or not owned.base_e8 else None
    capital = row.capital_e8 / SCALE
    pnl = None if equity is None else equity - capital
    view |= {
        "state": row.state.value,
        "cash": owned.cash,
        "quantity": owned.quantity,
        "entry_price": owned.entry_price if owned.is_open else None,
        "last_price": price or None,
        "equity": equity,
        "pnl": pnl,
        "pnl_pct": None if pnl is None else 100 * pnl / capital,
        "fees": owned.fees,
        "trades": owned.trades,
        "stop": book.protection.stop_e8 / SCALE or None,
        "take_profit": book.protection.gain_e8 / SCALE or None,
        "unprotected": book.unprotected,
        "exposed_if_down": book.exposed_if_down_e8 / SCALE or None,
        "guarded": book.guards.refused,
        "last_guarded": _refusal(book.guards.last_refused),
        "runner_pid": book.runner_pid,
        "settled": book.is_settled,
    }
    return view


def unreachable(account: str, venue: str, row: InstanceRow) -> View:
    """Return one instance as its journal tells it while nobody can be asked."""
    view = _fixed(account, venue, row)
    stopped = row.state is InstanceState.STOPPED
    view["state"] = row.state.value if stopped else "UNREACHABLE"
    for name in ("cash", "quantity", "entry_price", "equity", "pnl", "pnl_pct", "fees", "trades"):
        view[name] = None
    view |= {"guarded": None, "last_guarded": None}
    view |= {"last_price": row.last_close or None, "runner_pid": None, "settled": False}
    return view


def candle(row: CandleRow) -> View:
    """Return one closed candle."""
    return {
        "time_ms": row.open_time_ms,
        "open": row.open,
        "high": row.high,
        "low": row.low,
        "close": row.close,
        "volume": row.volume,
    }


def fill(seq: int, row: FillRow) -> View:
    """Return one execution."""
    return {
        "seq": seq,
        "time_ms": row.time_ms,
        "market_ms": row.market_ms,
        "side": row.side.value,
        "price": row.price_e8 / SCALE,
        "quantity": row.quantity_e8 / SCALE,
        "commission": row.commission_e8 / SCALE,
        "commission_asset": row.commission_asset,
        "client_order_id": row.client_order_id,
        "trade_id": row.trade_id,
    }


def decision(row: DecisionRow) -> View:
    """Return one decision."""
    return {
        "seq": row.seq,
        "open_time_ms": row.open_time_ms,
        "kind": row.kind,
        "target": None if math.isnan(row.target) else row.target,
        "acted": row.acted,
        "side": row.side,
        "equity": row.equity,
        "cash": row.cash,
        "quantity": row.quantity,
        "late": row.late,
        "note": row.note,
        "guard": row.guard,
    }


def event(account: str, stored: StoredEvent) -> View:
    """Return one line of the journal's story."""
    return {
        "seq": stored.seq,
        "time_ms": stored.time_ms,
        "market_ms": stored.market_ms,
        "account": account,
        "instance": stored.instance,
        "kind": stored.kind,
        "data": json.loads(stored.data),
    }


def page(journal: JournalReader, name: str, what: str, after: int | None, limit: int) -> list[View]:
    """Return candles, fills or decisions of an instance, from the journal."""
    if what == "candles":
        return [candle(row) for row in journal.candles(name, after_ms=after, limit=limit)]
    if what == "fills":
        return [fill(seq, row) for seq, row in journal.fills(name, after=after or 0)[:limit]]
    return [decision(row) for row in journal.decisions(name, after=after or 0, limit=limit)]


def _refusal(row: DecisionRow | None) -> dict[str, JsonValue] | None:
    if row is None:
        return None
    return {"open_time_ms": row.open_time_ms, "guard": row.guard, "note": row.note}


def _fixed(account: str, venue: str, row: InstanceRow) -> View:
    return {
        "name": row.name,
        "account": account,
        "venue": venue,
        "strategy": row.strategy,
        "code_sha": row.code_sha,
        "params": dict(row.params),
        "exits": row.exits,
        "guards": row.guards,
        "symbol": row.symbol,
        "interval": row.interval,
        "reason": row.reason,
        "capital": row.capital_e8 / SCALE,
        "bars": row.bars,
        "target": None if math.isnan(row.last_target) else row.last_target,
        "last_candle_ms": row.last_candle_ms or None,
        "started_ms": row.started_ms,
        "synthetic": row.synthetic,
    }
