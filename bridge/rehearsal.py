"""A live run on the local exchange in step pace: the same window as a backtest, through every process.

One instance trades through supervisor, gateway, runner and unmodified exchange client; the market
moves on only when the instance has decided and its orders are settled, and stops where an order that
rested has filled, until that is answered. What the journal recorded comes back as parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bridge.cli.export import export_instance
from bridge.embedded import ACCOUNT, EmbeddedBridge, embedded_bridge
from workbench import strategies
from workbench.errors import ExchangeError
from workbench.market.candles import Candles

INSTANCE = "rehearsal"


def rehearse(
    candles: Candles,
    *,
    strategy: str,
    params: Mapping[str, float],
    cash: float,
    fee_bps: float,
    slippage_bps: float,
    home: Path,
    out: Path,
    exits: str = "",
    guards: str = "",
    data: str = "auto",
    tick: Callable[[int], object] | None = None,
) -> dict[str, int]:
    """Trade the window of `candles` live on the local exchange and export its journal into `out`.

    `tick(n)` is called as n more candles are done. Returns the rows written a table. Raises
    ExchangeError where the instance faults or does not settle.
    """
    times = candles.window["open_time"]
    after_next = candles.timeframe.next(candles.timeframe.next(int(times[-1])))
    options = [
        "--data", data, "--symbols", candles.symbol, "--interval", str(candles.timeframe),
        "--start", _iso(int(times[0])), "--end", _iso(after_next), "--pace", "step",
        "--balance", f"USDT={cash:.8f}", "--fee-bps", repr(fee_bps),
        "--slippage-bps", repr(slippage_bps), "--weight-limit", "1000000",
        "--order-limit", "1000000",
    ]  # fmt: skip
    if strategy in strategies.own_names():
        strategies.copy_own(strategy, home)
    with embedded_bridge(home, options) as live:
        live.client.start_instance(
            INSTANCE,
            account=ACCOUNT,
            strategy=strategy,
            params=dict(params),
            exits=exits,
            guards=guards,
            symbol=candles.symbol,
            interval=str(candles.timeframe),
            capital=f"{cash:.8f}",
        )
        live.client.wait_until(INSTANCE, {"RUNNING"})
        for open_ms in times.tolist():
            _play(live, candles.symbol, open_ms, home)
            if tick:
                tick(1)
        return export_instance(INSTANCE, out, state=home)


def _play(live: EmbeddedBridge, symbol: str, open_ms: int, home: Path) -> None:
    """Play one candle; wait wherever an order has filled, and for the decision at its close."""
    opened, settled_ms = False, 0
    while not opened:
        step = live.admin("POST", "/admin/advance", {"symbol": symbol, "until": "fill"})
        opened = bool(step["opened"])
        settled_ms = open_ms if opened else 0
        now = live.client.settled(INSTANCE, settled_ms, fills=int(step["fills"]), timeout_s=30.0)
        stands_ms = now["last_candle_ms"] or 0
        late = stands_ms != open_ms if opened else stands_ms >= open_ms
        if now["state"] != "RUNNING" or late or not now["settled"]:
            raise ExchangeError(
                f"the instance is {now['state']} ({now['reason'] or 'no reason'}) and stands at "
                f"{_iso(stands_ms)} when {_iso(open_ms)} {'has closed' if opened else 'trades'}; see {home}"
            )


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
