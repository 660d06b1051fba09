"""A bridge in memory with the client's calls, for tests of the page alone; it trades nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

MINUTE_MS = 60_000
FIRST_MS = 1_735_776_000_000  # 2025-01-02T00:00Z

MACD = {
    "name": "macd",
    "title": "MACD crossover",
    "source": "macd_crossover.py",
    "sha": "0" * 64,
    "parameters": [
        {
            "name": "fast",
            "kind": "int",
            "low": 2,
            "high": 50,
            "step": 1,
            "default": 12,
            "doc": "fast EMA",
        },
        {
            "name": "slow",
            "kind": "int",
            "low": 3,
            "high": 200,
            "step": 1,
            "default": 26,
            "doc": "slow EMA",
        },
        {
            "name": "signal",
            "kind": "int",
            "low": 2,
            "high": 50,
            "step": 1,
            "default": 9,
            "doc": "signal EMA",
        },
    ],
}


def price_at(index: int) -> float:
    """Return a wavy price for the close of candle `index`."""
    return round(94_000 + 400 * math.sin(index / 17) + 90 * math.sin(index / 3.1), 2)


class FakeBridge:
    """Instances that see a candle every so often and buy and sell by turns."""

    def __init__(
        self, *, candles_per_s: float = 4.0, warm_up: int = 300, fill_every: int = 12
    ) -> None:
        self.candles_per_s = candles_per_s
        self.warm_up = warm_up
        self.fill_every = fill_every
        self.started: dict[str, dict[str, object]] = {}
        self.commands: list[tuple[str, dict[str, object]]] = []
        self.refusal: Exception | None = None
        self.gone: Exception | None = None
        self.synthetic = False
        self._born: dict[str, float] = {}

    def state(self) -> dict[str, object]:
        if self.gone:
            raise self.gone
        return {
            "supervisor": {"pid": 1, "version": "0", "started_ms": 0, "locked": False},
            "accounts": [
                {
                    "name": "paper",
                    "venue": "local",
                    "state": "RUNNING",
                    "gateway_pid": 2,
                    "balances": {"USDT": "10000.00000000", "BTC": "0.10000000"},
                    "alarms": [],
                }
            ],
            "instances": [self._instance(name) for name in self.started],
        }

    def strategies(self) -> list[dict[str, object]]:
        return [MACD]

    def start_instance(self, name: str, **request: object) -> dict[str, object]:
        self.commands.append(("start", {"name": name, **request}))
        if self.refusal:
            raise self.refusal
        self.started[name] = {**request, "state": "RUNNING"}
        self._born[name] = time.monotonic()
        return self._instance(name)

    def stop_instance(self, name: str, **request: object) -> dict[str, object]:
        self.commands.append(("stop", {"name": name, **request}))
        if self.refusal:
            raise self.refusal
        self.started[name]["state"] = "STOPPED"
        return {}

    def candles(self, name: str, *, limit: int, after: int | None) -> list[dict[str, float]]:
        if self.gone:
            raise self.gone
        rows = []
        for i in range(max(0, self._seen(name) - limit), self._seen(name)):
            time_ms = FIRST_MS + i * MINUTE_MS
            if after is not None and time_ms <= after:
                continue
            first, last = price_at(i), price_at(i + 1)
            wick = 20 + 15 * math.sin(i * 1.7)
            rows.append(
                {
                    "time_ms": time_ms,
                    "open": first,
                    "high": round(max(first, last) + wick, 2),
                    "low": round(min(first, last) - wick, 2),
                    "close": last,
                    "volume": round(8 + 6 * math.sin(i / 5) ** 2, 5),
                }
            )
        return rows

    def fills(self, name: str, *, after: int) -> list[dict[str, object]]:
        rows = []
        for k in range(1, (self._seen(name) - self.warm_up) // self.fill_every + 1):
            index = self.warm_up + k * self.fill_every
            rows.append(
                {
                    "seq": k,
                    "time_ms": 0,
                    "market_ms": FIRST_MS + index * MINUTE_MS,
                    "side": "BUY" if k % 2 else "SELL",
                    "price": price_at(index),
                    "quantity": 0.01052,
                    "commission": 0.00001052,
                    "commission_asset": "BTC" if k % 2 else "USDT",
                    "client_order_id": f"wb-0000-{k}-0",
                    "trade_id": k,
                }
            )
        return [one for one in rows if one["seq"] > after]

    def _seen(self, name: str) -> int:
        alive_s = time.monotonic() - self._born[name]
        return self.warm_up + int(alive_s * self.candles_per_s)

    def _instance(self, name: str) -> dict[str, object]:
        request: Mapping[str, object] = self.started[name]
        seen = self._seen(name)
        trades = (seen - self.warm_up) // self.fill_every
        holds = trades % 2 == 1
        pnl = 12.5 * math.sin(trades)
        return {
            "name": name,
            "account": request["account"],
            "venue": "local",
            "strategy": request["strategy"],
            "code_sha": "0" * 64,
            "params": request["params"],
            "symbol": request["symbol"],
            "interval": request["interval"],
            "state": request["state"],
            "reason": None,
            "capital": request["capital"],
            "cash": 10.0 if holds else 1_000 + pnl,
            "quantity": 0.01050948 if holds else 0.00000052,
            "entry_price": price_at(self.warm_up + trades * self.fill_every) if holds else None,
            "last_price": price_at(seen),
            "equity": 1_000 + pnl,
            "pnl": pnl,
            "pnl_pct": pnl / 10,
            "fees": 0.99 * trades,
            "trades": trades // 2,
            "bars": seen - self.warm_up,
            "target": 1.0 if holds else 0.0,
            "last_candle_ms": FIRST_MS + (seen - 1) * MINUTE_MS,
            "started_ms": int(self._born[name] * 1000),
            "runner_pid": 3,
            "guards": request.get("guards", ""),
            "guarded": trades // 3 if request.get("guards") else 0,
            "last_guarded": {
                "open_time_ms": FIRST_MS + (self.warm_up + trades) * MINUTE_MS,
                "guard": "cooldown_bars",
                "note": "guard cooldown_bars=3 allows no buy now: its target is spent",
            }
            if request.get("guards") and trades >= 3
            else None,
            "synthetic": self.synthetic,
        }
