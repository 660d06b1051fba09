"""The table of fills of the selected instance, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypedDict

import anywidget
import traitlets

from bridge.dashboard.static_files import script, style_sheet
from bridge.dashboard.wording import amount, moment, price_decimals, quantity

MOST = 500

COLUMNS = [
    {"key": "time", "label": "Market time, UTC", "align": "left"},
    {"key": "side", "label": "Side", "align": "left"},
    {"key": "quantity", "label": "Quantity", "align": "right"},
    {"key": "price", "label": "Price", "align": "right"},
    {"key": "value", "label": "Value", "align": "right"},
]


class Fill(TypedDict):
    """One fill as GET /v1/instances/{name}/fills describes it."""

    seq: int
    time_ms: int
    market_ms: int | None
    side: str
    price: float
    quantity: float
    commission: float
    commission_asset: str
    client_order_id: str
    trade_id: int


class FillsTable(anywidget.AnyWidget):
    """The fills of one instance; the first dozen, and all of them on demand."""

    _esm: ClassVar[str] = script("fills.js")
    _css: ClassVar[str] = style_sheet()

    columns = traitlets.List(COLUMNS).tag(sync=True)
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    empty = traitlets.Unicode("No fill yet.").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def show(self, fills: Sequence[Fill]) -> None:
        """Show the latest of these fills, which come oldest first."""
        self.rows = [row_of(one) for one in reversed(fills[-MOST:])]
        self.note = f"{len(fills)} in all" if fills else ""


def row_of(one: Fill) -> dict[str, object]:
    """Return the row of a fill; text only, the script never takes it as markup."""
    price, filled = float(one["price"]), float(one["quantity"])
    return {
        "id": f"{one['seq']}",
        "cells": [
            {"text": moment(market_time(one))},
            {"text": one["side"].lower(), "tone": "up" if one["side"] == "BUY" else "down"},
            {"text": quantity(filled)},
            {"text": amount(price, price_decimals(price))},
            {"text": amount(price * filled)},
        ],
    }


def market_time(one: Fill) -> int:
    """Return the fill's time on the market's clock, or on the wall's where that is unknown."""
    return one["market_ms"] if one["market_ms"] is not None else one["time_ms"]
