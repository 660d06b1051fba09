"""The table of instances and the figures of the one that is selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NotRequired, TypedDict

import anywidget
import traitlets

from bridge.dashboard.static_files import script, style_sheet
from bridge.dashboard.wording import (
    ENDED,
    STOPPABLE,
    TONES,
    amount,
    base_asset,
    moment,
    price_decimals,
    quantity,
    sign_tone,
    signed,
)


class HeldBack(TypedDict):
    """The last buy that a guard refused: the candle it was decided on, and which guard."""

    open_time_ms: int
    guard: str
    note: str


class Instance(TypedDict):
    """One instance as GET /v1/state describes it; null where nothing is known."""

    name: str
    account: str
    venue: str
    strategy: str
    params: Mapping[str, float]
    symbol: str
    interval: str
    state: str
    reason: str | None
    capital: float | None
    cash: float | None
    quantity: float | None
    entry_price: float | None
    last_price: float | None
    equity: float | None
    pnl: float | None
    pnl_pct: float | None
    fees: float | None
    trades: int | None
    bars: int | None
    target: float | None
    last_candle_ms: int | None
    started_ms: int | None
    synthetic: bool
    code_sha: NotRequired[str]
    exits: NotRequired[str]
    guards: NotRequired[str]
    guarded: NotRequired[int | None]
    last_guarded: NotRequired[HeldBack | None]
    stop: NotRequired[float | None]
    take_profit: NotRequired[float | None]
    exposed_if_down: NotRequired[float | None]


class Cell(TypedDict, total=False):
    """What one cell of a table shows; the script sets it as text, never as markup."""

    text: str
    small: str
    tone: str
    badge: bool


COLUMNS = [
    {"key": "name", "label": "Instance", "align": "left"},
    {"key": "market", "label": "Market", "align": "left"},
    {"key": "state", "label": "State", "align": "left"},
    {"key": "position", "label": "Position", "align": "right"},
    {"key": "equity", "label": "Equity", "align": "right"},
    {"key": "pnl", "label": "Profit / loss", "align": "right"},
    {"key": "bars", "label": "Bars", "align": "right"},
    {"key": "candle", "label": "Last candle, UTC", "align": "right"},
]


class InstancesTable(anywidget.AnyWidget):
    """One row an instance; a click selects, `Stop…` first asks what becomes of the position."""

    _esm: ClassVar[str] = script("instances.js")
    _css: ClassVar[str] = style_sheet()

    columns = traitlets.List(COLUMNS).tag(sync=True)
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)
    empty = traitlets.Unicode("No instance yet: start one on the left.").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def show(self, instances: Sequence[Instance]) -> None:
        """Show these instances, those that ended last."""
        ordered = sorted(
            instances, key=lambda one: (one["state"] in ENDED, -(one["started_ms"] or 0))
        )
        self.rows = [row_of(one) for one in ordered]
        running = sum(one["state"] == "RUNNING" for one in instances)
        self.note = f"{running} running of {len(instances)}" if instances else ""

    def on_stop(self, act: Callable[[str, str], None]) -> None:
        """Call `act(name, policy)` when a stop has been confirmed; policy is flatten or keep."""

        def heard(_widget: object, content: Mapping[str, str], _buffers: object) -> None:
            if content.get("kind") == "stop" and content.get("policy") in ("flatten", "keep"):
                act(str(content["name"]), content["policy"])

        self.on_msg(heard)


class InstanceFacts(anywidget.AnyWidget):
    """The figures of one instance, side by side above its chart."""

    _esm: ClassVar[str] = script("facts.js")
    _css: ClassVar[str] = style_sheet()

    facts = traitlets.List(traitlets.Dict()).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def show(self, one: Instance | None) -> None:
        """Show the figures of this instance, or nothing."""
        with self.hold_sync():
            self.facts = facts_of(one) if one else []
            self.title = one["name"] if one else ""
            self.note = _parameters(one) if one else ""


def row_of(one: Instance) -> dict[str, object]:
    """Return the row of an instance: its cells, and the words of the question before a stop."""
    base = base_asset(one["symbol"])
    held = position_of(one)
    dust = 0.0 if held else one["quantity"] or 0.0
    state = one["state"]
    cells: list[Cell] = [
        {"text": one["name"], "small": f"{one['account']} · {one['venue']}", "tone": "strong"},
        {"text": one["symbol"], "small": f"{one['interval']} · {one['strategy']}"},
        {
            "text": state.lower(),
            "small": one["reason"] or "",
            "tone": TONES.get(state, ""),
            "badge": True,
        },
        {
            "text": f"{quantity(held)} {base}" if held else "flat",
            "small": f"dust {quantity(dust)}" if dust else "",
            "tone": "" if held else "muted",
        },
        {"text": amount(one["equity"])},
        {
            "text": signed(one["pnl"]),
            "small": signed(one["pnl_pct"], suffix=" %"),
            "tone": sign_tone(one["pnl"]),
        },
        {"text": amount(one["bars"], 0)},
        {"text": moment(one["last_candle_ms"]), "tone": "muted"},
    ]
    holding = f"{quantity(held)} {base}"
    return {
        "name": one["name"],
        "state": state,
        "bars": one["bars"] or 0,
        "ended": state in ENDED,
        "can_stop": state in STOPPABLE,
        "title": one["reason"] or "",
        "cells": cells,
        "question": (
            f"Stop {one['name']}? It decides nothing more and its open orders are cancelled. "
            + (f"It holds {holding}." if held else "It holds no position.")
        ),
        "flatten": f"Stop and sell {holding}" if held else "Stop, staying flat",
        "keep": f"Stop and keep {holding}" if held else "Stop, selling nothing",
    }


def position_of(one: Instance) -> float:
    """Return the open position in base, 0 when flat; what is too small to sell is dust, not a position."""
    return (one["quantity"] or 0.0) if one["entry_price"] is not None else 0.0


def facts_of(one: Instance) -> list[dict[str, str]]:
    """Return the figures of an instance as label, text and tone."""
    decimals = price_decimals(one["last_price"])
    held = position_of(one)
    pct = signed(one["pnl_pct"], suffix=" %")
    return [
        {"label": "Equity", "text": amount(one["equity"])},
        {
            "label": "Profit / loss",
            "text": f"{signed(one['pnl'])}  ({pct})",
            "tone": sign_tone(one["pnl"]),
        },
        {
            "label": "Position",
            "text": f"{quantity(held)} {base_asset(one['symbol'])}" if held else "flat",
        },
        {
            "label": "Cost price",
            "text": amount(one["entry_price"] or None, decimals) if held else "–",
        },
        {"label": "Last price", "text": amount(one["last_price"], decimals)},
        {"label": "Stop", "text": amount(one.get("stop"), decimals)},
        {"label": "Take-profit", "text": amount(one.get("take_profit"), decimals)},
        {"label": "Cash", "text": amount(one["cash"])},
        {"label": "Fees paid", "text": amount(one["fees"])},
        {"label": "Round trips", "text": amount(one["trades"], 0)},
        *(_held_back(one) if one.get("guards") else []),
        *(_exposed(one) if one.get("exposed_if_down") else []),
    ]


def _exposed(one: Instance) -> list[dict[str, str]]:
    """Say what a ladder's buys may spend while the gateway is down, without a stop for it."""
    return [{"label": "Unprotected if down", "text": amount(one.get("exposed_if_down"))}]


def _held_back(one: Instance) -> list[dict[str, str]]:
    last = one.get("last_guarded")
    said = f"{last['guard']}, {moment(last['open_time_ms'])}" if last else "–"
    return [
        {"label": "Buys refused", "text": amount(one.get("guarded"), 0)},
        {"label": "Last refused by", "text": said},
    ]


def _parameters(one: Instance) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in one["params"].items())
    market = f"{one['symbol']} {one['interval']}"
    exits = f" · exits {one['exits']}" if one.get("exits") else ""
    guards = f" · guards {one['guards']}" if one.get("guards") else ""
    return (
        f"{one['strategy']}({values}) · {market}{exits}{guards} · capital {amount(one['capital'])}"
    )
